"""Recording, sequencing and reading events.

Keys become visible out of order on PostgreSQL, so nobody may read "id greater than the last one". Instead every
committed event gets a ``seq``, once: whoever reads first takes a lock and numbers what has become visible.
Since unnumbered rows are found by being unnumbered, a transaction that commits late is numbered late and never
lost. Within one numbering the order is that of the keys; a posting takes its events' keys after its level locks, so
the events of one stock level are numbered in the order in which its transactions committed.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from tillhook.db import AdvisoryLock, advisory_lock, among, format_instant, insert_rows, utc_now
from tillhook.events.models import OutboxEvent
from tillhook.hooks import Event
from tillhook.runtime import runtime_of

#: Name, payload and warehouse of an event.
NewEvent = tuple[str, dict[str, Any], int | None]
#: The first event after ``tillhook restore``; its number is far above all that were given out before.
RESTORED = "platform:database-restored"
#: Events that are numbered at once; a backlog of any size is numbered without a long transaction.
CHUNK = 1000


def record(session: Session, name: str, payload: dict[str, Any], warehouse_id: int | None = None) -> None:
    """Write one event into the outbox, in the caller's transaction."""
    record_many(session, [(name, payload, warehouse_id)])


def record_many(session: Session, events: Iterable[NewEvent]) -> None:
    """Write (name, payload, warehouse) events in one statement; names must be registered.

    Payloads are JSON values; amounts and quantities in them are numbers or text, never floats of money.
    """
    insert_rows(session.connection(), "outbox", event_rows(session, events))


def event_rows(session: Session, events: Iterable[NewEvent]) -> list[dict[str, Any]]:
    """Return the rows of ``outbox`` by which events are recorded, for who writes them with other rows."""
    known = runtime_of(session).registry.events
    now = format_instant(utc_now())
    rows = []
    for name, payload, warehouse_id in events:
        if name not in known:
            raise ValueError(f"event {name!r} is not registered")
        rows.append({"name": name, "payload": payload, "warehouse_id": warehouse_id, "occurred_at": now})
    return rows


def sequence_events(session: Session, limit: int = CHUNK) -> int:
    """Number committed events that have no ``seq`` yet, the oldest ``limit``, and return how many there were.

    Needs a transaction that writes, with nothing slow after it: whoever else numbers waits for its end.
    """
    session.flush()
    advisory_lock(session, AdvisoryLock.EVENT_SEQUENCE)
    numbered = session.execute(
        text(
            "UPDATE outbox SET seq = n.seq FROM (SELECT id, row_number() OVER (ORDER BY id)"
            " + (SELECT COALESCE(MAX(seq), 0) FROM outbox) AS seq"
            " FROM (SELECT id FROM outbox WHERE seq IS NULL ORDER BY id LIMIT :limit) AS oldest) AS n"
            " WHERE outbox.id = n.id"
        ),
        {"limit": limit},
    )
    return int(numbered.rowcount)  # type: ignore[attr-defined]


def read_events(session: Session, after: int, limit: int = 100, names: Sequence[str] | None = None) -> list[Event]:
    """Return numbered events after ``after``, in order, at most ``limit``."""
    query = select(_SEQ, OutboxEvent.name, OutboxEvent.payload, OutboxEvent.warehouse_id, OutboxEvent.occurred_at)
    query = query.where(after < _SEQ).order_by(_SEQ).limit(limit)
    if names is not None:
        query = query.where(OutboxEvent.name.in_(names))
    return [Event(*row) for row in session.execute(query)]


def newest_seq(session: Session) -> int:
    """Return the ``seq`` of the newest event that is numbered; 0 when none is."""
    return session.scalar(select(func.max(_SEQ))) or 0


def count_unnumbered(session: Session) -> int:
    """Return how many events wait for their number."""
    return session.scalar(select(func.count()).where(_SEQ.is_(None))) or 0


def delete_events(session: Session, until: int, before: datetime, limit: int) -> int:
    """Delete events up to the ``seq`` ``until`` that occurred before a moment, the oldest ``limit`` at most.

    The newest one stays, for the numbers go on from it. Returns how many there were.
    """
    oldest = select(OutboxEvent.id, OutboxEvent.occurred_at).where(min(until, newest_seq(session) - 1) >= _SEQ)
    old = oldest.order_by(_SEQ).limit(limit).subquery()
    keys = list(session.scalars(select(old.c.id).where(old.c.occurred_at < before)))
    if keys:
        session.execute(delete(OutboxEvent).where(among(OutboxEvent.id, keys)), **_PLAIN)
    return len(keys)


_SEQ = OutboxEvent.seq
_PLAIN: Any = {"execution_options": {"synchronize_session": False}}
