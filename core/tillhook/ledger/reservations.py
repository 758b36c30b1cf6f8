"""Promising stock before it moves.

Reservation rows are the truth behind a level's ``reserved``. An expired one stops counting by itself: readers
leave it out, and postings do; the worker only tidies. What is promised is no longer available, so each promise and each
release records ``product:inventory-updated``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import Session

from tillhook.db import utc_now
from tillhook.errors import Conflict
from tillhook.ledger.expiry import today_of
from tillhook.ledger.models import NO_LOT, Reservation
from tillhook.ledger.posting.effects import availability_changed
from tillhook.ledger.posting.items import Item, load_items
from tillhook.ledger.posting.locks import Level
from tillhook.ledger.posting.lots import LotLevel, lots_at
from tillhook.ledger.posting.promises import change_reserved, expired_promises, lock_available, release_rows
from tillhook.ledger.posting.values import Document, InsufficientStock, LevelKey, ShortLine
from tillhook.products import why_not_there
from tillhook.quantities import from_units, to_units


@dataclass(frozen=True, slots=True)
class ReserveLine:
    """A line to reserve; ``variant_id`` ``None`` is the product's default variant."""

    product_id: int
    variant_id: int | None
    quantity: Decimal


def reserve(
    session: Session,
    document: Document,
    warehouse_id: int,
    lines: Sequence[ReserveLine],
    *,
    expires_at: datetime,
) -> None:
    """Reserve every line or none, until ``expires_at``; untracked goods need no promise.

    Lots are reserved first-expired-first-out.

    Raises:
        InsufficientStock: 409, naming every short line.
        Conflict: 409 ``unknown-product``, ``unknown-variant`` or ``variant-needed``, the line named.
    """
    found = load_items(session, ((warehouse_id, line.product_id, line.variant_id) for line in lines))
    items = [found.find(warehouse_id, line.product_id, line.variant_id) for line in lines]
    tracked = []
    for number, (line, item) in enumerate(zip(lines, items, strict=True)):
        if item is None:
            why = why_not_there(session, line.product_id, line.variant_id)
            errors = [{"field": f"lines.{number}.{why.field}", "message": why.message}]
            raise Conflict(why.message, code=why.code, errors=errors)
        if item.tracking != "none":
            tracked.append((number, line, item))
    lots = lots_at(session, [item.variant_id for _, _, item in tracked if item.tracking == "lot"], warehouse_id)
    today = today_of(session)
    keys = {item.variant_id: _levels_of(item, lots.get(item.variant_id, ()), today) for _, _, item in tracked}
    levels = lock_available(session, (key for each in keys.values() for key in each))
    rows: list[tuple[int, LevelKey, int]] = []
    short: list[ShortLine] = []
    for number, line, item in tracked:
        parts, missing = _parts(levels, keys[item.variant_id], to_units(line.quantity))
        rows += [(number, key, units) for key, units in parts]
        if missing:
            left = line.quantity - from_units(missing)
            variant_id = None if item.is_default else item.variant_id
            short.append(ShortLine(number, item.product_id, variant_id, item.product_name, line.quantity, left))
    if short:
        raise InsufficientStock(short)
    _write(session, document, expires_at, rows)


def release(session: Session, document: Document, outcome: str = "released") -> int:
    """Give back what the document had reserved, and return how many reservations were open.

    ``outcome`` says why. Goods that move in the same transaction need no release: ``Issue.fulfils`` does it.
    """
    ids = session.scalars(
        select(Reservation.id).where(*_of(document), Reservation.released_at.is_(None)).order_by(Reservation.id)
    ).all()
    return _release(session, ids, outcome)


def extend(session: Session, document: Document, expires_at: datetime) -> None:
    """Let the document's open reservations last until ``expires_at``.

    Raises:
        Conflict: 409 ``reservation-expired``: one has expired already; reserve again.
    """
    rows = session.scalars(select(Reservation).where(*_of(document)).with_for_update()).all()
    now = utc_now()
    for row in rows:
        if row.released_at is not None or row.expires_at <= now:
            raise Conflict("The reservation has expired.", code="reservation-expired")
        row.expires_at = expires_at
    session.flush()


def sweep_expired(session: Session) -> int:
    """Release expired reservations, a bounded number of them, and return how many there were."""
    ids = [key for key, _, _ in expired_promises(session)]
    return _release(session, ids, "expired", expired_only=True)


def _release(session: Session, ids: Sequence[int], outcome: str, *, expired_only: bool = False) -> int:
    released = release_rows(session, ids, outcome, expired_only=expired_only)
    availability_changed(session, (key for _, key, _ in released))
    return len(released)


def _of(document: Document) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return Reservation.document_type == document.type, Reservation.document_id == document.id


def _levels_of(item: Item, lots: Sequence[LotLevel], today: date) -> list[LevelKey]:
    """Return the levels to reserve on, in order."""
    if item.tracking != "lot":
        return [LevelKey(item.variant_id, item.warehouse_id, NO_LOT)]
    return [LevelKey(item.variant_id, item.warehouse_id, lot.lot_id) for lot in lots if not lot.is_expired(today)]


def _parts(
    levels: dict[LevelKey, Level], keys: Sequence[LevelKey], wanted: int
) -> tuple[list[tuple[LevelKey, int]], int]:
    """Take what a line wants from the levels; return it, and the units that are missing."""
    parts = []
    for key in keys:
        units = min(max(levels[key].available, 0), wanted)
        if units:
            levels[key].reserved += units
            parts.append((key, units))
            wanted -= units
    return parts, wanted


def _write(
    session: Session, document: Document, expires_at: datetime, rows: Sequence[tuple[int, LevelKey, int]]
) -> None:
    if not rows:
        return
    now = utc_now()
    session.execute(
        insert(Reservation),
        [
            {
                "variant_id": key.variant_id,
                "location_id": key.location_id,
                "lot_id": key.lot_id,
                "quantity": from_units(units),
                "document_type": document.type,
                "document_id": document.id,
                "document_line": number,
                "created_at": now,
                "expires_at": expires_at,
            }
            for number, key, units in rows
        ],
    )
    change_reserved(session, [(key, units) for _, key, units in rows], now)
    availability_changed(session, (key for _, key, _ in rows))
