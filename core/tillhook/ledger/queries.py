"""Reading the ledger: levels, availability, movements, alerts. Takes no lock.

``reserved`` is summed from the reservations that have not expired, so an expired one stops counting by itself.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, or_, select, tuple_, type_coerce, union_all
from sqlalchemy.orm import Session

from tillhook.access import require_warehouse, visible_warehouses, warehouse_condition
from tillhook.db import Exact, format_instant, utc_now
from tillhook.errors import NotFound, ValidationFailed
from tillhook.http import page
from tillhook.ledger.models import (
    Location,
    Lot,
    Reservation,
    StockAlert,
    StockLevel,
    StockMovement,
    StockThreshold,
)
from tillhook.products.models import Product, Variant
from tillhook.products.search import get_product
from tillhook.quantities import ZERO, format_money, format_quantity
from tillhook.runtime import actor_of, snapshot_of


def available_by_product(
    session: Session, product_ids: Iterable[int], warehouse_ids: Iterable[int] | None = None
) -> dict[int, Decimal]:
    """Return what can still be promised of each product, over the warehouses, or over all of them.

    Products without any stock are there with 0.
    """
    products = sorted(set(product_ids))
    if not products:
        return {}
    places = None if warehouse_ids is None else sorted(warehouse_ids)
    on_hand = _by_product(session, StockLevel.on_hand, StockLevel, products, places)
    reserved = _by_product(session, Reservation.quantity, Reservation, products, places)
    return {key: on_hand.get(key, ZERO) - reserved.get(key, ZERO) for key in products}


def has_moved(session: Session, product_id: int, variant_id: int | None = None) -> bool:
    """Say whether any of the product, or of the one variant, was ever received, issued or adjusted."""
    variants = select(Variant.id).where(Variant.product_id == product_id)
    if variant_id is not None:
        variants = variants.where(Variant.id == variant_id)
    moved = select(StockMovement.id).where(StockMovement.variant_id.in_(variants)).limit(1)
    return session.scalar(moved) is not None


def stock_check(session: Session, product_id: int, variant_id: int | None, warehouse_id: int) -> dict[str, Any]:
    """Return what ``GET /inventory/stock/check`` answers; quantities are ``None`` for untracked products.

    Raises:
        NotFound: 404: no such product or variant, or one that the actor must not know of.
        ValidationFailed, PermissionDenied: The warehouse is unknown, or not the actor's.
    """
    require_warehouse(session, warehouse_id, field="warehouse_id")
    product = get_product(session, product_id)
    variants = [row.id for row in session.scalars(select(Variant).where(Variant.product_id == product_id))]
    if variant_id is not None:
        if variant_id not in variants:
            raise NotFound("This product has no such variant.", code="unknown-variant")
        variants = [variant_id]
    on_hand, updated = session.execute(
        select(func.sum(StockLevel.on_hand), func.max(StockLevel.updated_at)).where(
            StockLevel.variant_id.in_(variants), StockLevel.location_id == warehouse_id
        )
    ).one()
    reserved = session.scalar(
        select(func.sum(Reservation.quantity)).where(
            Reservation.variant_id.in_(variants), Reservation.location_id == warehouse_id, *_counts()
        )
    )
    threshold = threshold_of(session, product, warehouse_id)
    stock = on_hand or ZERO
    tracked = product.tracking != "none"
    return {
        "product_id": product_id,
        "variant_id": variant_id,
        "warehouse_id": warehouse_id,
        "current_stock": format_quantity(stock) if tracked else None,
        "available": format_quantity(stock - (reserved or ZERO)) if tracked else None,
        "low_stock_threshold": format_quantity(threshold) if tracked else None,
        "is_low_stock": tracked and stock < threshold,
        "last_updated": format_instant(updated) if isinstance(updated, datetime) else updated,
    }


def threshold_of(session: Session, product: Product, warehouse_id: int) -> Decimal:
    """Return the low-stock threshold: the warehouse's, else the product's, else the setting's."""
    own = session.scalar(
        select(StockThreshold.threshold).where(
            StockThreshold.product_id == product.id, StockThreshold.warehouse_id == warehouse_id
        )
    )
    if own is not None:
        return own
    if product.low_stock_threshold is not None:
        return product.low_stock_threshold
    return Decimal(snapshot_of(session).setting("low_stock_threshold"))


def levels(session: Session, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return levels by variant, warehouse and lot, of the warehouses that the actor sees."""
    if "warehouse" in query:
        require_warehouse(session, query["warehouse"])
    statement = (
        select(StockLevel, Variant, Product, Location, Lot)
        .join(Variant, Variant.id == StockLevel.variant_id)
        .join(Product, Product.id == Variant.product_id)
        .join(Location, Location.id == StockLevel.location_id)
        .outerjoin(Lot, Lot.id == StockLevel.lot_id)
        .where(warehouse_condition(session, StockLevel.location_id))
    )
    if "warehouse" in query:
        statement = statement.where(StockLevel.location_id == query["warehouse"])
    if "product" in query:
        statement = statement.where(Variant.product_id == query["product"])
    if query.get("search"):
        statement = statement.where(func.lower(Product.name).contains(query["search"].lower(), autoescape=True))
    if query["cursor"]:
        statement = statement.where(tuple_(*_LEVEL_KEY) > tuple_(*_read_cursor(query["cursor"])))
    rows = session.execute(statement.order_by(*_LEVEL_KEY).limit(query["limit"] + 1)).all()
    more, rows = len(rows) > query["limit"], rows[: query["limit"]]
    promised = _promised(session, [row.StockLevel.variant_id for row in rows])
    cursor = None
    if more:
        last = rows[-1].StockLevel
        cursor = f"{last.variant_id}.{last.location_id}.{last.lot_id}"
    return [_show_level(session, row, promised) for row in rows], cursor


def levels_as_of(
    session: Session, query: dict[str, Any], as_of: datetime | None, known_at: datetime | None
) -> list[dict[str, Any]]:
    """Return levels as they were at ``as_of``, by what was on record at ``known_at``; recomputed from movements."""
    if "warehouse" in query:
        require_warehouse(session, query["warehouse"])
    into = select(
        StockMovement.variant_id,
        StockMovement.destination_id.label("location_id"),
        StockMovement.lot_id,
        StockMovement.quantity.label("quantity"),
    ).where(*_until(as_of, known_at))
    out = select(
        StockMovement.variant_id,
        StockMovement.source_id,
        StockMovement.lot_id,
        (-StockMovement.quantity).label("quantity"),
    ).where(*_until(as_of, known_at))
    moved = union_all(into, out).subquery()
    statement = (
        select(
            moved.c.variant_id,
            moved.c.location_id,
            moved.c.lot_id,
            type_coerce(func.sum(moved.c.quantity), Exact).label("on_hand"),
        )
        .where(moved.c.location_id > 0, warehouse_condition(session, moved.c.location_id))
        .group_by(moved.c.variant_id, moved.c.location_id, moved.c.lot_id)
    )
    if "warehouse" in query:
        statement = statement.where(moved.c.location_id == query["warehouse"])
    totals = statement.subquery()
    rows = select(totals, Product.id.label("product_id"), Product.name, Lot.batch_number, Lot.expiry_date)
    rows = (
        rows.join(Variant, Variant.id == totals.c.variant_id)
        .join(Product, Product.id == Variant.product_id)
        .outerjoin(Lot, Lot.id == totals.c.lot_id)
        .order_by(totals.c.variant_id, totals.c.location_id, totals.c.lot_id)
    )
    if "product" in query:
        rows = rows.where(Product.id == query["product"])
    names = snapshot_of(session).warehouses
    return [
        {
            "product_id": row.product_id,
            "product_name": row.name,
            "variant_id": row.variant_id,
            "warehouse_id": row.location_id,
            "warehouse_name": names[row.location_id].name,
            "batch_number": row.batch_number,
            "expiry_date": row.expiry_date.isoformat() if row.expiry_date else None,
            "on_hand": format_quantity(row.on_hand),
        }
        for row in session.execute(rows)
    ]


def movements(session: Session, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return the ledger's rows of the warehouses that the actor sees, newest first."""
    if "warehouse" in query:
        require_warehouse(session, query["warehouse"])
    statement = select(StockMovement)
    visible = visible_warehouses(session)
    if visible is not None:
        statement = statement.where(
            or_(StockMovement.source_id.in_(sorted(visible)), StockMovement.destination_id.in_(sorted(visible)))
        )
    if "warehouse" in query:
        place = query["warehouse"]
        statement = statement.where(or_(StockMovement.source_id == place, StockMovement.destination_id == place))
    for name, column in _MOVEMENT_FILTERS.items():
        if name in query:
            statement = statement.where(column == query[name])
    if "date_from" in query:
        statement = statement.where(StockMovement.occurred_at >= query["date_from"])
    if "date_to" in query:
        statement = statement.where(StockMovement.occurred_at < query["date_to"])
    ordering = {
        "id": StockMovement.id,
        "recorded_at": StockMovement.recorded_at,
        "occurred_at": StockMovement.occurred_at,
    }
    rows, cursor = page(session, statement, ordering=ordering, query=query)
    may_see_cost = actor_of(session).can("catalogue:cost:read")
    return [_show_movement(row, may_see_cost) for row in rows], cursor


def alerts(session: Session, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return low-stock alerts of the warehouses that the actor sees, newest first."""
    statement = (
        select(StockAlert, Product.name)
        .join(Product, Product.id == StockAlert.product_id)
        .where(warehouse_condition(session, StockAlert.warehouse_id))
    )
    if "warehouse" in query:
        require_warehouse(session, query["warehouse"])
        statement = statement.where(StockAlert.warehouse_id == query["warehouse"])
    if "status" in query:
        statement = statement.where(StockAlert.status == query["status"])
    if "product" in query:
        statement = statement.where(StockAlert.product_id == query["product"])
    rows, cursor = page(
        session, statement, ordering={"id": StockAlert.id, "created_at": StockAlert.created_at}, query=query
    )
    names = snapshot_of(session).warehouses
    return [_show_alert(row[0], row[1], names[row[0].warehouse_id].name) for row in rows], cursor


_LEVEL_KEY = (StockLevel.variant_id, StockLevel.location_id, StockLevel.lot_id)
_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,18})", re.ASCII)
_MOVEMENT_FILTERS = {
    "product": StockMovement.product_id,
    "variant": StockMovement.variant_id,
    "channel": StockMovement.channel,
    "document_type": StockMovement.document_type,
    "document_id": StockMovement.document_id,
}


def _read_cursor(cursor: str) -> tuple[int, int, int]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise ValidationFailed.at("cursor", "Not a cursor of this list.", code="bad-cursor")
    variant_id, location_id, lot_id = map(int, match.groups())
    return variant_id, location_id, lot_id


def _until(as_of: datetime | None, known_at: datetime | None) -> list[Any]:
    conditions = []
    if as_of is not None:
        conditions.append(StockMovement.occurred_at <= as_of)
    if known_at is not None:
        conditions.append(StockMovement.recorded_at <= known_at)
    return conditions


def _counts() -> tuple[Any, ...]:
    return Reservation.released_at.is_(None), Reservation.expires_at > utc_now()


def _by_product(
    session: Session, column: Any, entity: Any, products: Sequence[int], places: Sequence[int] | None
) -> dict[int, Decimal]:
    statement = (
        select(Variant.product_id, func.sum(column))
        .join(Variant, Variant.id == entity.variant_id)
        .where(Variant.product_id.in_(products))
        .group_by(Variant.product_id)
    )
    if places is not None:
        statement = statement.where(entity.location_id.in_(places))
    if entity is Reservation:
        statement = statement.where(*_counts())
    return {row[0]: row[1] for row in session.execute(statement)}


def _promised(session: Session, variant_ids: Sequence[int]) -> dict[tuple[int, int, int], Decimal]:
    rows = session.execute(
        select(Reservation.variant_id, Reservation.location_id, Reservation.lot_id, func.sum(Reservation.quantity))
        .where(Reservation.variant_id.in_(set(variant_ids)), *_counts())
        .group_by(Reservation.variant_id, Reservation.location_id, Reservation.lot_id)
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def _show_level(session: Session, row: Any, promised: dict[tuple[int, int, int], Decimal]) -> dict[str, Any]:
    level, variant, product, location, lot = row
    reserved = promised.get((level.variant_id, level.location_id, level.lot_id), ZERO)
    return {
        "product_id": product.id,
        "product_name": product.name,
        "variant_id": None if variant.is_default else variant.id,
        "variant_details": variant.name,
        "warehouse_id": location.id,
        "warehouse_name": location.name,
        "batch_number": lot.batch_number if lot else None,
        "expiry_date": lot.expiry_date.isoformat() if lot and lot.expiry_date else None,
        "on_hand": format_quantity(level.on_hand),
        "reserved": format_quantity(reserved),
        "available": format_quantity(level.on_hand - reserved),
        "last_updated": format_instant(level.updated_at),
    }


def _show_movement(row: StockMovement, may_see_cost: bool) -> dict[str, Any]:
    shown = {
        "id": row.id,
        "product_id": row.product_id,
        "variant_id": row.variant_id,
        "lot_id": row.lot_id or None,
        "quantity": format_quantity(row.quantity),
        "source": row.source_id,
        "destination": row.destination_id,
        "occurred_at": format_instant(row.occurred_at),
        "recorded_at": format_instant(row.recorded_at),
        "channel": row.channel,
        "document_type": row.document_type,
        "document_id": row.document_id,
        "document_line": row.document_line,
        "effect": row.effect,
        "reverses": row.reverses_id,
    }
    if may_see_cost:
        shown["unit_cost"] = None if row.unit_cost is None else format_money(row.unit_cost)
    return shown


def _show_alert(alert: StockAlert, name: str, warehouse_name: str) -> dict[str, Any]:
    return {
        "id": alert.id,
        "product": alert.product_id,
        "product_name": name,
        "variant": alert.variant_id,
        "warehouse": alert.warehouse_id,
        "warehouse_name": warehouse_name,
        "current_stock": format_quantity(alert.current_stock),
        "threshold": format_quantity(alert.threshold),
        "status": alert.status,
        "created_at": format_instant(alert.created_at),
        "resolved_at": format_instant(alert.resolved_at) if alert.resolved_at else None,
    }
