"""Sales on their way into the journal together, set-based: one sale is a batch of one.

A pipeline over one :class:`Entry` per sale. Reading, pricing and planning happen first, in memory; then the documents'
rows, the movements and the levels are written in one statement, levels last, so that a hot level is locked for as
short as can be.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from tillhook.sales.commands import SaleCommand
from tillhook.sales.outcomes import Outcome
from tillhook.sales.posting.entries import new_run
from tillhook.sales.posting.prepare import prepare
from tillhook.sales.posting.quote import Quote, QuoteLine, quote
from tillhook.sales.posting.reading import giving_way, read
from tillhook.sales.posting.recognise import recognise
from tillhook.sales.posting.stock import lock_goods_of
from tillhook.sales.posting.tell import tell
from tillhook.sales.posting.tenders import has_check
from tillhook.sales.posting.write import write

__all__ = ["Quote", "QuoteLine", "giving_way", "lock_goods_of", "post_batch", "quote"]


def post_batch(session: Session, commands: Sequence[SaleCommand], *, is_offline: bool) -> list[Outcome]:
    """Post sales that do not depend on each other, all that can be posted.

    Raises:
        RetryTransaction: A concurrent sale came between; run the transaction again.
    """
    outcomes: list[Outcome] = []
    parts = list(_parts(session, commands))
    if len(parts) > 1:
        lock_goods_of(session, commands)
    for part in parts:
        run = new_run(session, is_offline=is_offline)
        reading = read(run, part)
        entries = recognise(run, part, reading)
        prepare(run, entries, reading.goods)
        write(run, entries)
        outcomes += tell(run, entries)
    return outcomes


def _parts(session: Session, commands: Sequence[SaleCommand]) -> Iterator[Sequence[SaleCommand]]:
    """Cut the batch before each sale that is paid by a method with a check: that sees the sales before it written."""
    start = 0
    for position, command in enumerate(commands):
        if position > start and has_check(session, command):
            yield commands[start:position]
            start = position
    yield commands[start:]
