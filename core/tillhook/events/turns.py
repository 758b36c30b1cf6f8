"""Work that goes from worker to worker, one at a time: a lease in the work's row, not a lock held while it is done.

A lease ends by itself when its worker gives no sign of life, so that another one takes over. Who lost it that way
finds out when it gives the turn back, in the transaction of what it did, and that is undone. All moments are of the
database's clock: workers on machines whose clocks differ agree on who has what.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from tillhook.db import database_now
from tillhook.events.models import TurnMixin

Turn = TypeVar("Turn", bound=TurnMixin)

#: How long a worker may give no sign of life before others take over.
LEASE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(minutes=5)
_MAX_ERROR = 500


class TurnLost(Exception):
    """The worker gave no sign of life for so long that another one may have taken the turn."""


def take(session: Session, model: type[Turn], name: str, worker: str, *, early: bool = False) -> Turn | None:
    """Take a turn that is due, or with ``early`` any that nobody has; ``None`` when it is not to be had."""
    now = database_now(session)
    statement = update(model).where(model.name == name, is_free(model, now))
    if not early:
        statement = statement.where(is_due(model, now))
    values = {"held_by": worker, "held_since": now, "held_until": now + LEASE}
    return session.scalars(
        statement.values(**values).returning(model), execution_options={"synchronize_session": False}
    ).one_or_none()


def is_free(model: type[TurnMixin], now: datetime) -> ColumnElement[bool]:
    """Return the condition that nobody has the turn.

    Nobody gets one for so long as the last part says: it was given while the clock was wrong.
    """
    return or_(model.held_until.is_(None), model.held_until < now, model.held_until > now + 2 * LEASE)


def is_due(model: type[TurnMixin], now: datetime) -> ColumnElement[bool]:
    """Return the condition that the turn may be taken; no pause is so long as the second part says, see above."""
    return or_(model.next_at <= now, and_(model.failures > 0, model.next_at > now + 2 * _LONGEST_PAUSE))


def keep(session: Session, model: type[TurnMixin], name: str, worker: str, **values: Any) -> None:
    """Enter what was achieved so far, and go on.

    Raises:
        TurnLost: The transaction is to be undone.
    """
    _change(session, model, name, worker, held_until=database_now(session) + LEASE, failures=0, last_error="", **values)


def give_back(session: Session, model: type[TurnMixin], name: str, worker: str, **values: Any) -> None:
    """Enter what was achieved, and let others have the next turn; raises as :func:`keep`."""
    _change(session, model, name, worker, **_NOBODY, failures=0, last_error="", **values)


def give_up(
    session: Session,
    model: type[TurnMixin],
    name: str,
    worker: str,
    error: BaseException,
    latest: datetime | None = None,
) -> None:
    """Enter a failure: the next try comes after a pause, and at ``latest`` then; raises as :func:`keep`."""
    failures = session.scalars(select(model.failures).where(model.name == name)).one() + 1
    next_at = database_now(session) + pause_after(failures)
    values = {"failures": failures, "last_error": f"{type(error).__name__}: {error}"[:_MAX_ERROR]}
    _change(session, model, name, worker, **_NOBODY, **values, next_at=min(next_at, latest or next_at))


def enter_lost(session: Session, model: type[TurnMixin]) -> None:
    """Enter as failures the turns whose worker gave no sign of life: what takes its process with it pauses too."""
    now = database_now(session)
    lost = select(model.name, model.held_by, model.failures).where(model.held_until < now)
    # A worker that was suspended while it gave a turn back has the row until the database ends its transaction.
    for name, worker, failures in session.execute(lost.with_for_update(skip_locked=True)).all():
        values = {"failures": failures + 1, "last_error": f"its worker {worker} gave no sign of life"}
        free = update(model).where(model.name == name).values(**_NOBODY, **values)
        session.execute(free.values(next_at=now + pause_after(failures + 1)), **_PLAIN)


def pause_after(failures: int) -> timedelta:
    """Return how long to wait after so many failures: 1 s, doubling to 5 minutes."""
    return min(timedelta(seconds=2 ** min(failures - 1, 20)), _LONGEST_PAUSE)


def renew(session: Session, model: type[TurnMixin], worker: str, names: Collection[str]) -> None:
    """Let the worker keep these turns, as far as it has them.

    Others that are its own by their rows are not renewed: work that could not be given back when it ended, for the
    database was away, goes to whoever comes first.
    """
    if names:
        held = update(model).where(model.held_by == worker, model.name.in_(names))
        session.execute(held.values(held_until=database_now(session) + LEASE), **_PLAIN)


def _change(session: Session, model: type[TurnMixin], name: str, worker: str, **values: Any) -> None:
    statement = update(model).where(model.name == name, model.held_by == worker).values(**values)
    if not session.execute(statement, **_PLAIN).rowcount:  # type: ignore[attr-defined]
        raise TurnLost(name)


_NOBODY = {"held_by": None, "held_since": None, "held_until": None}
#: The rows are read anew whenever they are needed.
_PLAIN: Any = {"execution_options": {"synchronize_session": False}}
