"""The seller's own stock: what each warehouse has of each variant and lot."""

import re
from typing import Any

from sqlalchemy.orm import Session

from tillhook.access import require_warehouse, visible_warehouses
from tillhook.errors import ValidationFailed
from tillhook.quantities import format_quantity, from_units, to_units
from tillhook.runtime import actor_of, snapshot_of
from tillhook_pos.views import statements

# A lot that is used up is left out, unless the variant has nothing else there and no later lot: then it says so.
_ROWS = """
WITH total AS (
    SELECT v.product_id, l.location_id, SUM(l.on_hand) AS on_hand
      FROM stock_level l JOIN variant v ON v.id = l.variant_id WHERE l.location_id {warehouses}
     GROUP BY v.product_id, l.location_id)
SELECT l.variant_id, l.location_id, l.lot_id, l.on_hand, p.id AS product_id, p.name, v.is_default,
       v.name AS variant_name, lot.batch_number, lot.expiry_date, t.on_hand AS total,
       COALESCE(own.threshold, p.low_stock_threshold, :threshold) AS threshold
  FROM stock_level l JOIN variant v ON v.id = l.variant_id JOIN product p ON p.id = v.product_id
  JOIN total t ON t.product_id = p.id AND t.location_id = l.location_id
  LEFT JOIN lot ON lot.id = l.lot_id
  LEFT JOIN stock_threshold own ON own.product_id = p.id AND own.warehouse_id = l.location_id
 WHERE l.location_id {warehouses}
   AND (l.on_hand <> 0 OR p.status <> 'archived' AND NOT EXISTS (SELECT 1 FROM stock_level m
       WHERE m.variant_id = l.variant_id AND m.location_id = l.location_id AND (m.on_hand <> 0 OR m.lot_id > l.lot_id)))
   AND (p.status NOT IN ('pending', 'rejected') OR :sees_all OR p.owner_id = :actor)
   AND (t.on_hand < COALESCE(own.threshold, p.low_stock_threshold, :threshold) OR NOT :low_stock)
   AND (l.variant_id, l.location_id, l.lot_id) > (:variant, :location, :lot)
 ORDER BY l.variant_id, l.location_id, l.lot_id LIMIT :limit
"""
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
    variant, location, lot = _place(query["cursor"])
    rows = statements.run(
        session.connection(),
        _ROWS,
        among={"warehouses": warehouses},
        threshold=to_units(snapshot.setting("low_stock_threshold")),
        sees_all=actor.can("catalogue:product:approve") or actor.can("catalogue:product:read_all"),
        actor=actor.user_id,
        low_stock=query.get("low_stock", False),
        variant=variant,
        location=location,
        lot=lot,
        limit=query["limit"] + 1,
    )
    more, rows = len(rows) > query["limit"], rows[: query["limit"]]
    cursor = f"{rows[-1].variant_id}.{rows[-1].location_id}.{rows[-1].lot_id}" if more else None
    return [_show(row, snapshot.warehouses[row.location_id].name) for row in rows], cursor


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
        "quantity": format_quantity(from_units(row.on_hand)),
        "low_stock_threshold": format_quantity(from_units(row.threshold)),
        "is_low_stock": row.total < row.threshold,
        "batch_number": row.batch_number,
        "expiry_date": None if row.expiry_date is None else str(row.expiry_date),
        "warehouse_id": row.location_id,
        "warehouse_name": warehouse_name,
    }
