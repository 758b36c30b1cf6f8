"""Recording, sequencing and reading events.

Keys become visible out of order on PostgreSQL, so nobody may read "id greater than the last one". Instead every
committed event gets a ``seq``, once: whoever reads first takes a lock and numbers what has become visible.
Since unnumbered rows are found by being unnumbered, a transaction that commits late is numbered late and never
lost. Within one numbering the order is that of the keys; a posting takes its events' keys after its level locks, so
the events of one stock level are numbered in the order in which its transactions committed.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tillhook.db import AdvisoryLock, advisory_lock, as_instant, format_instant, insert_rows, utc_now
from tillhook.events.models import ConsumerCursor, OutboxEvent
from tillhook.hooks import Consumer, Event
from tillhook.runtime import runtime_of


def record(session: Session, name: str, payload: dict[str, Any], warehouse_id: int | None = None) -> None:
    """Write one event into the outbox, in the caller's transaction."""
    record_many(session, [(name, payload, warehouse_id)])


def record_many(session: Session, events: Iterable[tuple[str, dict[str, Any], int | None]]) -> None:
    """Write (name, payload, warehouse) events in one statement; names must be registered.

    Payloads are JSON values; amounts and quantities in them are numbers or text, never floats of money.
    """
    known = runtime_of(session).registry.events
    now = format_instant(utc_now())
    rows = []
    for name, payload, warehouse_id in events:
        if name not in known:
            raise ValueError(f"event {name!r} is not registered")
        rows.append({"name": name, "payload": payload, "warehouse_id": warehouse_id, "occurred_at": now})
    insert_rows(session.connection(), "outbox", rows)


def sequence_events(session: Session) -> None:
    """Number every committed event that has no ``seq`` yet; needs a transaction that writes."""
    session.flush()
    advisory_lock(session, AdvisoryLock.EVENT_SEQUENCE)
    session.execute(
        text(
            "UPDATE outbox SET seq = n.seq FROM (SELECT id, row_number() OVER (ORDER BY id)"
            " + (SELECT COALESCE(MAX(seq), 0) FROM outbox) AS seq FROM outbox WHERE seq IS NULL) AS n"
            " WHERE outbox.id = n.id"
        )
    )


def read_events(session: Session, after: int, limit: int = 100, names: Sequence[str] | None = None) -> list[Event]:
    """Return numbered events after ``after``, in order, at most ``limit``."""
    query = select(OutboxEvent).where(OutboxEvent.seq > after).order_by(OutboxEvent.seq).limit(limit)
    if names is not None:
        query = query.where(OutboxEvent.name.in_(names))
    return [
        Event(row.seq or 0, row.name, row.payload, row.warehouse_id, as_instant(row.occurred_at))
        for row in session.scalars(query)
    ]


def dispatch(session: Session, consumer: Consumer, limit: int = 100) -> int:
    """Hand the next numbered events to a consumer and move its cursor, in one transaction; return how many.

    At least once: when ``consumer.handle`` raises, the cursor stays and the same events come again. A cursor is
    locked while it moves; what another worker is handing out to the consumer is left to it.

    Nothing is numbered here: :func:`sequence_events` goes before, in a transaction of its own, since everybody
    would wait for its lock as long as the consumer takes.
    """
    cursor = _locked_cursor(session, consumer.name)
    if cursor is None:
        return 0
    events = read_events(session, cursor.seq, limit)
    wanted = [event for event in events if consumer.events is None or event.name in consumer.events]
    if wanted:
        consumer.handle(session, wanted)
    if events:
        cursor.seq = events[-1].seq
    session.flush()
    return len(events)


def _locked_cursor(session: Session, consumer: str) -> ConsumerCursor | None:
    """Return the consumer's cursor, made when it is new; ``None`` while another transaction moves it."""
    row = {"name": consumer, "now": format_instant(utc_now())}
    session.execute(
        text(
            "INSERT INTO consumer_cursor (consumer, seq, updated_at) VALUES (:name, 0, :now)"
            " ON CONFLICT (consumer) DO NOTHING"
        ),
        row,
    )
    return session.get(ConsumerCursor, consumer, with_for_update={"skip_locked": True})
