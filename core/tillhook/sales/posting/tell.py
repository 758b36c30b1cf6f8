"""Last stage: the hooks are told, refusals of before are closed, and each sale has its outcome."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tillhook.hooks import frozen
from tillhook.ledger import TakenLot
from tillhook.quantities import to_units
from tillhook.sales.answers import Row, show_sale
from tillhook.sales.drafts import PostedSale
from tillhook.sales.exceptions import close_posted, store_cut
from tillhook.sales.outcomes import Outcome
from tillhook.sales.posting.entries import Entry, Run
from tillhook.sales.queries import sales_by_id


def tell(run: Run, entries: list[Entry]) -> list[Outcome]:
    """Return an outcome per sale, in the order asked."""
    posted = [entry for entry in entries if entry.is_open]
    repeated = [entry.duplicate_of for entry in entries if entry.duplicate_of is not None]
    found = sales_by_id(run.session, [*repeated, *(entry.sale_id for entry in posted if entry.drafted.returned)])
    shown = {entry.sale_id: _show(run, entry, found) for entry in posted}
    _tell_hooks(run, posted, shown)
    close_posted(run.session, [(entry.sent, entry.sale_id) for entry in posted if entry.was_refused])
    for entry in posted:
        if entry.drafted.returned is not None:
            store_cut(run.session, entry.sent, entry.drafted)
    outcomes: list[Outcome] = []
    for entry in entries:
        if entry.outcome is not None:
            outcomes.append(entry.outcome)
        elif entry.duplicate_of is not None:
            outcomes.append(Outcome("duplicate", sale=found[entry.duplicate_of]))
        elif entry.repeats is not None:
            first = outcomes[entry.repeats]
            outcomes.append(replace(first, status="duplicate") if first.status == "created" else first)
        else:
            outcomes.append(Outcome("created", sale=shown[entry.sale_id], is_awaited=entry.is_awaited))
    return outcomes


def _tell_hooks(run: Run, posted: Sequence[Entry], shown: dict[int, dict[str, Any]]) -> None:
    sold = [entry for entry in posted if entry.drafted.kind != "return"]
    if sold and run.hooks.implemented("sales_posted"):
        sales = tuple(_posted(entry, shown[entry.sale_id]) for entry in sold)
        run.hooks.hook.sales_posted(session=run.session, sales=sales)
    if len(sold) < len(posted) and run.hooks.implemented("sale_returned"):
        for entry in posted:
            if entry.drafted.kind == "return":
                run.hooks.hook.sale_returned(session=run.session, sale=_posted(entry, shown[entry.sale_id]))


def _posted(entry: Entry, shown: dict[str, Any]) -> PostedSale:
    """Return what hooks see of a posted sale; payments are net of change."""
    draft = entry.drafted
    return PostedSale(
        id=draft.id,
        kind=draft.kind,
        sale_number=shown["sale_number"],
        channel=draft.channel.name,
        warehouse_id=draft.warehouse_id,
        customer_id=draft.command.customer_id,
        total_amount=draft.totals.total_amount,
        origin_id=draft.returned.origin.sale.id if draft.returned else None,
        payments=tuple((payment.method, payment.amount - payment.change) for payment in draft.payments),
        sale=frozen(shown),
    )


def _show(run: Run, entry: Entry, found: dict[int, dict[str, Any]]) -> dict[str, Any]:
    draft, rows = entry.drafted, entry.rows
    if draft.returned is not None:
        return found[draft.id]
    assert rows is not None
    return show_sale(
        rows.sale,
        rows.lines,
        rows.payments,
        warehouse_name=run.snapshot.warehouses[draft.warehouse_id].name,
        default_variants={line.item.variant_id for line in draft.lines if line.item.is_default},
        lots={number: list(map(_lot, lots)) for number, lots in rows.lots.items()},
        warnings=rows.sent["warnings"] if rows.sent else (),
    )


def _lot(lot: TakenLot) -> Row:
    units = {"quantity": to_units(lot.quantity), "returned_quantity": 0}
    return {"batch_number": lot.batch_number, "expiry_date": lot.expiry_date, **units}
