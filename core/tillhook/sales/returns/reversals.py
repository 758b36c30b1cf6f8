"""Taking sales back: cancelling a whole one, returning some of its goods. Both are new documents."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.db import as_instant, format_instant, next_keys, utc_now
from tillhook.errors import Conflict, ValidationFailed
from tillhook.hooks import frozen
from tillhook.ledger import Document, Restock, restock, reverse
from tillhook.numbering import sale_number
from tillhook.quantities import ZERO, from_units, to_units
from tillhook.reference import Calendar
from tillhook.runtime import actor_of, request_id_of, runtime_of, snapshot_of
from tillhook.sales.answers import PaymentOut
from tillhook.sales.clocks import happened_at, tolerance_of
from tillhook.sales.commands import NO_DEVICE, ReturnCommand, SaleCommand, return_fingerprint
from tillhook.sales.drafts import Payment, PostedSale
from tillhook.sales.events import sale_event
from tillhook.sales.exceptions import store_refused
from tillhook.sales.models import Sale, SaleLine, SalePayment
from tillhook.sales.outcomes import Outcome
from tillhook.sales.payment_checks import ask_methods
from tillhook.sales.queries import require_visible, sales_by_id
from tillhook.sales.returns.refunds import Refund, check_refund_methods, pay_back
from tillhook.sales.returns.returning import lock_family, open_origin, restock_lines, sale_row_of, take_back
from tillhook.sales.rows import (
    NUMBER_MARKS,
    DocumentRows,
    again_when_taken,
    payment_rows,
    returned_rows,
    reversed_row,
    tables_of,
    taken_back_row,
)


def cancel_sale(
    session: Session, sale_id: int, reason: str, *, source_device: str = NO_DEVICE, refund: str | None = None
) -> dict[str, Any]:
    """Cancel a sale: reverse exactly the movements that it made, its adjustments too, and pay its money back.

    Args:
        source_device: Where the money goes back.
        refund: The method it goes back by; those that it came in by for ``None``.

    Returns:
        The cancelled sale, as the API shows it, and in ``refunds`` how its money went back.

    Raises:
        NotFound: 404: no such sale, or not for this actor.
        Conflict: 409: cancelled already, some of it was returned or exchanged, or it is an exchange.
        ValidationFailed: 422: a ``refund`` by which not all can go back.
    """
    sale = _to_cancel(session, sale_id)
    document = _document(
        session,
        sale,
        "cancellation",
        source_device,
        subtotal=-to_units(sale.subtotal),
        tax_amount=-to_units(sale.tax_amount),
        discount_amount=-to_units(sale.discount_amount),
        total_amount=-to_units(sale.total_amount),
        cash_rounding=-to_units(sale.cash_rounding),
        reason=reason,
    )
    lines = session.execute(
        select(*SaleLine.__table__.columns).where(SaleLine.sale_id == sale_id).order_by(SaleLine.line_number)
    )
    back = _money_back(session, sale, refund)
    rows = DocumentRows(
        document,
        [reversed_row(line, document["id"]) for line in lines],
        payment_rows(document["id"], back),
    )
    reverse(
        session,
        Document("sale", sale_id),
        Document("cancellation", document["id"]),
        as_instant(document["sale_date"]),
        alongside=lambda _: tables_of([rows]),
        events=lambda: [sale_event(rows)],
    )
    _tell(session, rows, "sale_cancelled")
    return sales_by_id(session, [sale_id])[sale_id] | {"refunds": [PaymentOut.of(each) for each in rows.payments]}


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
    known = _known_return(session, origin.sale, command)
    if known is not None:
        return known
    returned = take_back(session, origin, command.lines)
    totals, refund = returned.totals, Refund()
    if totals.total_amount:
        refund = pay_back(session, returned.money_left, totals.total_amount, command.refund, command.refunds)
    payments = ask_methods(
        session,
        refund.payments,
        field=lambda _: "refunds",
        paid_by=refund.paid_by,
        currency=origin.sale.currency,
        customer_id=origin.sale.customer_id,
    )
    document = _document(
        session,
        origin.sale,
        "return",
        command.source_device,
        external_id=command.external_id,
        fingerprint=return_fingerprint(sale_id, command) if command.external_id else None,
        subtotal=-to_units(totals.subtotal),
        tax_amount=-to_units(totals.tax_amount),
        discount_amount=-to_units(totals.discount_amount),
        total_amount=-to_units(totals.total_amount),
        cash_rounding=to_units(refund.rounding),
        reason=command.reason,
    )
    if command.client_timestamp is not None:
        _, is_suspect = happened_at(
            command.client_timestamp,
            as_instant(document["created_at"]),
            is_offline=False,
            tolerance=tolerance_of(session),
        )
        document |= {
            "client_timestamp": format_instant(command.client_timestamp),
            "clock_suspect": is_suspect,
        }
    rows = DocumentRows(document, returned_rows(returned, document["id"], 0), payment_rows(document["id"], payments))
    back = Restock(
        document=Document("return", document["id"]),
        warehouse_id=document["warehouse_id"],
        occurred_at=as_instant(document["sale_date"]),
        channel=document["channel"],
        lines=restock_lines(returned, 0),
    )
    with again_when_taken():
        restock(session, back, alongside=lambda _: tables_of([rows]), events=lambda: [sale_event(rows)])
    _tell(session, rows, "sale_returned")
    return Outcome("created", sale=sales_by_id(session, [document["id"]])[document["id"]])


def _to_cancel(session: Session, sale_id: int) -> Any:
    """Return the row of a sale that can be cancelled, locked, so that nobody takes it back meanwhile."""
    require_visible(session, sale_id)
    lock_family(session, sale_id)
    sale = sale_row_of(session, sale_id)
    if sale.kind == "exchange":
        raise Conflict("An exchange cannot be cancelled; return its goods instead.", code="exchange-not-cancellable")
    if sale.kind != "sale":
        raise Conflict("Only a sale can be taken back.", code="not-a-sale")
    kinds = set(session.scalars(select(Sale.kind).where(Sale.origin_id == sale_id)))
    if "cancellation" in kinds:
        raise Conflict("This sale is cancelled already.", code="sale-cancelled")
    if kinds:
        raise Conflict("Some of this sale was returned; return the rest instead.", code="sale-has-returns")
    return sale


def _money_back(session: Session, sale: Any, refund: str | None) -> tuple[Payment, ...]:
    """Return the payments by which all the money for a sale goes back."""
    paid = session.scalars(select(SalePayment).where(SalePayment.sale_id == sale.id).order_by(SalePayment.id))
    back = [Payment(each.method, each.change - each.amount, ZERO, each.reference) for each in paid]
    if refund is not None:
        check_refund_methods(session, refund, ())
        moved = sum((each.amount for each in back if each.method != refund), ZERO)
        if moved and not snapshot_of(session).payment_methods[refund].takes_refunds:
            message = f"Not all of it was paid by {refund}."
            raise ValidationFailed.at("refund", message, code="refund-more-than-paid")
        back = [each for each in back if each.method == refund]
        back += [Payment(refund, moved, ZERO, "")] if moved else []
    return ask_methods(
        session,
        back,
        field=lambda _: "refund",
        paid_by=[each.reference for each in back],
        currency=sale.currency,
        customer_id=sale.customer_id,
    )


def _known_return(session: Session, sale: Any, command: ReturnCommand) -> Outcome | None:
    if command.external_id is None:
        return None
    row = session.execute(select(Sale.id, Sale.fingerprint).where(Sale.external_id == command.external_id)).first()
    if row is None:
        return None
    if row.fingerprint == return_fingerprint(sale.id, command):
        return Outcome("duplicate", sale=sales_by_id(session, [row.id])[row.id])
    error = Conflict(
        "This external_id was used for something else; the return waits for a person to look at it.",
        code="external-id-reused",
        errors=[{"field": "external_id", "message": "Used for other content before."}],
    )
    refused = SaleCommand(
        items=(),
        external_id=command.external_id,
        channel=sale.channel,
        warehouse=sale.warehouse_id,
        source_device=command.source_device,
        payload=_as_document(sale, command.payload),
    )
    store_refused(session, [(refused, error)])
    return Outcome("rejected", error=error)


def _as_document(sale: Any, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a return's body in the form of a document's of its own, in which a person can accept it."""
    body = dict(payload)
    returns = {name: body.pop(name) for name in ("lines", "reason") if name in body}
    place = {"channel": sale.channel, "warehouse": sale.warehouse_id}
    return {**place, **body, "returns": {"sale_id": sale.id, **returns}}


def _document(session: Session, sale: Any, kind: str, source_device: str, **columns: Any) -> dict[str, Any]:
    """Return a new row of ``sale`` that takes ``sale`` back, here and now; ``columns`` say how much of it."""
    actor, snapshot, now = actor_of(session), snapshot_of(session), utc_now()
    (key,) = next_keys(session.connection(), {"sale": 1})["sale"]
    channel = runtime_of(session).registry.channels.get(sale.channel)
    prefix = (channel.number_prefix if channel else "") + NUMBER_MARKS[kind]
    return taken_back_row(
        sale,
        kind,
        id=key,
        sale_number=sale_number(prefix, Calendar.of(snapshot).day_of(now), key),
        seller_id=actor.user_id,
        seller_name=actor.name,
        source_device=actor.device or source_device,
        sale_date=format_instant(now),
        created_at=format_instant(now),
        synced_at=format_instant(now),
        currency_places=snapshot.setting("currency_places"),
        request_id=request_id_of(session),
        **columns,
    )


def _tell(session: Session, rows: DocumentRows, hook: str) -> None:
    hooks = runtime_of(session).hooks
    if not hooks.implemented(hook):
        return
    document = rows.sale
    posted = PostedSale(
        id=document["id"],
        kind=document["kind"],
        sale_number=document["sale_number"],
        channel=document["channel"],
        warehouse_id=document["warehouse_id"],
        customer_id=document["customer_id"],
        total_amount=from_units(document["total_amount"]),
        origin_id=document["origin_id"],
        payments=tuple((row["method"], from_units(row["amount"])) for row in rows.payments),
        sale=frozen(sales_by_id(session, [document["id"]])[document["id"]]),
    )
    getattr(hooks.hook, hook)(session=session, sale=posted)
