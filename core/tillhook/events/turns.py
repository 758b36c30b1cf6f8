"""Work that goes from worker to worker, one at a time: a lease in the work's row, not a lock held while it is done.

A lease ends by itself when its worker gives no sign of life, so that another one takes over. Who lost it that way
finds out when it gives the turn back, in the transaction of what it did, and that is undone.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from tillhook.db import utc_now
from tillhook.events.models import TurnMixin

Turn = TypeVar("Turn", bound=TurnMixin)

#: How long a worker may give no sign of life before others take over.
LEASE = timedelta(seconds=30)
_LONGEST_PAUSE_S = 300
_MAX_ERROR = 500


class TurnLost(Exception):
    """The worker gave no sign of life for so long that another one may have taken the turn."""


def take(session: Session, model: type[Turn], name: str, worker: str, *, early: bool = False) -> Turn | None:
    """Take a turn that is due, or with ``early`` any that nobody has; ``None`` when it is not to be had."""
    now = utc_now()
    statement = update(model).where(model.name == name, is_free(model, now))
    if not early:
        statement = statement.where(model.next_at <= now)
    values = {"held_by": worker, "held_since": now, "held_until": now + LEASE}
    return session.scalars(
        statement.values(**values).returning(model), execution_options={"synchronize_session": False}
    ).one_or_none()


def is_free(model: type[TurnMixin], now: datetime) -> ColumnElement[bool]:
    """Return the condition that nobody has the turn."""
    return or_(model.held_until.is_(None), model.held_until < now)


def keep(session: Session, model: type[TurnMixin], name: str, worker: str, **values: Any) -> None:
    """Enter what was achieved so far, and go on.

    Raises:
        TurnLost: The transaction is to be undone.
    """
    _change(session, model, name, worker, held_until=utc_now() + LEASE, failures=0, last_error="", **values)


def give_back(session: Session, model: type[TurnMixin], name: str, worker: str, **values: Any) -> None:
    """Enter what was achieved, and let others have the next turn; raises as :func:`keep`."""
    _change(session, model, name, worker, **_NOBODY, failures=0, last_error="", **values)


def give_up(
    session: Session,
    model: type[TurnMixin],
    name: str,
    worker: str,
    error: Exception,
    latest: datetime | None = None,
) -> None:
    """Enter a failure: the next try comes after a pause, and at ``latest`` then; raises as :func:`keep`."""
    failures = session.scalars(select(model.failures).where(model.name == name)).one() + 1
    next_at = utc_now() + pause_after(failures)
    values = {"failures": failures, "last_error": f"{type(error).__name__}: {error}"[:_MAX_ERROR]}
    _change(session, model, name, worker, **_NOBODY, **values, next_at=min(next_at, latest or next_at))


def pause_after(failures: int) -> timedelta:
    """Return how long to wait after so many failures: 1 s, doubling to 5 minutes."""
    return timedelta(seconds=min(2 ** min(failures - 1, 20), _LONGEST_PAUSE_S))


def renew(session: Session, models: Iterable[type[TurnMixin]], worker: str) -> None:
    """Give a sign of life: what the worker has in hand stays its own."""
    for model in models:
        session.execute(update(model).where(model.held_by == worker).values(held_until=utc_now() + LEASE), **_PLAIN)


def _change(session: Session, model: type[TurnMixin], name: str, worker: str, **values: Any) -> None:
    statement = update(model).where(model.name == name, model.held_by == worker).values(**values)
    if not session.execute(statement, **_PLAIN).rowcount:  # type: ignore[attr-defined]
        raise TurnLost(name)


_NOBODY = {"held_by": None, "held_since": None, "held_until": None}
#: The rows are read anew whenever they are needed.
_PLAIN: Any = {"execution_options": {"synchronize_session": False}}
