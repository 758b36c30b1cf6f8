"""Levels by variant, warehouse and lot, as they are or as they were. Takes no lock."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    case,
    func,
    literal,
    not_,
    or_,
    select,
    tuple_,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session

from tillhook.access import in_warehouse, warehouse_condition
from tillhook.db import Exact, Instant, among, utc_now
from tillhook.http import narrowed, page
from tillhook.ledger.expiry import fresh_and_expired, today_of
from tillhook.ledger.models import Location, Lot, Reservation, StockLevel, StockMovement
from tillhook.ledger.posting.values import LevelKey
from tillhook.ledger.schemas import LevelOut
from tillhook.products.models import Product, Variant
from tillhook.products.search import matches
from tillhook.quantities import ZERO

#: Variant, warehouse and lot.
_Key = tuple[int, int, int]


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
    reserved = promised(session, [(row.variant_id, row.location_id, row.lot_id) for row in rows])
    today = today_of(session)
    return [_as_of_now(row, reserved, today) for row in rows], cursor


def _levels_then(
    session: Session, query: Mapping[str, Any], is_later: ColumnElement[bool]
) -> tuple[list[dict[str, Any]], str | None]:
    # Of the levels of a page all is read at once; to be in the order of it, each level needs its own.
    is_sorted = query["ordering"].removeprefix("-") in ("on_hand", "last_updated")
    level = _then(is_later, is_sorted=is_sorted)
    rows, cursor = page(session, _select(session, level, query), ordering=_ordering(level), query=query)
    if is_sorted:
        return [LevelOut.of(row) for row in rows], cursor
    keys = [(row.variant_id, row.location_id, row.lot_id) for row in rows]
    moved = _moved(session, sorted({row.variant_id for row in rows}), is_later)
    recorded = _last_recorded(session, [key for key in keys if key in moved], is_later)
    return [
        LevelOut.of(row, on_hand=row.on_hand - moved.get(key, ZERO), last_updated=recorded.get(key, row.updated_at))
        for row, key in zip(rows, keys, strict=True)
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


def _then(is_later: ColumnElement[bool], *, is_sorted: bool) -> FromClause:
    """Return levels as a table, those of which something had moved that is not later.

    Args:
        is_sorted: ``on_hand`` and ``updated_at`` are those of then, else of now.
    """
    mine = _of_level(StockLevel.variant_id, StockLevel.location_id, StockLevel.lot_id)
    earlier = select(StockMovement.recorded_at).where(*mine, not_(is_later)).correlate(StockLevel)
    on_hand: Any = StockLevel.on_hand
    updated_at: Any = StockLevel.updated_at
    if is_sorted:
        is_in = StockMovement.destination_id == StockLevel.location_id
        change = func.sum(case((is_in, StockMovement.quantity), else_=-StockMovement.quantity))
        later = select(change).where(*mine, is_later).correlate(StockLevel).scalar_subquery()
        on_hand = type_coerce(StockLevel.on_hand - func.coalesce(later, 0), Exact)
        updated_at = type_coerce(_newest(earlier).scalar_subquery(), Instant)
    keys = (StockLevel.variant_id, StockLevel.location_id, StockLevel.lot_id)
    return select(*keys, on_hand.label("on_hand"), updated_at.label("updated_at")).where(earlier.exists()).subquery()


def _of_level(variant_id: Any, location_id: Any, lot_id: Any) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on movements that changed a level."""
    return (
        StockMovement.variant_id == variant_id,
        StockMovement.lot_id == lot_id,
        or_(StockMovement.source_id == location_id, StockMovement.destination_id == location_id),
    )


def _newest(movements: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return movements.order_by(StockMovement.occurred_at.desc(), StockMovement.id.desc()).limit(1)


def moved_since(session: Session, variant_ids: Sequence[int], moment: datetime) -> dict[_Key, Decimal]:
    """Return by how much what happened after a moment changed the levels of the variants."""
    return _moved(session, variant_ids, _SINCE["as_of"](moment))


def _moved(session: Session, variant_ids: Sequence[int], is_later: ColumnElement[bool]) -> dict[_Key, Decimal]:
    """Return by how much what is later changed the variants' levels; each variant's movements are read once."""
    ends = (StockMovement.source_id, StockMovement.destination_id)
    found = session.execute(
        select(StockMovement.variant_id, StockMovement.lot_id, *ends, func.sum(StockMovement.quantity))
        .where(among(StockMovement.variant_id, variant_ids), is_later)
        .group_by(StockMovement.variant_id, StockMovement.lot_id, *ends)
    )
    moved: dict[_Key, Decimal] = {}
    for variant_id, lot_id, source_id, destination_id, quantity in found:
        for place, change in ((source_id, -quantity), (destination_id, quantity)):
            key = variant_id, place, lot_id
            moved[key] = moved.get(key, ZERO) + change
    return moved


def _last_recorded(session: Session, keys: Sequence[_Key], is_later: ColumnElement[bool]) -> dict[_Key, datetime]:
    """Return when the last was recorded that changed each level, of what is not later.

    Of levels that have changed since: so there is something soon before, while one at rest may be long ago.
    """
    if not keys:
        return {}
    newest = (
        _newest(
            select(literal(number).label("number"), StockMovement.recorded_at).where(*_of_level(*key), not_(is_later))
        )
        for number, key in enumerate(keys)
    )
    found = session.execute(union_all(*(select(each.subquery()) for each in newest)))
    return {keys[number]: recorded_at for number, recorded_at in found}


def promised(session: Session, levels: Collection[LevelKey | _Key]) -> dict[_Key, Decimal]:
    """Return what is reserved at the levels of which something is, without reservations that have expired."""
    key = (Reservation.variant_id, Reservation.location_id, Reservation.lot_id)
    counts = (Reservation.released_at.is_(None), Reservation.expires_at > utc_now())
    found = session.execute(
        select(*key, func.sum(Reservation.quantity)).where(tuple_(*key).in_(levels), *counts).group_by(*key)
    )
    return {(row[0], row[1], row[2]): row[3] for row in found}


def _as_of_now(row: Any, promised: Mapping[_Key, Decimal], today: date) -> dict[str, Any]:
    reserved = promised.get((row.variant_id, row.location_id, row.lot_id), ZERO)
    available, expired = fresh_and_expired(row.on_hand, reserved, row.expiry_date, today)
    return LevelOut.of(row, reserved=reserved, available=available, expired=expired)
