"""The moves of an exception from one state to another; nothing else sets ``status``.

Each is one UPDATE that leaves an exception alone which is not in a state that the move begins in. An exception that
the session has loaded is to be refreshed afterwards.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, exists, update
from sqlalchemy.orm import Session, aliased

from tillhook.db import utc_now
from tillhook.errors import DomainError
from tillhook.runtime import actor_of
from tillhook.sales.commands import SaleCommand
from tillhook.sales.models import SaleException

OPEN, WAITING, ACCEPTED, DISCARDED = STATES = ("open", "waiting", "accepted", "discarded")
#: Somebody or something has still to settle these.
UNSETTLED = (OPEN, WAITING)


@dataclass(frozen=True, slots=True)
class Move:
    """From which states to which."""

    sources: tuple[str, ...]
    target: str


#: As the table in the package's docstring says.
MOVES = {
    "accept": Move(UNSETTLED, ACCEPTED),
    "discard": Move(UNSETTLED, DISCARDED),
    "post": Move((OPEN,), ACCEPTED),
    "arrive": Move((WAITING,), ACCEPTED),
    "reopen": Move((WAITING,), OPEN),
    "merge": Move((WAITING,), DISCARDED),
}


def accept(session: Session, exception_id: int, reason: str, sale_id: int) -> bool:
    """Note that the actor had it posted; return whether it moved."""
    return _settle(session, "accept", exception_id, reason, sale_id=sale_id, resolved_by=actor_of(session).user_id)


def discard(session: Session, exception_id: int, reason: str) -> bool:
    """Note that the actor wants it never posted; return whether it moved. What was posted in part stays posted."""
    return _settle(session, "discard", exception_id, reason, resolved_by=actor_of(session).user_id)


def arrive(session: Session, exception_id: int, sale_id: int) -> bool:
    """Note that a waiting return was posted by itself; return whether it moved."""
    return _settle(session, "arrive", exception_id, "Posted when its sale arrived.", sale_id=sale_id)


def reopen(session: Session, exception_id: int, error: DomainError, digest: str) -> bool:
    """Open a waiting return that cannot be posted although its sale is there; return whether it moved.

    It does not when the same was refused for that reason before: then a person has it already, see :func:`merge`.
    """
    other = aliased(SaleException)
    unknown = ~exists().where(other.digest == digest)
    return _move(
        session,
        "reopen",
        SaleException.id == exception_id,
        unknown,
        code=error.code,
        detail=error.detail,
        digest=digest,
    )


def merge(session: Session, exception_id: int) -> bool:
    """Discard a waiting return that is among the exceptions for its reason already; return whether it moved."""
    return _settle(session, "merge", exception_id, "Stored once more, for the reason why it was refused.")


def close_posted(session: Session, posted: Iterable[tuple[SaleCommand, int]]) -> None:
    """Close what was refused of the actor's documents that have been posted now, by key."""
    for command, sale_id in posted:
        _move(
            session,
            "post",
            SaleException.external_id == command.external_id,
            SaleException.seller_id == actor_of(session).user_id,
            # A posted return that was capped is among the exceptions for what it lacks.
            SaleException.sale_id.is_(None),
            SaleException.code != "external-id-reused",
            sale_id=sale_id,
            resolution="Posted when it was sent again.",
            resolved_at=utc_now(),
        )


def _settle(session: Session, name: str, exception_id: int, reason: str, **values: Any) -> bool:
    return _move(session, name, SaleException.id == exception_id, resolution=reason, resolved_at=utc_now(), **values)


def _move(session: Session, name: str, *conditions: ColumnElement[bool], **values: Any) -> bool:
    move = MOVES[name]
    moved = session.execute(
        update(SaleException)
        .where(*conditions, SaleException.status.in_(move.sources))
        .values(status=move.target, **values)
        # Of a thousand that are being posted, each would be compared with all the others.
        .execution_options(synchronize_session=False)
    )
    assert isinstance(moved, CursorResult)
    return bool(moved.rowcount)
