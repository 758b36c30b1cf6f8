"""The one path by which any channel sells, exchanges, or takes goods back that came in a sale's own body.

Sales that sell go in together, set-based. What takes something back follows them one by one: whatever the order in
which a device sends them, a return is posted after the sale that it names, or waits for it (ADR 0010).
"""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from tillhook.db import wait_in_line
from tillhook.sales.commands import SaleCommand
from tillhook.sales.exceptions import Discarded, store_refused
from tillhook.sales.offline.isolation import post_isolated
from tillhook.sales.offline.numbers import note_numbers
from tillhook.sales.offline.waiting import post_waiting
from tillhook.sales.outcomes import Outcome
from tillhook.sales.posting import giving_way, lock_goods_of, post_batch
from tillhook.sales.queries import sales_by_id
from tillhook.sales.returns import lock_families

#: Sales that go into the journal together; more in one request are taken in turns.
BATCH = 500
#: Refusals of what is among the exceptions already.
_STORED = ("external-id-reused", Discarded.code)


def post_sale(session: Session, command: SaleCommand, *, is_offline: bool = False) -> Outcome:
    """Post one sale, exchange or return, or find that it was posted before.

    Returns:
        ``created`` or ``duplicate``; ``rejected`` only for an ``external_id`` that was used for other content, in
        which case the refused payload is stored and the transaction is worth committing.

    Raises:
        DomainError: The sale cannot be posted, and nothing was written.
        RetryTransaction: A concurrent sale came between; run the transaction again.
    """
    if command.returns is not None:
        # Before it is looked up: of two that are sent at once, the second must find the first, not an empty line.
        lock_families(session, [command.returns])
    with giving_way(session):
        outcome = post_batch(session, [command], is_offline=is_offline)[0]
        if outcome.error is not None and outcome.error.code != "external-id-reused":
            raise outcome.error
        return note_numbers(session, [command], _with_waiting(session, [outcome]))[0]


def post_sales(session: Session, commands: Sequence[SaleCommand], *, is_offline: bool = True) -> list[Outcome]:
    """Post many documents, each on its own: a bad one is ``rejected`` and never stops the others.

    Returns and exchanges follow the sales, each after the document that it names. Rejected ones are stored with their
    payload for a person to look at, or until their sale arrives.
    """
    return settle_refused(session, commands, post_each(session, commands, is_offline=is_offline))


def post_each(session: Session, commands: Sequence[SaleCommand], *, is_offline: bool) -> list[Outcome]:
    """Post what can be posted; the rest is to go to :func:`settle_refused`."""
    outcomes: dict[int, Outcome] = {}
    selling = [position for position, command in enumerate(commands) if command.returns is None]
    returning = _in_order(commands)
    if len(commands) > 1:
        wait_in_line(session.connection())
    # Before any level: whoever takes something back locks its first sale first.
    lock_families(session, [returns for position in returning if (returns := commands[position].returns) is not None])
    if len(selling) > BATCH or (returning and len(commands) > 1):
        lock_goods_of(session, commands)
    for start in range(0, len(selling), BATCH):
        part = selling[start : start + BATCH]
        posted = post_isolated(session, [commands[position] for position in part], is_offline)
        outcomes |= zip(part, posted, strict=True)
    if is_offline:
        # What waits came first, and has the better claim to what is left of a sale.
        post_waiting(session)
    for position in returning:
        outcomes[position] = post_isolated(session, [commands[position]], is_offline)[0]
    return _with_waiting(session, [outcomes[position] for position in range(len(commands))])


def settle_refused(session: Session, commands: Sequence[SaleCommand], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Store what was refused, enter the devices' numbers, and return the outcomes with reused numbers marked."""
    refused = [
        (command, outcome.error)
        for command, outcome in zip(commands, outcomes, strict=True)
        if outcome.error is not None and outcome.error.code not in _STORED
    ]
    store_refused(session, refused)
    return note_numbers(session, commands, outcomes)


def _in_order(commands: Sequence[SaleCommand]) -> list[int]:
    """Return the positions of what takes something back, each after the one among them that it names."""
    by_id = {
        command.external_id: position
        for position, command in enumerate(commands)
        if command.returns is not None and command.external_id is not None
    }
    ordered: dict[int, None] = {}
    for position, command in enumerate(commands):
        chain: dict[int, None] = {}
        each: int | None = position if command.returns is not None else None
        while each is not None and each not in ordered and each not in chain:
            chain[each] = None
            returns = commands[each].returns
            each = by_id.get(returns.external_id or "") if returns is not None else None
        ordered |= dict.fromkeys(reversed(chain))
    return list(ordered)


def _with_waiting(session: Session, outcomes: list[Outcome]) -> list[Outcome]:
    """Post the returns that waited for what was just posted, and show that as it then is."""
    awaited = [outcome.sale["id"] for outcome in outcomes if outcome.is_awaited and outcome.sale is not None]
    if not awaited:
        return outcomes
    post_waiting(session)
    shown = sales_by_id(session, awaited)
    return [
        outcome.showing(shown[outcome.sale["id"]]) if outcome.is_awaited and outcome.sale is not None else outcome
        for outcome in outcomes
    ]
