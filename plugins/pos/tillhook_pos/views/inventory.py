"""The seller's own stock: what each warehouse has of each variant and lot."""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, and_, exists, func, literal, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from tillhook.access import require_warehouse, visible_warehouses
from tillhook.db import Exact
from tillhook.errors import ValidationFailed
from tillhook.ledger import Lot, StockLevel, StockThreshold, promised, today_of
from tillhook.products import Product, Variant, sees_all
from tillhook.quantities import ZERO, format_quantity
from tillhook.runtime import actor_of, snapshot_of

_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,18})", re.ASCII)
#: Levels that are read at once.
_STRETCH = 1_000


def inventory(session: Session, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of the stock of the actor's warehouses, and the cursor of the next; ``None`` at the end.

    One warehouse comes after the other, each by variant and lot. A product is low when all of it at a warehouse, over
    variants and lots, is below the threshold. Products that are not published and somebody else's are not there.

    Raises:
        ValidationFailed: 422: an unknown warehouse, or a cursor that is none.
        PermissionDenied: 403: the warehouse is somebody else's.
    """
    snapshot = snapshot_of(session)
    first, *after = _place(query["cursor"])
    rows: list[Any] = []
    for place in _warehouses(session, query.get("warehouse")):
        if place >= first and len(rows) <= query["limit"]:
            rows += _read(session, place, after if place == first else (0, 0), query, query["limit"] + 1 - len(rows))
    more, rows = len(rows) > query["limit"], rows[: query["limit"]]
    cursor = f"{rows[-1].location_id}.{rows[-1].variant_id}.{rows[-1].lot_id}" if more else None
    reserved = promised(session, [_level(row) for row in rows])
    today = today_of(session)
    return [
        _show(row, snapshot.warehouses[row.location_id].name, reserved.get(_level(row), ZERO), today) for row in rows
    ], cursor


def _warehouses(session: Session, wanted: int | None) -> list[int]:
    if wanted is not None:
        require_warehouse(session, wanted)
        return [wanted]
    visible = visible_warehouses(session)
    return sorted(snapshot_of(session).warehouses if visible is None else visible)


def _read(
    session: Session, warehouse_id: int, after: Sequence[int], query: dict[str, Any], limit: int
) -> Sequence[Any]:
    """Return what a warehouse has after a variant and lot.

    Of one warehouse an index has it in order. It is read a stretch at a time, or PostgreSQL would rather join all that
    is there than look up the products of a page.
    """
    actor = actor_of(session)
    place = tuple_(StockLevel.variant_id, StockLevel.lot_id)
    threshold = snapshot_of(session).setting("low_stock_threshold")
    statement = _stock(warehouse_id, threshold, low_only=query.get("low_stock", False))
    if not sees_all(actor):
        statement = statement.where(
            or_(Product.status.not_in(("pending", "rejected")), Product.owner_id == actor.user_id)
        )
    levels = select(StockLevel.variant_id, StockLevel.lot_id).where(StockLevel.location_id == warehouse_id)
    rows: list[Any] = []
    end: Sequence[int] | None = after
    while end is not None and len(rows) < limit:
        is_later = place > tuple_(*end)
        # Of what is low there may be little in each stretch.
        after_this = levels.where(is_later).order_by(*place).offset(_STRETCH).limit(1)
        end = None if query.get("low_stock") else session.execute(after_this).first()
        stretch = statement.where(is_later) if end is None else statement.where(is_later, place <= tuple_(*end))
        rows += session.execute(stretch.order_by(*place).limit(limit - len(rows)))
    return rows


def _stock(warehouse_id: int, threshold: Decimal, *, low_only: bool) -> Select[*tuple[Any, ...]]:
    """Return the query for what a warehouse has, and for whether that is little of the product.

    A lot that is used up is left out, unless the variant has nothing else there and no later lot: then it says so.
    """
    level, of_product, other = aliased(StockLevel), aliased(Variant), aliased(StockLevel)
    total = (
        select(func.sum(level.on_hand))
        .join(of_product, of_product.id == level.variant_id)
        # Not by the warehouse's column itself: SQLite would begin with it, and read all that is there.
        .where(of_product.product_id == Product.id, level.location_id + 0 == warehouse_id)
        .correlate(Product)
        .scalar_subquery()
    )
    limit = func.coalesce(StockThreshold.threshold, Product.low_stock_threshold, literal(threshold, Exact))
    same_place = and_(other.variant_id == StockLevel.variant_id, other.location_id == warehouse_id)
    # The first is answered by an index, for all but the last of many lots.
    is_alone = and_(
        ~exists().where(same_place, other.lot_id > StockLevel.lot_id), ~exists().where(same_place, other.on_hand != 0)
    )
    statement = (
        select(
            StockLevel.variant_id,
            StockLevel.location_id,
            StockLevel.lot_id,
            StockLevel.on_hand,
            Product.id.label("product_id"),
            Product.name,
            Variant.is_default,
            Variant.name.label("variant_name"),
            Lot.batch_number,
            Lot.expiry_date,
            (total < limit).label("is_low"),
            limit.label("threshold"),
        )
        .join(Variant, Variant.id == StockLevel.variant_id)
        .join(Product, Product.id == Variant.product_id)
        .outerjoin(Lot, Lot.id == StockLevel.lot_id)
        .outerjoin(
            StockThreshold,
            and_(StockThreshold.product_id == Product.id, StockThreshold.warehouse_id == warehouse_id),
        )
        .where(StockLevel.location_id == warehouse_id)
        .where(or_(StockLevel.on_hand != 0, and_(Product.status != "archived", is_alone)))
    )
    return statement.where(total < limit) if low_only else statement


def _place(cursor: str | None) -> tuple[int, int, int]:
    """Return warehouse, variant and lot of the last row of the page before."""
    if cursor is None:
        return 0, 0, 0
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise ValidationFailed.at("cursor", "Not a cursor of this list.", code="bad-cursor")
    warehouse, variant, lot = map(int, match.groups())
    return warehouse, variant, lot


def _level(row: Any) -> tuple[int, int, int]:
    return row.variant_id, row.location_id, row.lot_id


def _show(row: Any, warehouse_name: str, reserved: Decimal, today: date) -> dict[str, Any]:
    is_expired = row.expiry_date is not None and row.expiry_date < today
    return {
        "product_id": row.product_id,
        "product_name": row.name,
        "variant_id": None if row.is_default else row.variant_id,
        "variant_details": None if row.is_default else row.variant_name,
        "quantity": format_quantity(row.on_hand),
        "available": format_quantity(ZERO if is_expired else row.on_hand - reserved),
        "expired": format_quantity(row.on_hand if is_expired else ZERO),
        "low_stock_threshold": format_quantity(row.threshold),
        "is_low_stock": row.is_low,
        "batch_number": row.batch_number,
        "expiry_date": row.expiry_date and row.expiry_date.isoformat(),
        "warehouse_id": row.location_id,
        "warehouse_name": warehouse_name,
    }
