"""The sales' way through the ledger: planned without locks when that suffices, and written with what goes along."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from tillhook.db import WriteBatch
from tillhook.ledger import (
    Issue,
    IssueLine,
    Item,
    StockBook,
    StockMovement,
    plan_issue,
    policy_for,
    stock_changed,
    write_movements,
)
from tillhook.ledger.models import Lot
from tillhook.ledger.movements import InsufficientStock, Plan, ShortLine
from tillhook.ledger.planning import NeedsLock
from tillhook.ledger.reservations import release
from tillhook.sales.calendar import business_day
from tillhook.sales.drafts import SaleDraft
from tillhook.sales.posting.entries import Entry, Run, each
from tillhook.sales.returns.goods import movements_back

#: Batch, and earliest expiry, of the lots that serve a line; several batches joined by commas.
LotName = tuple[str, str | None]
Alongside = Callable[[Sequence[tuple[Entry, Mapping[int, LotName]]]], Mapping[str, Sequence[Mapping[str, Any]]]]


def issue_all(run: Run, entries: list[Entry], alongside: Alongside, events: Callable[[], Iterable[Any]]) -> list[Entry]:
    """Return the entries after their goods have moved; those that are short are refused.

    Args:
        alongside: Asked once, when all is planned, for rows by table to be written in the same statement.
        events: Further events to record.

    Raises:
        RetryTransaction: A concurrent sale came between; run the transaction again.
    """
    session = run.session
    optimistic = len(entries) == 1 and session.info.get("attempt") == 0
    issues = {entry.sale_id: _issue(run, entry.drafted) for entry in entries if entry.is_open}
    # Lots are picked by what is left of them, whatever the policy.
    exact = any(
        line.policy != "allow" or line.item.tracking == "lot" for issue in issues.values() for line in issue.lines
    )
    try:
        book, plans, entries = _planned(run, entries, issues, locked=exact and not optimistic)
    except NeedsLock:
        book, plans, entries = _planned(run, entries, issues, locked=True)
    # One order of external ids for everybody, so that two batches with the same sales don't deadlock.
    ordered = sorted((entry for entry in entries if entry.is_open), key=lambda entry: entry.sent.external_id or "")
    if not ordered:
        return entries
    lots = _lot_names(session.connection(), plans)
    batch = WriteBatch(session.connection())
    for table, rows in alongside([(entry, lots.get(entry.sale_id, {})) for entry in ordered]).items():
        batch.insert(table, rows)
    movements = [movement for entry in ordered for movement in plans[entry.sale_id].movements]
    at_least: dict[Any, int] = {}
    for entry in ordered:
        movements += _movements_back(run, entry.drafted)
        for key, units in () if book.is_locked else plans[entry.sale_id].at_least.items():
            at_least[key] = at_least.get(key, 0) + units
    levels = write_movements(session, movements, at_least=at_least, batch=batch)
    stock_changed(session, movements, levels, _known_items(ordered), events())
    return entries


def shortages(run: Run, draft: SaleDraft) -> tuple[ShortLine, ...]:
    """Return the lines for which the sale would be refused for want of stock."""
    book = StockBook(run.session)
    _fill(book, [draft])
    # What was read is all that a quote goes by.
    book.is_locked = True
    try:
        plan_issue(run.session, book, _issue(run, draft))
    except InsufficientStock as error:
        return tuple(error.short)
    return ()


def _planned(
    run: Run, entries: list[Entry], issues: Mapping[int, Issue], *, locked: bool
) -> tuple[StockBook, dict[int, Plan], list[Entry]]:
    """Plan every sale on one book, in order, refusing the short ones."""
    book, drafts = StockBook(run.session), [entry.drafted for entry in entries if entry.is_open]
    for draft in drafts:
        if draft.command.reservation is not None:
            release(run.session, *draft.command.reservation, outcome="fulfilled")
            locked = True
    _fill(book, drafts)
    if locked:
        book.lock([(line.item, draft.warehouse_id) for draft in drafts for line in draft.lines])
    plans: dict[int, Plan] = {}

    def step(entry: Entry) -> Entry:
        plans[entry.sale_id] = plan_issue(run.session, book, issues[entry.sale_id])
        return entry

    return book, plans, each(entries, step)


def _fill(book: StockBook, drafts: Sequence[SaleDraft]) -> None:
    by_warehouse: dict[int, set[int]] = {}
    for draft in drafts:
        for line in draft.lines:
            book.add_item(line.item, draft.warehouse_id)
            if line.item.tracking == "lot":
                by_warehouse.setdefault(draft.warehouse_id, set()).add(line.item.variant_id)
    for warehouse_id, variants in by_warehouse.items():
        book.add_lots(sorted(variants), warehouse_id)


def _issue(run: Run, draft: SaleDraft) -> Issue:
    channel = draft.channel
    default = channel.offline_policy if draft.is_offline else channel.stock_policy

    def policy(item: Item) -> str:
        if item.tracking == "none":
            return "allow"
        return policy_for(
            run.session,
            item.product_id,
            draft.warehouse_id,
            channel.name,
            is_offline=draft.is_offline,
            default=default,
        )

    return Issue(
        document_type=draft.kind,
        document_id=draft.id,
        warehouse_id=draft.warehouse_id,
        occurred_at=draft.sale_date,
        channel=channel.name,
        may_sell_expired=draft.is_offline or run.actor.can("stock:lot:sell_expired"),
        picks_expired=draft.is_offline,
        today=business_day(run.snapshot, draft.sale_date),
        lines=[
            IssueLine(
                line=line.number,
                item=line.item,
                quantity=line.quantity,
                policy=policy(line.item),
                batch_number=line.asked.batch_number,
                expiry_date=line.asked.expiry_date,
            )
            for line in draft.lines
        ],
    )


def _movements_back(run: Run, draft: SaleDraft) -> list[StockMovement]:
    if draft.returned is None:
        return []
    return movements_back(
        run.session,
        draft.returned,
        document_type=draft.kind,
        document_id=draft.id,
        warehouse_id=draft.warehouse_id,
        channel=draft.channel.name,
        occurred_at=draft.sale_date,
        first_number=len(draft.lines),
    )


def _known_items(entries: Sequence[Entry]) -> list[Item]:
    # A batch may post to several warehouses, or take back what it does not sell; then totals are read again.
    drafts = [entry.drafted for entry in entries]
    if len({draft.warehouse_id for draft in drafts}) > 1 or any(draft.returned for draft in drafts):
        return []
    return list({line.item.variant_id: line.item for draft in drafts for line in draft.lines}.values())


def _lot_names(connection: Connection, plans: Mapping[int, Plan]) -> dict[int, dict[int, LotName]]:
    """Return batch and expiry by sale and line number, of lines that took lots."""
    wanted = {lot_id for plan in plans.values() for lots in plan.lots.values() for lot_id in lots}
    if not wanted:
        return {}
    rows = connection.execute(select(Lot.id, Lot.batch_number, Lot.expiry_date).where(Lot.id.in_(sorted(wanted))))
    names = {row.id: row for row in rows}
    result: dict[int, dict[int, LotName]] = {}
    for sale_id, plan in plans.items():
        for number, lots in plan.lots.items():
            if lots:
                expiries = sorted(expiry for lot in lots if (expiry := names[lot].expiry_date) is not None)
                batches = ", ".join(names[lot].batch_number for lot in lots)
                result.setdefault(sale_id, {})[number] = (batches, expiries[0].isoformat() if expiries else None)
    return result
