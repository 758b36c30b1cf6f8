"""Promising stock before it moves.

Reservation rows are the truth behind a level's ``reserved``. An expired one stops counting by itself: readers
leave it out, and a posting that would be refused sweeps it first; the worker only tidies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.db import format_instant, insert_rows, utc_now
from tillhook.errors import Conflict
from tillhook.ledger.items import Item, load_items
from tillhook.ledger.levels import release_rows
from tillhook.ledger.models import NO_LOT, Reservation
from tillhook.ledger.movements import InsufficientStock, LevelKey, ShortLine
from tillhook.ledger.planning import StockBook
from tillhook.quantities import from_units, to_units


@dataclass(frozen=True, slots=True)
class ReserveLine:
    """A line to reserve; ``variant_id`` ``None`` is the product's default variant."""

    product_id: int
    variant_id: int | None
    quantity: Decimal


def reserve(
    session: Session,
    *,
    document_type: str,
    document_id: int,
    warehouse_id: int,
    lines: Sequence[ReserveLine],
    expires_at: datetime,
) -> None:
    """Reserve every line or none, until ``expires_at``; untracked goods need no promise.

    Lots are reserved first-expired-first-out.

    Raises:
        InsufficientStock: 409, naming every short line.
    """
    items = [_item(session, line, warehouse_id) for line in lines]
    book = StockBook(session)
    lot_variants = [item.variant_id for item in items if item.tracking == "lot"]
    book.add_lots(lot_variants, warehouse_id)
    for item in items:
        book.add_item(item, warehouse_id)
    keys = [(item, warehouse_id) for item in items]
    book.lock(keys)
    rows, short = [], []
    for number, (line, item) in enumerate(zip(lines, items, strict=True)):
        if item.tracking == "none":
            continue
        parts, missing = _parts(book, item, warehouse_id, to_units(line.quantity))
        if missing:
            short.append(
                ShortLine(
                    number,
                    item.product_id,
                    item.variant_id,
                    item.product_name,
                    line.quantity,
                    line.quantity - from_units(missing),
                )
            )
        for key, units in parts:
            book.level(key).reserved += units
            rows.append((number, key, units))
    if short:
        raise InsufficientStock(short)
    _write(session, document_type, document_id, expires_at, rows)


def release(session: Session, document_type: str, document_id: int, outcome: str = "released") -> int:
    """Give back what the document had reserved, and return how many reservations were open.

    ``outcome`` says why: ``released``, or ``fulfilled`` when the goods move in the same transaction.
    """
    ids = session.scalars(
        select(Reservation.id)
        .where(
            Reservation.document_type == document_type,
            Reservation.document_id == document_id,
            Reservation.released_at.is_(None),
        )
        .order_by(Reservation.id)
    ).all()
    return release_rows(session.connection(), ids, outcome)


def extend(session: Session, document_type: str, document_id: int, expires_at: datetime) -> None:
    """Let the document's open reservations last until ``expires_at``.

    Raises:
        Conflict: 409 ``reservation-expired``: one has expired already; reserve again.
    """
    rows = session.scalars(
        select(Reservation)
        .where(Reservation.document_type == document_type, Reservation.document_id == document_id)
        .with_for_update()
    ).all()
    now = utc_now()
    for row in rows:
        if row.released_at is not None or row.expires_at <= now:
            raise Conflict("The reservation has expired.", code="reservation-expired")
        row.expires_at = expires_at
    session.flush()


def _item(session: Session, line: ReserveLine, warehouse_id: int) -> Item:
    connection = session.connection()
    if line.variant_id is not None:
        items = load_items(connection, warehouse_id, variant_ids=[line.variant_id])
    else:
        items = load_items(connection, warehouse_id, product_ids=[line.product_id])
    if not items:
        raise Conflict("A product on this document no longer exists.", code="unknown-product")
    return items[0]


def _parts(book: StockBook, item: Item, warehouse_id: int, wanted: int) -> tuple[list[tuple[LevelKey, int]], int]:
    """Return the levels to reserve on, and the units that are missing."""
    keys = [LevelKey(item.variant_id, warehouse_id, NO_LOT)]
    if item.tracking == "lot":
        keys = [
            lot.key
            for lot in book.lots.get(item.variant_id, [])
            if lot.expiry_date is None or lot.expiry_date >= utc_now().date()
        ]
    parts = []
    for key in keys:
        units = min(max(book.level(key).available, 0), wanted)
        if units:
            parts.append((key, units))
            wanted -= units
    return parts, wanted


def _write(
    session: Session,
    document_type: str,
    document_id: int,
    expires_at: datetime,
    rows: Sequence[tuple[int, LevelKey, int]],
) -> None:
    connection = session.connection()
    now = format_instant(utc_now())
    insert_rows(
        connection,
        "reservation",
        [
            {
                "variant_id": key.variant_id,
                "location_id": key.location_id,
                "lot_id": key.lot_id,
                "quantity": units,
                "document_type": document_type,
                "document_id": document_id,
                "document_line": number,
                "created_at": now,
                "expires_at": format_instant(expires_at),
            }
            for number, key, units in rows
        ],
    )
    place = "%s" if connection.dialect.name == "postgresql" else "?"
    for _, key, units in sorted(rows, key=lambda row: row[1]):
        connection.exec_driver_sql(
            f"UPDATE stock_level SET reserved = reserved + {place}"
            f" WHERE variant_id = {place} AND location_id = {place} AND lot_id = {place}",
            (units, *key),
        )


__all__ = ["ReserveLine", "extend", "release", "reserve"]
