"""Whose sale it is: the actor's, or that of the person whom a till's device names."""

from tillhook.access import name_at
from tillhook.errors import ValidationFailed
from tillhook.sales.commands import SaleCommand
from tillhook.sales.drafts import DraftLine
from tillhook.sales.posting.entries import Run

FLAG = "unknown-seller"
#: In ``Session.info``: the names that were looked up.
_NAMES = "named_sellers"


def seller_of(
    run: Run, command: SaleCommand, lines: tuple[DraftLine, ...]
) -> tuple[int | None, str, tuple[DraftLine, ...]]:
    """Return the seller's key and name, and the lines, flagged where nobody of that key works at the warehouse.

    Such a sale is the device's own: it has happened.

    Raises:
        ValidationFailed: 422 ``unknown-seller``, ``seller_id`` named: online, where it can still be said right.
    """
    actor = run.actor
    if command.seller_id in (None, actor.user_id):
        return actor.user_id, actor.name, lines
    name = _name(run, command)
    if name is not None:
        return command.seller_id, name, lines
    if not run.is_offline:
        raise ValidationFailed.at("seller_id", "Nobody of this key works here.", code=FLAG)
    return actor.user_id, actor.name, tuple(line.flagged(FLAG) for line in lines)


def _name(run: Run, command: SaleCommand) -> str | None:
    """Return the name of the person whom a sale names; looked up once for all the sales of a batch."""
    assert command.seller_id is not None and command.warehouse is not None
    names: dict[tuple[int, int], str | None] = run.session.info.setdefault(_NAMES, {})
    key = (command.seller_id, command.warehouse)
    if key not in names:
        names[key] = name_at(run.session, *key)
    return names[key]
