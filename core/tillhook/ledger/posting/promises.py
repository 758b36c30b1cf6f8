"""Reservations from inside: what is promised, what has expired, and taking promises off their levels.

An expired reservation stops counting by itself: whoever locks a level leaves it out. Releasing it is tidying up,
done for a bounded number at a time.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Row, Select, select, type_coerce, update
from sqlalchemy.orm import Session

from tillhook.db import Exact, among, records, utc_now
from tillhook.ledger.models import Reservation, StockLevel
from tillhook.ledger.posting.effects import availability_changed
from tillhook.ledger.posting.locks import Level, lock_levels
from tillhook.ledger.posting.values import Document, LevelKey
from tillhook.quantities import to_units

#: The most expired reservations that one transaction releases.
CHUNK = 500
#: A reservation's key, its level, and its units.
Promise = tuple[int, LevelKey, int]
_LEVEL = (Reservation.variant_id, Reservation.location_id, Reservation.lot_id)


def lock_available(session: Session, keys: Iterable[LevelKey]) -> dict[LevelKey, Level]:
    """Lock the levels in key order; ``reserved`` counts what has not expired.

    Some of what has expired is released on the way.
    """
    levels = lock_levels(session, keys)
    if not any(level.reserved for level in levels.values()):
        return levels
    expired = _expired_at(session, levels)
    released = release_rows(session, [key for key, _, _ in expired[:CHUNK]], "expired", expired_only=True)
    availability_changed(session, (key for _, key, _ in released))
    for _, key, units in [*released, *expired[CHUNK:]]:
        levels[key].reserved -= units
    return levels


def leave_out_expired(session: Session, levels: Mapping[LevelKey, Level]) -> None:
    """Let ``reserved`` of levels that were only read count what has not expired."""
    reserved = {key: level for key, level in levels.items() if level.reserved}
    for _, key, units in _expired_at(session, reserved) if reserved else ():
        reserved[key].reserved -= units


def expired_promises(session: Session) -> list[Promise]:
    """Return expired reservations, in the order of their levels, as many as one transaction releases."""
    return _read(session, _expired(utc_now()).order_by(*_LEVEL, Reservation.id).limit(CHUNK))


def promises_to(session: Session, documents: Iterable[Document]) -> dict[Document, list[Promise]]:
    """Return the open reservations of documents that have not expired."""
    found: dict[Document, list[Promise]] = {}
    for document in documents:
        mine = (Reservation.document_type == document.type, Reservation.document_id == document.id)
        fresh = Reservation.expires_at > utc_now()
        found[document] = _read(session, _open().where(*mine, fresh).order_by(Reservation.id))
    return found


def release_rows(
    session: Session, reservation_ids: Sequence[int], outcome: str, *, expired_only: bool = False
) -> list[Promise]:
    """Mark open reservations as released and take them off their levels; return those that were open.

    ``expired_only`` looks once more under the lock, and spares what was extended meanwhile.
    """
    if not reservation_ids:
        return []
    # Levels are locked before reservations are marked, so that two sweeps never wait for each other in a circle.
    lock_levels(session, (key for _, key, _ in _read(session, _open().where(among(Reservation.id, reservation_ids)))))
    now = utc_now()
    marked = (
        update(Reservation)
        .where(among(Reservation.id, reservation_ids), Reservation.released_at.is_(None))
        .values(released_at=now, outcome=outcome)
        .returning(Reservation.id, *_LEVEL, Reservation.quantity)
        .execution_options(synchronize_session=False)
    )
    if expired_only:
        marked = marked.where(Reservation.expires_at <= now)
    released = [_promise(row) for row in session.execute(marked)]
    change_reserved(session, [(key, -units) for _, key, units in released], now)
    return released


def change_reserved(session: Session, changes: Iterable[tuple[LevelKey, int]], now: datetime) -> None:
    """Add units to what is reserved at levels, which are locked."""
    totals: dict[LevelKey, int] = {}
    for key, units in changes:
        totals[key] = totals.get(key, 0) + units
    if not totals:
        return
    table = records(session, ((*key, units) for key, units in sorted(totals.items())), "v", "p", "t", "q")
    here = (StockLevel.variant_id == table.c.v, StockLevel.location_id == table.c.p, StockLevel.lot_id == table.c.t)
    session.execute(
        update(StockLevel)
        .where(*here)
        .values(reserved=StockLevel.reserved + type_coerce(table.c.q, Exact), updated_at=now)
        .execution_options(synchronize_session=False)
    )


def _open() -> Select[int, int, int, int, Decimal]:
    return select(Reservation.id, *_LEVEL, Reservation.quantity).where(Reservation.released_at.is_(None))


def _expired(now: datetime) -> Select[int, int, int, int, Decimal]:
    return _open().where(Reservation.expires_at <= now)


def _expired_at(session: Session, levels: Iterable[LevelKey]) -> list[Promise]:
    table = records(session, levels, "v", "p", "t")
    here = (_LEVEL[0] == table.c.v) & (_LEVEL[1] == table.c.p) & (_LEVEL[2] == table.c.t)
    return _read(session, _expired(utc_now()).join(table, here).order_by(Reservation.id))


def _read(session: Session, statement: Select[int, int, int, int, Decimal]) -> list[Promise]:
    return [_promise(row) for row in session.execute(statement)]


def _promise(row: Row[int, int, int, int, Decimal]) -> Promise:
    return row[0], LevelKey(*row[1:4]), to_units(row[4])
