"""Levels by variant, warehouse and lot, as they are or as they were. Takes no lock."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Row, func, select, tuple_, type_coerce, union_all
from sqlalchemy.orm import Session

from tillhook.access import in_warehouse, warehouse_condition
from tillhook.db import Exact, containing, utc_now
from tillhook.http import narrowed, page
from tillhook.ledger.models import Location, Lot, Reservation, StockLevel, StockMovement
from tillhook.ledger.schemas import LevelOut
from tillhook.products.models import Product, Variant
from tillhook.quantities import ZERO


def levels(session: Session, query: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return one page of levels of the warehouses that the actor sees, and the cursor of the next.

    Args:
        query: Of :class:`InventoryQuery`. ``as_of`` and ``known_at`` ask for the levels as they were then, by what was
            on record then: they are recomputed from the movements.
    """
    then = [_THEN[name](query[name]) for name in _THEN if name in query]
    level = _recomputed(then) if then else StockLevel.__table__
    rows, cursor = page(session, _select(session, level, query), ordering=_ordering(level), query=query)
    if then:
        return [LevelOut.of(row) for row in rows], cursor
    promised = _promised(session, rows)
    return [_with_promised(row, promised) for row in rows], cursor


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
        "search": lambda text: containing(text, Product.name),
    }
    return narrowed(statement, query, filters)


def _ordering(level: FromClause) -> dict[str, Any]:
    return {
        "id": (level.c.variant_id, level.c.location_id, level.c.lot_id),
        "product_name": Product.name,
        "on_hand": level.c.on_hand,
        "last_updated": level.c.updated_at,
    }


_THEN: dict[str, Any] = {
    "as_of": lambda moment: StockMovement.occurred_at <= moment,
    "known_at": lambda moment: StockMovement.recorded_at <= moment,
}


def _recomputed(conditions: Sequence[ColumnElement[bool]]) -> FromClause:
    """Return levels as a table, from the movements that meet the conditions."""
    ends = ((StockMovement.destination_id, StockMovement.quantity), (StockMovement.source_id, -StockMovement.quantity))
    moved = union_all(
        *(
            select(
                StockMovement.variant_id,
                place.label("location_id"),
                StockMovement.lot_id,
                quantity.label("quantity"),
                StockMovement.recorded_at,
            ).where(place > 0, *conditions)
            for place, quantity in ends
        )
    ).subquery()
    key = (moved.c.variant_id, moved.c.location_id, moved.c.lot_id)
    on_hand = type_coerce(func.sum(moved.c.quantity), Exact).label("on_hand")
    return select(*key, on_hand, func.max(moved.c.recorded_at).label("updated_at")).group_by(*key).subquery()


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
