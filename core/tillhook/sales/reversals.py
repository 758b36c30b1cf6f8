"""Taking sales back: cancelling a whole one, returning some of its goods. Both are new documents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.db import RetryTransaction, WriteBatch, as_instant, format_instant, utc_now
from tillhook.errors import Conflict, NotFound
from tillhook.ledger.alerts import stock_changed
from tillhook.ledger.movements import StockMovement
from tillhook.ledger.posting import write_movements
from tillhook.numbering import sale_number
from tillhook.quantities import ZERO, from_units, to_units
from tillhook.runtime import actor_of, request_id_of, runtime_of, snapshot_of
from tillhook.sales.batch import Outcome
from tillhook.sales.calendar import business_day, happened_at
from tillhook.sales.commands import NO_DEVICE, ReturnCommand, SaleCommand, return_fingerprint
from tillhook.sales.drafts import PostedSale
from tillhook.sales.exceptions import store_refused
from tillhook.sales.models import Sale
from tillhook.sales.queries import sales_by_id, visible_sales
from tillhook.sales.refunds import Refund, pay_back
from tillhook.sales.returning import lock_family, movements_back, open_origin, plain, take_back
from tillhook.sales.rows import NUMBER_MARKS, Row

_AMOUNTS = ("subtotal", "tax_amount", "discount_amount", "total_amount")
_LINE_AMOUNTS = ("quantity", "discount_share", "tax_amount", "total_price")


def cancel_sale(session: Session, sale_id: int, reason: str, *, source_device: str = NO_DEVICE) -> dict[str, Any]:
    """Cancel a sale: reverse exactly the movements that it made, its adjustments too, and pay its money back.

    Args:
        source_device: Where the money goes back.

    Returns:
        The cancelled sale, as the API shows it.

    Raises:
        NotFound: 404: no such sale, or not for this actor.
        Conflict: 409: cancelled already, some of it was returned or exchanged, or it is an exchange.
    """
    sale = _to_cancel(session, sale_id)
    document = _document(session, sale, "cancellation", reason, source_device)
    for name in (*_AMOUNTS, "cash_rounding"):
        document[name] = -sale[name]
    new_lines = [_reversed_line(line, document["id"]) for line in _lines(session, sale_id)]
    payments = [
        {
            "sale_id": document["id"],
            "method": row.method,
            "amount": row.change - row.amount,
            "change": 0,
            "reference": row.reference,
        }
        for row in session.execute(text("SELECT * FROM sale_payment WHERE sale_id = :id ORDER BY id"), {"id": sale_id})
    ]
    movements = [_reversal(row, document) for row in _movements(session, sale_id)]
    _write(session, document, new_lines, payments, movements)
    _tell(session, document, payments, "sale_cancelled")
    return sales_by_id(session, [sale_id])[sale_id]


def return_goods(session: Session, sale_id: int, command: ReturnCommand) -> Outcome:
    """Take goods back, never more than was sold less what came back before.

    Amounts are the sale's own, so that returning everything pays back everything, each part by a tender that as much
    was paid by. Goods come back to the sale's warehouse into the lots they were taken from, or are scrapped.

    Returns:
        ``created``, or ``duplicate`` for an ``external_id`` that came before; ``rejected`` only for one that was
        used otherwise, in which case the refused payload is kept and the transaction is worth committing.

    Raises:
        NotFound: 404: no such sale, or not for this actor.
        Conflict: 409: the sale is cancelled.
        ValidationFailed: 422: an unknown line, or more than is left of it; a refund that may not be.
        RetryTransaction: Somebody used the ``external_id`` meanwhile; run the transaction again.
    """
    origin = open_origin(session, sale_id)
    known = _known_return(session, origin.row, command)
    if known is not None:
        return known
    returned = take_back(session, origin, command.lines)
    refund = Refund(())
    if returned.totals.total_amount:
        refund = pay_back(session, returned.kept, returned.totals.total_amount, command.refund, command.refunds)
    document = _document(session, origin.row, "return", command.reason, command.source_device)
    document["external_id"] = command.external_id
    document["fingerprint"] = return_fingerprint(sale_id, command) if command.external_id else None
    document["currency_places"] = snapshot_of(session).setting("currency_places")
    document["cash_rounding"] = to_units(refund.rounding)
    for name in _AMOUNTS:
        document[name] = -to_units(getattr(returned.totals, name))
    _date(document, command.client_timestamp)
    payments = [
        {
            "sale_id": document["id"],
            "method": tender.method,
            "amount": -to_units(tender.amount or ZERO),
            "change": 0,
            "reference": tender.reference,
        }
        for tender in refund.payments
    ]
    movements = movements_back(session, returned, document, 0)
    _write(session, document, returned.rows(document["id"], 0), payments, movements)
    _tell(session, document, payments, "sale_returned")
    return Outcome("created", sale=sales_by_id(session, [document["id"]])[document["id"]])


def _to_cancel(session: Session, sale_id: int) -> Row:
    """Return the row of a sale that can be cancelled, locked, so that nobody takes it back meanwhile."""
    if session.scalar(visible_sales(session).where(Sale.id == sale_id).with_only_columns(Sale.id)) is None:
        raise NotFound("There is no such sale.", code="unknown-sale")
    lock_family(session, sale_id)
    sale = session.execute(text("SELECT * FROM sale WHERE id = :id"), {"id": sale_id}).mappings().one()
    if sale["kind"] == "exchange":
        raise Conflict("An exchange cannot be cancelled; return its goods instead.", code="exchange-not-cancellable")
    if sale["kind"] != "sale":
        raise Conflict("Only a sale can be taken back.", code="not-a-sale")
    kinds = set(session.scalars(text("SELECT DISTINCT kind FROM sale WHERE origin_id = :id"), {"id": sale_id}))
    if "cancellation" in kinds:
        raise Conflict("This sale is cancelled already.", code="sale-cancelled")
    if kinds:
        raise Conflict("Some of this sale was returned; return the rest instead.", code="sale-has-returns")
    return sale


def _lines(session: Session, sale_id: int) -> Sequence[Row]:
    return (
        session.execute(text("SELECT * FROM sale_line WHERE sale_id = :id ORDER BY line_number"), {"id": sale_id})
        .mappings()
        .all()
    )


def _known_return(session: Session, sale: Row, command: ReturnCommand) -> Outcome | None:
    if command.external_id is None:
        return None
    row = session.execute(
        text("SELECT id, fingerprint FROM sale WHERE external_id = :id"), {"id": command.external_id}
    ).first()
    if row is None:
        return None
    if row.fingerprint == return_fingerprint(sale["id"], command):
        return Outcome("duplicate", sale=sales_by_id(session, [row.id])[row.id])
    error = Conflict(
        "This external_id was used for something else; the return is kept for a person to look at.",
        code="external-id-reused",
        errors=[{"field": "external_id", "message": "Used for other content before."}],
    )
    refused = SaleCommand(
        items=(),
        external_id=command.external_id,
        channel=sale["channel"],
        warehouse=sale["warehouse_id"],
        source_device=command.source_device,
        payload=_as_document(sale, command.payload),
    )
    store_refused(session, [(refused, error)])
    return Outcome("rejected", error=error)


def _as_document(sale: Row, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a return's body in the form of a document's of its own, in which a person can accept it."""
    body = dict(payload)
    returns = {name: body.pop(name) for name in ("lines", "reason") if name in body}
    place = {"channel": sale["channel"], "warehouse": sale["warehouse_id"]}
    return {**place, **body, "returns": {"sale_id": sale["id"], **returns}}


def _document(session: Session, sale: Row, kind: str, reason: str, source_device: str) -> dict[str, Any]:
    """Return a new row of ``sale`` that refers to ``sale``; its amounts are still to come."""
    actor, snapshot, now = actor_of(session), snapshot_of(session), utc_now()
    key = _next_key(session)
    channel = runtime_of(session).registry.channels.get(sale["channel"])
    prefix = (channel.number_prefix if channel else "") + NUMBER_MARKS[kind]
    row = {column: plain(value) for column, value in sale.items()}
    return row | {
        "id": key,
        "kind": kind,
        "origin_id": sale["id"],
        "external_id": None,
        "fingerprint": None,
        "body_digest": None,
        "sale_number": sale_number(prefix, business_day(snapshot, now), key),
        "seller_id": actor.user_id,
        "seller_name": actor.name,
        "source_device": actor.device or source_device,
        "device_number": None,
        "is_offline": False,
        "client_timestamp": None,
        "clock_suspect": False,
        "sale_date": format_instant(now),
        "created_at": format_instant(now),
        "synced_at": None,
        "cash_rounding": 0,
        "change_due": 0,
        "reason": reason,
        "notes": "",
        "request_id": request_id_of(session),
    }


def _date(document: dict[str, Any], stamp: datetime | None) -> None:
    """Enter when the goods came back, by the client's word if it can be believed."""
    if stamp is None:
        return
    came_back, document["clock_suspect"] = happened_at(stamp, as_instant(document["created_at"]))
    document["client_timestamp"], document["sale_date"] = format_instant(stamp), format_instant(came_back)


def _next_key(session: Session) -> int:
    if session.get_bind().dialect.name == "postgresql":
        return int(session.execute(text("SELECT nextval('sale_id_seq')")).scalar_one())
    return int(session.execute(text("SELECT COALESCE(MAX(id), 0) + 1 FROM sale")).scalar_one())


def _reversed_line(line: Row, document_id: int) -> dict[str, Any]:
    row = {column: plain(value) for column, value in line.items() if column != "id"}
    row |= {"sale_id": document_id, "origin_line_id": line["id"], "flags": None}
    return row | {name: -line[name] for name in _LINE_AMOUNTS}


def _movements(session: Session, sale_id: int) -> Sequence[Any]:
    return session.execute(
        text("SELECT * FROM stock_movement WHERE document_type = 'sale' AND document_id = :id ORDER BY id"),
        {"id": sale_id},
    ).all()


def _reversal(row: Any, document: Row) -> StockMovement:
    return StockMovement(
        product_id=row.product_id,
        variant_id=row.variant_id,
        lot_id=row.lot_id,
        quantity=from_units(row.quantity),
        source_id=row.destination_id,
        destination_id=row.source_id,
        document_type="cancellation",
        document_id=document["id"],
        document_line=row.document_line,
        effect=f"reverse-{row.effect}",
        occurred_at=as_instant(document["sale_date"]),
        unit_cost=None if row.unit_cost is None else from_units(row.unit_cost),
        channel=row.channel,
        reverses_id=row.id,
    )


def _write(
    session: Session,
    document: dict[str, Any],
    lines: list[dict[str, Any]],
    payments: list[dict[str, Any]],
    movements: list[StockMovement],
) -> None:
    batch = WriteBatch(session.connection())
    batch.insert("sale", [document])
    batch.insert("sale_line", lines)
    batch.insert("sale_payment", payments)
    try:
        levels = write_movements(session, movements, batch=batch)
    except IntegrityError as error:
        # Somebody used the external id since we looked; the next run finds it.
        if "external_id" in str(error.orig):
            raise RetryTransaction from error
        raise
    stock_changed(session, movements, levels)


def _tell(session: Session, document: Row, payments: Sequence[Row], hook: str) -> None:
    hooks = runtime_of(session).hooks
    if not hooks.implemented(hook):
        return
    shown = sales_by_id(session, [document["id"]])[document["id"]]
    posted = PostedSale(
        id=document["id"],
        kind=document["kind"],
        sale_number=document["sale_number"],
        channel=document["channel"],
        warehouse_id=document["warehouse_id"],
        customer_id=document["customer_id"],
        total_amount=from_units(document["total_amount"]),
        origin_id=document["origin_id"],
        payments=tuple((row["method"], from_units(row["amount"])) for row in payments),
        sale=shown,
    )
    getattr(hooks.hook, hook)(session=session, sale=posted)


__all__ = ["cancel_sale", "return_goods"]
