"""Taking sales back: cancelling a whole one, returning some of its goods. Both are new documents."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.db import RetryTransaction, WriteBatch, as_instant, format_instant, utc_now
from tillhook.errors import Conflict, NotFound, ValidationFailed
from tillhook.ledger.alerts import stock_changed
from tillhook.ledger.models import CUSTOMER, SCRAP
from tillhook.ledger.movements import StockMovement
from tillhook.ledger.posting import write_movements
from tillhook.numbering import sale_number
from tillhook.quantities import ZERO, from_units, to_units
from tillhook.runtime import actor_of, request_id_of, runtime_of, snapshot_of
from tillhook.sales.calendar import business_day, happened_at
from tillhook.sales.commands import ReturnCommand, ReturnItem, SaleCommand
from tillhook.sales.drafts import PostedSale
from tillhook.sales.exceptions import keep_refused
from tillhook.sales.journal import Outcome
from tillhook.sales.models import Sale
from tillhook.sales.queries import sales_by_id, visible_sales
from tillhook.sales.rows import Row
from tillhook.sales.totals import LineTotals, refund, sum_up

_AMOUNTS = ("subtotal", "tax_amount", "discount_amount", "total_amount")
_LINE_AMOUNTS = ("quantity", "discount_share", "tax_amount", "total_price")


def cancel_sale(session: Session, sale_id: int, reason: str) -> dict[str, Any]:
    """Cancel a sale: reverse exactly the movements that it made, its adjustments too, and pay its money back.

    Returns:
        The cancelled sale, as the API shows it.

    Raises:
        NotFound: 404: no such sale, or not for this actor.
        Conflict: 409: cancelled already, or some of it was returned.
    """
    sale = _locked_sale(session, sale_id)
    lines = _lines(session, sale_id)
    if _returned(session, sale_id):
        raise Conflict("Some of this sale was returned; return the rest instead.", code="sale-has-returns")
    document = _document(session, sale, "cancellation", reason)
    for name in (*_AMOUNTS, "cash_rounding"):
        document[name] = -sale[name]
    new_lines = [_reversed_line(line, document["id"], {name: -line[name] for name in _LINE_AMOUNTS}) for line in lines]
    payments = [
        {
            "sale_id": document["id"],
            "method": row.method,
            "amount": row.change - row.amount,
            "change": 0,
            "reference": row.reference,
        }
        for row in session.execute(text("SELECT * FROM sale_payment WHERE sale_id = :id"), {"id": sale_id})
    ]
    movements = [_reversal(row, document) for row in _movements(session, "sale", [sale_id])]
    _write(session, document, new_lines, payments, movements)
    _tell(session, document, payments, "sale_cancelled")
    return sales_by_id(session, [sale_id])[sale_id]


def return_goods(session: Session, sale_id: int, command: ReturnCommand) -> Outcome:
    """Take goods back, never more than was sold less what came back before.

    Amounts are the sale's own, so that returning everything pays back everything. Goods come back to the
    sale's warehouse into the lots they were taken from, or are scrapped.

    Returns:
        ``created``, or ``duplicate`` for an ``external_id`` that came before; ``rejected`` only for one that was
        used otherwise, in which case the refused payload is kept and the transaction is worth committing.

    Raises:
        NotFound: 404: no such sale, or not for this actor.
        Conflict: 409: the sale is cancelled.
        ValidationFailed: 422: an unknown line, or more than is left of it.
        RetryTransaction: Somebody used the ``external_id`` meanwhile; run the transaction again.
    """
    sale = _locked_sale(session, sale_id, cancelled="A cancelled sale has nothing to return.")
    known = _known_return(session, sale, command)
    if known is not None:
        return known
    lines = {line["id"]: line for line in _lines(session, sale_id)}
    before = _returned(session, sale_id)
    document = _document(session, sale, "return", command.reason)
    document["external_id"], document["fingerprint"] = command.external_id, _fingerprint(sale_id, command)
    _date(document, command.client_timestamp)
    new_lines, totals, inclusive = [], [], []
    for number, item in enumerate(command.lines):
        line = lines.get(item.line_id)
        if line is None:
            raise ValidationFailed.at(f"lines.{number}.line_id", "Not a line of this sale.", code="unknown-line")
        amounts = _refund(session, number, line, before.get(item.line_id), item)
        _check_precision(session, number, line, before.get(item.line_id), item)
        totals.append(amounts)
        inclusive.append(bool(line["tax_inclusive"]))
        before[item.line_id] = _added(before.get(item.line_id), item.quantity, amounts)
        new_lines.append(_returned_line(line, document["id"], number, item, amounts))
    summed = sum_up(totals, inclusive=inclusive)
    for name in _AMOUNTS:
        document[name] = -to_units(getattr(summed, name))
    payments = [_refund_payment(session, sale_id, document, command)] if document["total_amount"] else []
    movements = _return_movements(session, document, lines, command.lines, sale_id)
    _write(session, document, new_lines, payments, movements)
    _tell(session, document, payments, "sale_returned")
    return Outcome("created", sale=sales_by_id(session, [document["id"]])[document["id"]])


def _locked_sale(session: Session, sale_id: int, cancelled: str = "This sale is cancelled already.") -> Row:
    """Return the sale's row, locked, so that one return or cancellation of it posts at a time."""
    if session.scalar(visible_sales(session).where(Sale.id == sale_id).with_only_columns(Sale.id)) is None:
        raise NotFound("There is no such sale.", code="unknown-sale")
    lock = " FOR UPDATE" if session.get_bind().dialect.name == "postgresql" else ""
    sale = session.execute(text(f"SELECT * FROM sale WHERE id = :id{lock}"), {"id": sale_id}).mappings().one()
    if sale["kind"] != "sale":
        raise Conflict("Only a sale can be taken back.", code="not-a-sale")
    gone = session.execute(
        text("SELECT 1 FROM sale WHERE origin_id = :id AND kind = 'cancellation'"), {"id": sale_id}
    ).first()
    if gone is not None:
        raise Conflict(cancelled, code="sale-cancelled")
    return sale


def _lines(session: Session, sale_id: int) -> Sequence[Row]:
    return (
        session.execute(text("SELECT * FROM sale_line WHERE sale_id = :id ORDER BY line_number"), {"id": sale_id})
        .mappings()
        .all()
    )


def _returned(session: Session, sale_id: int) -> dict[int, tuple[Decimal, LineTotals]]:
    """Return what came back so far by line: quantity and amounts, positive."""
    rows = session.execute(
        text(
            "SELECT r.origin_line_id AS line, -SUM(r.quantity) AS quantity, -SUM(r.total_price) AS price,"
            " -SUM(r.discount_share) AS share, -SUM(r.tax_amount) AS tax FROM sale_line r"
            " JOIN sale s ON s.id = r.sale_id WHERE s.origin_id = :id AND s.kind = 'return' GROUP BY r.origin_line_id"
        ),
        {"id": sale_id},
    )
    return {
        row.line: (
            from_units(int(row.quantity)),
            LineTotals(from_units(int(row.price)), from_units(int(row.share)), from_units(int(row.tax))),
        )
        for row in rows
    }


def _known_return(session: Session, sale: Row, command: ReturnCommand) -> Outcome | None:
    if command.external_id is None:
        return None
    row = session.execute(
        text("SELECT id, fingerprint FROM sale WHERE external_id = :id"), {"id": command.external_id}
    ).first()
    if row is None:
        return None
    if row.fingerprint == _fingerprint(sale["id"], command):
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
        payload={"sale_id": sale["id"], **command.payload},
    )
    keep_refused(session, [(refused, error)])
    return Outcome("rejected", error=error)


def _fingerprint(sale_id: int, command: ReturnCommand) -> str | None:
    if command.external_id is None:
        return None
    lines = [(item.line_id, str(item.quantity.normalize()), item.restock) for item in command.lines]
    at = format_instant(command.client_timestamp) if command.client_timestamp else None
    return hashlib.sha256(repr((sale_id, lines, command.reason, command.refund, at)).encode()).hexdigest()


def _document(session: Session, sale: Row, kind: str, reason: str) -> dict[str, Any]:
    """Return a new row of ``sale`` that refers to ``sale``; its amounts are still to come."""
    actor, snapshot, now = actor_of(session), snapshot_of(session), utc_now()
    key = _next_key(session)
    channel = runtime_of(session).registry.channels.get(sale["channel"])
    prefix = (channel.number_prefix if channel else "") + {"return": "R", "cancellation": "C"}[kind]
    row = {column: _plain(value) for column, value in sale.items()}
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


def _reversed_line(line: Row, document_id: int, amounts: dict[str, Any]) -> dict[str, Any]:
    row = {column: _plain(value) for column, value in line.items() if column != "id"}
    return row | {"sale_id": document_id, "origin_line_id": line["id"], "flags": None} | amounts


def _returned_line(line: Row, document_id: int, number: int, item: ReturnItem, amounts: LineTotals) -> dict[str, Any]:
    return _reversed_line(
        line,
        document_id,
        {
            "line_number": number,
            "quantity": -to_units(item.quantity),
            "discount_share": -to_units(amounts.discount_share),
            "tax_amount": -to_units(amounts.tax_amount),
            "total_price": -to_units(amounts.total_price),
            "restock": "restock" if item.restock else "scrap",
        },
    )


def _refund(
    session: Session, number: int, line: Row, before: tuple[Decimal, LineTotals] | None, item: ReturnItem
) -> LineTotals:
    returned_quantity, returned = before or (ZERO, LineTotals(ZERO, ZERO, ZERO))
    sold = LineTotals(
        from_units(line["total_price"]), from_units(line["discount_share"]), from_units(line["tax_amount"])
    )
    try:
        return refund(
            sold,
            tax_inclusive=bool(line["tax_inclusive"]),
            sold_quantity=from_units(line["quantity"]),
            returned=returned,
            returned_quantity=returned_quantity,
            quantity=item.quantity,
            places=snapshot_of(session).setting("currency_places"),
        )
    except ValueError:
        left = (from_units(line["quantity"]) - returned_quantity).normalize()
        raise ValidationFailed.at(
            f"lines.{number}.quantity", f"Only {left:f} can come back.", code="returns-more-than-sold"
        ) from None


def _check_precision(
    session: Session, number: int, line: Row, before: tuple[Decimal, LineTotals] | None, item: ReturnItem
) -> None:
    """Refuse half a piece, unless it is all that is left: a till that was offline may have sold it."""
    unit_id = session.execute(
        text("SELECT unit_id FROM product WHERE id = :id AND tracking <> 'none'"), {"id": line["product_id"]}
    ).scalar()
    if unit_id is None or from_units(line["quantity"]) == (before[0] if before else ZERO) + item.quantity:
        return
    places = snapshot_of(session).units[unit_id].precision
    if item.quantity != round(item.quantity, places):
        raise ValidationFailed.at(f"lines.{number}.quantity", f"At most {places} digits after the point in this unit.")


def _added(
    before: tuple[Decimal, LineTotals] | None, quantity: Decimal, amounts: LineTotals
) -> tuple[Decimal, LineTotals]:
    old_quantity, old = before or (ZERO, LineTotals(ZERO, ZERO, ZERO))
    return old_quantity + quantity, LineTotals(
        old.total_price + amounts.total_price,
        old.discount_share + amounts.discount_share,
        old.tax_amount + amounts.tax_amount,
    )


def _refund_payment(session: Session, sale_id: int, document: Row, command: ReturnCommand) -> dict[str, Any]:
    method = command.refund
    if method is None:
        method = session.execute(
            text("SELECT method FROM sale_payment WHERE sale_id = :id ORDER BY id LIMIT 1"), {"id": sale_id}
        ).scalar()
    if method not in runtime_of(session).registry.payment_methods:
        raise ValidationFailed.at("refund", "Unknown payment method.", code="unknown-payment-method")
    return {
        "sale_id": document["id"],
        "method": method,
        "amount": document["total_amount"],
        "change": 0,
        "reference": "",
    }


def _movements(session: Session, document_type: str, document_ids: Sequence[int]) -> Sequence[Any]:
    ids = ",".join(str(int(key)) for key in document_ids) or "0"
    return session.execute(
        text(f"SELECT * FROM stock_movement WHERE document_type = :type AND document_id IN ({ids}) ORDER BY id"),
        {"type": document_type},
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


def _return_movements(
    session: Session, document: Row, lines: Mapping[int, Row], items: Sequence[ReturnItem], sale_id: int
) -> list[StockMovement]:
    """Return the goods' way back, lot by lot, last taken first."""
    left = _taken_by_lot(session, lines, sale_id)
    at: datetime = as_instant(document["sale_date"])
    movements = []
    for number, item in enumerate(items):
        line = lines[item.line_id]
        wanted = to_units(item.quantity)
        for issued in reversed(left.get(item.line_id, [])):
            units = min(issued["units"], wanted)
            if not units:
                continue
            issued["units"] -= units
            wanted -= units
            movements.append(
                StockMovement(
                    product_id=line["product_id"],
                    variant_id=line["variant_id"],
                    lot_id=issued["lot_id"],
                    quantity=from_units(units),
                    source_id=CUSTOMER,
                    destination_id=document["warehouse_id"] if item.restock else SCRAP,
                    document_type="return",
                    document_id=document["id"],
                    document_line=number,
                    effect="return",
                    occurred_at=at,
                    unit_cost=None if issued["unit_cost"] is None else from_units(issued["unit_cost"]),
                    channel=document["channel"],
                )
            )
    return movements


def _taken_by_lot(session: Session, lines: Mapping[int, Row], sale_id: int) -> dict[int, list[dict[str, Any]]]:
    """Return, by line key, what the sale issued by lot less what came back."""
    by_number = {line["line_number"]: key for key, line in lines.items()}
    taken: dict[int, list[dict[str, Any]]] = {}
    for row in _movements(session, "sale", [sale_id]):
        if row.effect == "issue":
            taken.setdefault(by_number[row.document_line], []).append(
                {"lot_id": row.lot_id, "units": row.quantity, "unit_cost": row.unit_cost}
            )
    came_back = session.execute(
        text(
            "SELECT r.origin_line_id AS line, m.lot_id, SUM(m.quantity) AS quantity FROM stock_movement m"
            " JOIN sale s ON s.id = m.document_id AND m.document_type = 'return'"
            " JOIN sale_line r ON r.sale_id = s.id AND r.line_number = m.document_line"
            " WHERE s.origin_id = :id GROUP BY r.origin_line_id, m.lot_id"
        ),
        {"id": sale_id},
    )
    for row in came_back:
        for issued in taken.get(row.line, []):
            if issued["lot_id"] == row.lot_id:
                issued["units"] -= int(row.quantity)
    return taken


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


def _plain(value: Any) -> Any:
    """Return a column's value as inserts take it: moments and days as text."""
    if isinstance(value, datetime):
        return format_instant(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


__all__ = ["cancel_sale", "return_goods"]
