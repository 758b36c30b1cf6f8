"""Handing events to their consumers, each at its own pace, by one worker at a time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.db import OutcomeUnknown, database_now, is_retryable, retrying, utc_now
from tillhook.errors import Conflict
from tillhook.events.models import ConsumerCursor, OutboxEvent
from tillhook.events.outbox import CHUNK, count_unnumbered, delete_events, newest_seq, read_events, sequence_events
from tillhook.events.turns import TurnLost, give_back, give_up, is_due, is_free, keep, take
from tillhook.hooks import Consumer, Event
from tillhook.runtime import Runtime, runtime_of, snapshot_of

log = structlog.get_logger()
#: Days for which events are there to be read again.
KEEP_DAYS = "events.keep_days"
_BATCH = 100
_PRUNED_AT_ONCE = 5000
#: Who has a turn while a person changes its place, for one short transaction.
_PERSON = "command line"


@dataclass(frozen=True)
class ConsumerStatus:
    """How far a consumer is behind: in events, whether it wants them or not, and by the age of the first of them."""

    cursor: ConsumerCursor
    lag: int
    lag_s: float


def introduce(session: Session, consumers: Iterable[Consumer]) -> None:
    """Give every new consumer its place: behind all events that are there, unless it wants them from the beginning."""
    wanted = {consumer.name: consumer for consumer in consumers}
    if not wanted.keys() - _known(session):
        return
    # Who introduces the same one at the same time waits here for the other.
    while sequence_events(session) == CHUNK:
        pass
    newest = newest_seq(session)
    for name in wanted.keys() - _known(session):
        session.add(ConsumerCursor(name=name, seq=0 if wanted[name].from_beginning else newest))
    session.flush()


def _known(session: Session) -> set[str]:
    return set(session.scalars(select(ConsumerCursor.name)))


def number_events(runtime: Runtime) -> None:
    """Number every event that waits for it; nothing is written when none does."""
    with runtime.unit_of_work(write=False) as session:
        waiting = session.scalar(select(OutboxEvent.id).where(OutboxEvent.seq.is_(None)).limit(1)) is not None
    while waiting:
        with runtime.unit_of_work() as session:
            waiting = sequence_events(session) == CHUNK


def due_consumers(session: Session, consumers: Mapping[str, Consumer]) -> list[Consumer]:
    """Return the consumers that events wait for, and that nobody feeds."""
    now = database_now(session)
    behind = select(ConsumerCursor.name).where(
        ConsumerCursor.seq < newest_seq(session), is_due(ConsumerCursor, now), is_free(ConsumerCursor, now)
    )
    return [consumers[name] for name in session.scalars(behind) if name in consumers]


def feed(runtime: Runtime, consumer: Consumer, worker: str, is_stopping: Callable[[], bool] = lambda: False) -> None:
    """Hand a consumer all that waits for it; nothing happens while another worker does, or before its next try.

    After a failure its events come one by one, so that it goes on until the one that it fails at.
    """
    with runtime.unit_of_work() as session:
        cursor = take(session, ConsumerCursor, consumer.name, worker)
    if cursor is None:
        return
    after, more, alone = cursor.seq, True, 1 if cursor.failures else 0
    while more:
        limit = 1 if alone else _BATCH
        try:
            after, more = retrying(lambda: _hand_out(runtime, consumer, worker, after, limit, is_stopping))  # noqa: B023
        except (TurnLost, OutcomeUnknown) as error:
            # Where its place is now is read anew with the next turn.
            log.warning("turn_lost", consumer=consumer.name, reason=type(error).__name__)
            return
        except BaseException as error:  # a plugin's sys.exit too is its own failure
            if alone:
                _note_failure(runtime, consumer, worker, error)
                return
            log.info("events_one_by_one", consumer=consumer.name, after=after, exc_info=True)
            alone = _BATCH
        else:
            alone = max(alone - 1, 0)


def _hand_out(
    runtime: Runtime, consumer: Consumer, worker: str, after: int, limit: int, is_stopping: Callable[[], bool]
) -> tuple[int, bool]:
    """Hand out the next events; return up to which one, and whether to go on."""
    if consumer.handle is not None:
        with runtime.unit_of_work(lazy=True) as session:
            events, until = _next(session, consumer, after, limit)
            if events:
                consumer.handle(session, events)
            return until, _move(session, consumer, worker, until, len(events) == limit and not is_stopping())
    with runtime.unit_of_work(write=False) as session:
        events, until = _next(session, consumer, after, limit)
    if events and consumer.deliver is not None:
        consumer.deliver(runtime, events)
    with runtime.unit_of_work() as session:
        return until, _move(session, consumer, worker, until, len(events) == limit and not is_stopping())


def _next(session: Session, consumer: Consumer, after: int, limit: int) -> tuple[list[Event], int]:
    """Return the next events that the consumer wants, and up to which one these are all."""
    newest = newest_seq(session)
    events = read_events(session, after, limit, consumer.events)
    last = events[-1].seq if events else after
    return events, last if len(events) == limit else max(last, newest)


def _move(session: Session, consumer: Consumer, worker: str, until: int, go_on: bool) -> bool:
    session.flush()  # before the cursor's row is locked
    (keep if go_on else give_back)(session, ConsumerCursor, consumer.name, worker, seq=until)
    return go_on


def _note_failure(runtime: Runtime, consumer: Consumer, worker: str, error: BaseException) -> None:
    level = log.info if is_retryable(error) else log.error
    level("consumer_failed", consumer=consumer.name, exc_info=error)
    try:
        with runtime.unit_of_work() as session:
            give_up(session, ConsumerCursor, consumer.name, worker, error)
    except TurnLost:
        log.warning("turn_lost", consumer=consumer.name)


def list_consumers(session: Session) -> list[ConsumerStatus]:
    """Return how far each consumer is that ever had a place, those of plugins that are gone too, by name."""
    newest, unnumbered = newest_seq(session), count_unnumbered(session)
    cursors = session.scalars(select(ConsumerCursor).order_by(ConsumerCursor.name))
    return [
        ConsumerStatus(cursor, max(newest - cursor.seq, 0) + unnumbered, _lag_s(session, cursor.seq))
        for cursor in cursors.all()
    ]


def _lag_s(session: Session, after: int) -> float:
    moment = select(OutboxEvent.occurred_at).limit(1)
    first = session.scalar(moment.where(OutboxEvent.seq > after).order_by(OutboxEvent.seq)) or session.scalar(
        moment.where(OutboxEvent.seq.is_(None)).order_by(OutboxEvent.id)
    )
    return max((utc_now() - first).total_seconds(), 0.0) if first else 0.0


def skip(session: Session, consumer: Consumer) -> int | None:
    """Pass over the next event that the consumer wants, and return its ``seq``; ``None`` when none waits.

    Raises:
        Conflict: 409 ``consumer-busy``: a worker hands out to it right now.
    """
    cursor = _take_anyway(session, consumer)
    events, until = _next(session, consumer, cursor.seq, 1)
    give_back(session, ConsumerCursor, consumer.name, _PERSON, seq=until, next_at=database_now(session))
    return events[0].seq if events else None


def reset(session: Session, consumer: Consumer, to: int | None = None) -> int:
    """Let the consumer go on after the event ``to``, by default as if it were new, and return where it is.

    Raises:
        Conflict: As :func:`skip`.
    """
    _take_anyway(session, consumer)
    newest = newest_seq(session)
    if to is None:
        to = 0 if consumer.from_beginning else newest
    give_back(session, ConsumerCursor, consumer.name, _PERSON, seq=min(to, newest), next_at=database_now(session))
    return min(to, newest)


def _take_anyway(session: Session, consumer: Consumer) -> ConsumerCursor:
    introduce(session, [consumer])
    cursor = take(session, ConsumerCursor, consumer.name, _PERSON, early=True)
    if cursor is None:
        raise Conflict(f"A worker hands out events to {consumer.name} right now.", code="consumer-busy")
    return cursor


def prune(session: Session) -> None:
    """Delete events older than the setting says that every consumer has had, some thousands at a time.

    A consumer whose plugin is not enabled is not waited for: when it comes back, it goes on with the oldest event that
    is still there.
    """
    declared = list(runtime_of(session).registry.consumers)
    had = session.scalars(select(ConsumerCursor.seq).where(ConsumerCursor.name.in_(declared))).all()
    before = utc_now() - timedelta(days=snapshot_of(session).setting(KEEP_DAYS))
    delete_events(session, min(had, default=newest_seq(session)), before, _PRUNED_AT_ONCE)
