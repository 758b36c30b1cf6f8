"""The seller's own stock: what each warehouse has of each variant and lot."""

import re
from collections.abc import Collection
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, and_, exists, func, literal, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from tillhook.access import require_warehouse, visible_warehouses
from tillhook.db import Exact, among
from tillhook.errors import ValidationFailed
from tillhook.ledger import Lot, StockLevel, StockThreshold
from tillhook.products import Product, Variant, sees_all
from tillhook.quantities import format_quantity
from tillhook.runtime import actor_of, snapshot_of

_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,18})", re.ASCII)


def inventory(session: Session, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of the stock of the actor's warehouses, and the cursor of the next; ``None`` at the end.

    A product is low when all of it at a warehouse, over variants and lots, is below the threshold. Products that are
    not published and somebody else's are not there.

    Raises:
        ValidationFailed: 422: an unknown warehouse, or a cursor that is none.
        PermissionDenied: 403: the warehouse is somebody else's.
    """
    actor, snapshot = actor_of(session), snapshot_of(session)
    if "warehouse" in query:
        require_warehouse(session, query["warehouse"])
        warehouses = [query["warehouse"]]
    else:
        visible = visible_warehouses(session)
        warehouses = sorted(snapshot.warehouses if visible is None else visible)
    mine = or_(Product.status.not_in(("pending", "rejected")), Product.owner_id == actor.user_id)
    known = [] if sees_all(actor) else [mine]
    place = tuple_(StockLevel.variant_id, StockLevel.location_id, StockLevel.lot_id)
    statement = (
        _stock(warehouses, snapshot.setting("low_stock_threshold"), low_only=query.get("low_stock", False))
        .where(place > tuple_(*_place(query["cursor"])), *known)
        .order_by(*place)
        .limit(query["limit"] + 1)
    )
    rows = session.execute(statement).all()
    more, rows = len(rows) > query["limit"], rows[: query["limit"]]
    cursor = f"{rows[-1].variant_id}.{rows[-1].location_id}.{rows[-1].lot_id}" if more else None
    return [_show(row, snapshot.warehouses[row.location_id].name) for row in rows], cursor


def _stock(warehouses: Collection[int], threshold: Decimal, *, low_only: bool) -> Select[*tuple[Any, ...]]:
    """Return the query for what the warehouses have, and for how much of the product each has altogether.

    A lot that is used up is left out, unless the variant has nothing else there and no later lot: then it says so.
    """
    level, other = aliased(StockLevel), aliased(StockLevel)
    total = (
        select(Variant.product_id, level.location_id, func.sum(level.on_hand).label("on_hand"))
        .join(Variant, Variant.id == level.variant_id)
        .where(among(level.location_id, warehouses))
        .group_by(Variant.product_id, level.location_id)
        .subquery("total")
    )
    limit = func.coalesce(StockThreshold.threshold, Product.low_stock_threshold, literal(threshold, Exact))
    same_place = and_(other.variant_id == StockLevel.variant_id, other.location_id == StockLevel.location_id)
    is_alone = ~exists().where(same_place, or_(other.on_hand != 0, other.lot_id > StockLevel.lot_id))
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
            (total.c.on_hand < limit).label("is_low"),
            limit.label("threshold"),
        )
        .join(Variant, Variant.id == StockLevel.variant_id)
        .join(Product, Product.id == Variant.product_id)
        .join(total, and_(total.c.product_id == Product.id, total.c.location_id == StockLevel.location_id))
        .outerjoin(Lot, Lot.id == StockLevel.lot_id)
        .outerjoin(
            StockThreshold,
            and_(StockThreshold.product_id == Product.id, StockThreshold.warehouse_id == StockLevel.location_id),
        )
        .where(among(StockLevel.location_id, warehouses))
        .where(or_(StockLevel.on_hand != 0, and_(Product.status != "archived", is_alone)))
    )
    return statement.where(total.c.on_hand < limit) if low_only else statement


def _place(cursor: str | None) -> tuple[int, int, int]:
    if cursor is None:
        return 0, 0, 0
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise ValidationFailed.at("cursor", "Not a cursor of this list.", code="bad-cursor")
    variant, location, lot = map(int, match.groups())
    return variant, location, lot


def _show(row: Any, warehouse_name: str) -> dict[str, Any]:
    return {
        "product_id": row.product_id,
        "product_name": row.name,
        "variant_id": None if row.is_default else row.variant_id,
        "variant_details": row.variant_name,
        "quantity": format_quantity(row.on_hand),
        "low_stock_threshold": format_quantity(row.threshold),
        "is_low_stock": row.is_low,
        "batch_number": row.batch_number,
        "expiry_date": row.expiry_date and row.expiry_date.isoformat(),
        "warehouse_id": row.location_id,
        "warehouse_name": warehouse_name,
    }
