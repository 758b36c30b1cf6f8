"""Levels by variant, warehouse and lot, as they are or as they were. Takes no lock."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Row, case, func, not_, or_, select, tuple_, type_coerce
from sqlalchemy.orm import Session

from tillhook.access import in_warehouse, warehouse_condition
from tillhook.db import Exact, Instant, among, utc_now
from tillhook.http import narrowed, page
from tillhook.ledger.models import Location, Lot, Reservation, StockLevel, StockMovement
from tillhook.ledger.schemas import LevelOut
from tillhook.products.models import Product, Variant
from tillhook.products.search import matches
from tillhook.quantities import ZERO


def levels(session: Session, query: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return one page of levels of the warehouses that the actor sees, and the cursor of the next.

    Args:
        query: Of :class:`InventoryQuery`. ``as_of`` and ``known_at`` ask for the levels as they were then, by what was
            on record then: as they are, without what has moved since. So it takes the longer the more that is.
    """
    since = [_SINCE[name](query[name]) for name in _SINCE if name in query]
    if since:
        return _levels_then(session, query, or_(*since))
    level = StockLevel.__table__
    rows, cursor = page(session, _select(session, level, query), ordering=_ordering(level), query=query)
    promised = _promised(session, rows)
    return [_with_promised(row, promised) for row in rows], cursor


def _levels_then(
    session: Session, query: Mapping[str, Any], is_later: ColumnElement[bool]
) -> tuple[list[dict[str, Any]], str | None]:
    # Of the levels of a page all is read at once; only the order by it needs each level's own.
    is_ordered_by_it = query["ordering"].removeprefix("-") == "on_hand"
    level = _then(is_later, with_on_hand=is_ordered_by_it)
    rows, cursor = page(session, _select(session, level, query), ordering=_ordering(level), query=query)
    if is_ordered_by_it:
        return [LevelOut.of(row) for row in rows], cursor
    moved = _moved(session, rows, is_later)
    keys = [(row.variant_id, row.location_id, row.lot_id) for row in rows]
    return [
        LevelOut.of(row, on_hand=row.on_hand - moved.get(key, ZERO)) for row, key in zip(rows, keys, strict=True)
    ], cursor


def _select(session: Session, level: FromClause, query: Mapping[str, Any]) -> Any:
    statement = (
        select(
            level.c.variant_id,
            level.c.location_id,
            level.c.lot_id,
            level.c.on_hand,
            level.c.updated_at,
            Product.id.label("product_id"),
            Product.name.label("product_name"),
            Variant.name.label("variant_details"),
            Variant.is_default,
            Location.name.label("warehouse_name"),
            Lot.batch_number,
            Lot.expiry_date,
        )
        .join(Variant, Variant.id == level.c.variant_id)
        .join(Product, Product.id == Variant.product_id)
        .join(Location, Location.id == level.c.location_id)
        .outerjoin(Lot, Lot.id == level.c.lot_id)
        .where(warehouse_condition(session, level.c.location_id))
    )
    filters = {
        "warehouse": in_warehouse(session, level.c.location_id),
        "product": Product.id,
        "search": matches,
    }
    return narrowed(statement, query, filters)


def _ordering(level: FromClause) -> dict[str, Any]:
    return {
        "id": (level.c.variant_id, level.c.location_id, level.c.lot_id),
        "product_name": Product.name,
        "on_hand": level.c.on_hand,
        "last_updated": level.c.updated_at,
    }


_SINCE: dict[str, Any] = {
    "as_of": lambda moment: StockMovement.occurred_at > moment,
    "known_at": lambda moment: StockMovement.recorded_at > moment,
}


def _then(is_later: ColumnElement[bool], *, with_on_hand: bool) -> FromClause:
    """Return levels as a table, those of which something had moved that is not later.

    ``updated_at`` is when the last of it was recorded. ``on_hand`` is that of now, unless ``with_on_hand``.
    """
    place = StockLevel.location_id
    mine = (
        StockMovement.variant_id == StockLevel.variant_id,
        StockMovement.lot_id == StockLevel.lot_id,
        or_(StockMovement.source_id == place, StockMovement.destination_id == place),
    )
    earlier = select(StockMovement.recorded_at).where(*mine, not_(is_later)).correlate(StockLevel)
    last = earlier.order_by(StockMovement.occurred_at.desc(), StockMovement.id.desc()).limit(1).scalar_subquery()
    on_hand: Any = StockLevel.on_hand
    if with_on_hand:
        change = case((StockMovement.destination_id == place, StockMovement.quantity), else_=-StockMovement.quantity)
        later = select(func.sum(change)).where(*mine, is_later).correlate(StockLevel).scalar_subquery()
        on_hand = type_coerce(StockLevel.on_hand - func.coalesce(later, 0), Exact)
    return (
        select(
            *(StockLevel.variant_id, StockLevel.location_id, StockLevel.lot_id),
            on_hand.label("on_hand"),
            type_coerce(last, Instant).label("updated_at"),
        )
        .where(earlier.exists())
        .subquery()
    )


def _moved(
    session: Session, rows: Sequence[Row[Any]], is_later: ColumnElement[bool]
) -> dict[tuple[int, int, int], Decimal]:
    """Return by how much what is later changed the levels of these rows; each variant's movements are read once."""
    ends = (StockMovement.source_id, StockMovement.destination_id)
    found = session.execute(
        select(StockMovement.variant_id, StockMovement.lot_id, *ends, func.sum(StockMovement.quantity))
        .where(among(StockMovement.variant_id, sorted({row.variant_id for row in rows})), is_later)
        .group_by(StockMovement.variant_id, StockMovement.lot_id, *ends)
    )
    moved: dict[tuple[int, int, int], Decimal] = defaultdict(Decimal)
    for variant_id, lot_id, source_id, destination_id, quantity in found:
        moved[variant_id, source_id, lot_id] -= quantity
        moved[variant_id, destination_id, lot_id] += quantity
    return moved


def _promised(session: Session, rows: Sequence[Row[Any]]) -> dict[tuple[int, int, int], Any]:
    """Return what is reserved at the levels of these rows, without what has expired."""
    key = (Reservation.variant_id, Reservation.location_id, Reservation.lot_id)
    wanted = [(row.variant_id, row.location_id, row.lot_id) for row in rows]
    counts = (Reservation.released_at.is_(None), Reservation.expires_at > utc_now())
    found = session.execute(
        select(*key, func.sum(Reservation.quantity)).where(tuple_(*key).in_(wanted), *counts).group_by(*key)
    )
    return {(row[0], row[1], row[2]): row[3] for row in found}


def _with_promised(row: Any, promised: Mapping[tuple[int, int, int], Any]) -> dict[str, Any]:
    reserved = promised.get((row.variant_id, row.location_id, row.lot_id), ZERO)
    return LevelOut.of(row, reserved=reserved, available=row.on_hand - reserved)
