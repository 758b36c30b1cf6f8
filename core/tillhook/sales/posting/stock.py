"""The sales' way through the ledger's door."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from tillhook.access import active_warehouses, default_warehouse
from tillhook.catalogue import lock_prices
from tillhook.errors import DomainError, ValidationFailed
from tillhook.ledger import (
    Document,
    Events,
    Issue,
    Issued,
    IssueLine,
    ItemKey,
    Items,
    ShortLine,
    issue_many,
    lock_goods,
)
from tillhook.ledger import shortages as shortages_of
from tillhook.reference import Calendar
from tillhook.sales.commands import SaleCommand
from tillhook.sales.drafts import SaleDraft
from tillhook.sales.outcomes import Outcome
from tillhook.sales.posting.entries import Entry, Run
from tillhook.sales.returns import goods_of, restock_lines

#: Rows by table, of sales that can be posted.
Alongside = Callable[[Sequence[tuple[Entry, Issued]]], Mapping[str, Sequence[Mapping[str, Any]]]]


def issue_all(run: Run, entries: Iterable[Entry], alongside: Alongside, events: Events) -> None:
    """Move the goods of the open entries; those that are short are refused.

    Raises:
        RetryTransaction: A concurrent sale came between; run the transaction again.
    """
    waiting = {entry.sale_id: entry for entry in entries if entry.is_open}
    if not waiting:
        return

    def rows(issued: Sequence[Issued]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        pairs = [(waiting[each.document.id], each) for each in issued]
        # One order of external ids for everybody, so that two batches with the same sales don't deadlock.
        return alongside(sorted(pairs, key=lambda pair: pair[0].sent.external_id or ""))

    drafts = [entry.drafted for entry in waiting.values()]
    results = issue_many(
        run.session,
        [_issue(run, draft) for draft in drafts],
        items=_items(drafts),
        alongside=rows,
        events=events,
    )
    for entry, result in zip(waiting.values(), results, strict=True):
        if isinstance(result, DomainError):
            entry.outcome = Outcome("rejected", error=result)


def lock_goods_of(session: Session, commands: Sequence[SaleCommand]) -> None:
    """Lock all that commands sell and take back; whoever posts them one after another calls it first."""
    usable = active_warehouses(session)
    goods = {*_sold(session, commands), *_taken_back(session, commands)}
    lock_goods(session, [key for key in goods if key[0] in usable])
    priced = (item for command in commands for item in command.items if item.unit_price is not None)
    lock_prices(session, {item.product_id for item in priced if item.product_id is not None})


def _sold(session: Session, commands: Iterable[SaleCommand]) -> Iterator[ItemKey]:
    try:
        default = default_warehouse(session)
    except ValidationFailed:
        default = 0  # what names none is refused
    for command in commands:
        for item in command.items:
            if item.product_id is not None:
                yield command.warehouse or default, item.product_id, item.variant_id


def _taken_back(session: Session, commands: Iterable[SaleCommand]) -> Iterator[ItemKey]:
    returning = [(command.warehouse, command.returns) for command in commands if command.returns is not None]
    # Goods may come back to another warehouse than the one that sold them.
    places = {None, *(warehouse for warehouse, _ in returning)}
    for sold_at, product_id, variant_id in goods_of(session, [returns for _, returns in returning]):
        for place in places:
            yield place or sold_at, product_id, variant_id


def shortages(run: Run, draft: SaleDraft) -> tuple[ShortLine, ...]:
    """Return the lines for which the sale would be refused for want of stock."""
    return shortages_of(run.session, _issue(run, draft), items=_items([draft]))


def _issue(run: Run, draft: SaleDraft) -> Issue:
    channel, returned = draft.channel, draft.returned
    # Asked only where a lot is named: what somebody lends the seller is then on record.
    names_lot = any(line.asked.batch_number for line in draft.lines)
    return Issue(
        document=Document(draft.kind, draft.id),
        warehouse_id=draft.warehouse_id,
        occurred_at=draft.sale_date,
        channel=channel.name,
        default_policy=channel.offline_policy if draft.is_offline else channel.stock_policy,
        is_offline=draft.is_offline,
        may_sell_expired=draft.is_offline or (names_lot and run.actor.can("stock:lot:sell_expired")),
        picks_expired=draft.is_offline,
        today=Calendar.of(run.snapshot).day_of(draft.sale_date),
        fulfils=draft.command.reservation and Document(*draft.command.reservation),
        lines=[
            IssueLine(
                line=line.number,
                product_id=line.item.product_id,
                variant_id=line.item.variant_id,
                quantity=line.quantity,
                batch_number=line.asked.batch_number,
                expiry_date=line.asked.expiry_date,
            )
            for line in draft.lines
        ],
        returns=() if returned is None else restock_lines(returned, len(draft.lines)),
    )


def _items(drafts: Iterable[SaleDraft]) -> Items:
    return Items(
        {
            (draft.warehouse_id, line.item.product_id, line.item.variant_id): line.item
            for draft in drafts
            for line in draft.lines
        }
    )
