"""The one path by which any channel sells, exchanges, or takes goods back that came in a sale's own body.

Sales that sell go in together, set-based. What takes something back follows them one by one: whatever the order in
which a device sends them, a return is posted after the sale that it names, or waits for it (ADR 0010).
"""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from tillhook.sales.commands import SaleCommand
from tillhook.sales.devices import note_numbers
from tillhook.sales.exceptions import keep_refused
from tillhook.sales.isolation import post_isolated
from tillhook.sales.posting import Outcome, default_warehouse, post_batch
from tillhook.sales.queries import sales_by_id
from tillhook.sales.returns.returning import lock_families
from tillhook.sales.settled import Discarded
from tillhook.sales.waiting import post_waiting

#: Sales that go into the journal together; more in one request are taken in turns.
BATCH = 500
#: Refusals of sales that are among the exceptions already.
_KEPT = ("external-id-reused", Discarded.code)


def post_sale(session: Session, command: SaleCommand, *, is_offline: bool = False) -> Outcome:
    """Post one sale, exchange or return, or find that it was posted before.

    Returns:
        ``created`` or ``duplicate``; ``rejected`` only for an ``external_id`` that was used for other content, in
        which case the refused payload is kept and the transaction is worth committing.

    Raises:
        DomainError: The sale cannot be posted, and nothing was written.
        RetryTransaction: A concurrent sale came between; run the transaction again.
    """
    if command.returns is not None:
        # Before it is looked up: of two that are sent at once, the second must find the first, not an empty line.
        lock_families(session, [command.returns])
    outcome = post_batch(session, [command], is_offline=is_offline)[0]
    if outcome.error is not None and outcome.error.code != "external-id-reused":
        raise outcome.error
    if outcome.is_awaited:
        outcome = _with_waiting(session, [outcome])[0]
    if command.device_number is not None:
        outcome = note_numbers(session, [command], [outcome])[0]
    return outcome


def post_sales(session: Session, commands: Sequence[SaleCommand], *, is_offline: bool = True) -> list[Outcome]:
    """Post many documents, each on its own: a bad one is ``rejected`` and never stops the others.

    Returns and exchanges follow the sales, each after the document that it names. Rejected ones are kept with their
    payload for a person to look at, or until their sale arrives.
    """
    outcomes: dict[int, Outcome] = {}
    selling = [position for position, command in enumerate(commands) if command.returns is None]
    returning = _in_order(commands)
    # Before any level: whoever takes something back locks its first sale first.
    lock_families(session, [returns for position in returning if (returns := commands[position].returns) is not None])
    for start in range(0, len(selling), BATCH):
        part = selling[start : start + BATCH]
        posted = post_isolated(session, [commands[position] for position in part], is_offline)
        outcomes |= zip(part, posted, strict=True)
    if is_offline:
        # What waits came first, and has the better claim to what is left of a sale.
        post_waiting(session)
    for position in returning:
        outcomes[position] = post_isolated(session, [commands[position]], is_offline)[0]
    ordered = _with_waiting(session, [outcomes[position] for position in range(len(commands))])
    keep_refused(
        session,
        [
            (command, outcome.error)
            for command, outcome in zip(commands, ordered, strict=True)
            if outcome.error is not None and outcome.error.code not in _KEPT
        ],
    )
    return note_numbers(session, commands, ordered)


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


__all__ = ["BATCH", "Outcome", "default_warehouse", "post_sale", "post_sales"]
