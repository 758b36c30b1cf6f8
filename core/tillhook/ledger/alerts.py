"""What follows from a change of stock: low-stock alerts and events.

A product is low at a warehouse when its on hand there, over variants and lots, is strictly below the threshold:
the warehouse's own, else the product's, else the setting's. At most one alert per product and warehouse is open.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, text, update
from sqlalchemy.orm import Session

from tillhook.db import format_instant, utc_now
from tillhook.events import record_many
from tillhook.ledger.items import Item
from tillhook.ledger.models import StockAlert
from tillhook.ledger.movements import LevelAfter, LevelKey, StockMovement
from tillhook.quantities import format_money, format_quantity, from_units, to_units
from tillhook.runtime import actor_of, runtime_of, snapshot_of

#: First key of the advisory locks that serialise the alerts of one product, whose stock is several rows.
_ALERT_LOCK = 7_411_002
Events = list[tuple[str, dict[str, Any], int | None]]


@dataclass(slots=True)
class ProductStock:
    """One product at one warehouse after a change; quantities and price in units of 1/10,000.

    ``change`` is what the posting did to on hand; ``available`` is over all warehouses.
    """

    product_id: int
    variant_id: int
    warehouse_id: int
    name: str
    category_id: int | None
    price: int
    threshold: int
    on_hand: int
    change: int
    available: int


def stock_changed(
    session: Session,
    movements: Sequence[StockMovement],
    levels: dict[LevelKey, LevelAfter],
    items: Iterable[Item] = (),
) -> None:
    """Open and resolve alerts, record the events and call ``movements_posted``.

    Args:
        levels: What :func:`write_movements` returned.
        items: Items as they were read before the posting, which saves reading them again.
    """
    # What is elsewhere may change meanwhile: then the total is read under a lock, or the last event would be wrong.
    known = {item.variant_id: item for item in items if item.is_single_level and not item.elsewhere}
    changes = [
        _from_item(session, known[key.variant_id], key, after)
        for key, after in levels.items()
        if key.variant_id in known
    ]
    others = {key: after for key, after in levels.items() if key.variant_id not in known}
    if others:
        changes += _read(session, others)
    events: Events = [inventory_event(session, change) for change in changes]
    for change in changes:
        events += _review(session, change)
    if events:
        record_many(session, events)
    hooks = runtime_of(session).hooks
    if movements and hooks.implemented("movements_posted"):
        hooks.hook.movements_posted(session=session, movements=movements)


def refresh_alerts(session: Session, product_ids: Iterable[int]) -> None:
    """Open or resolve the products' alerts wherever they are stocked, after a threshold changed."""
    session.flush()
    products = sorted(set(product_ids))
    if not products:
        return
    keys = session.execute(
        text(
            "SELECT l.variant_id, l.location_id, l.lot_id FROM stock_level l JOIN variant v ON v.id = l.variant_id"
            " WHERE v.product_id IN :products"
        ).bindparams(bindparam("products", expanding=True)),
        {"products": products},
    )
    events: Events = []
    for change in _read(session, {LevelKey(*key): LevelAfter(0, 0, 0) for key in keys}):
        # Nothing moved: have it looked at as if it came from the other side.
        change.change = change.on_hand - change.threshold + 1 if change.on_hand >= change.threshold else 0
        events += _review(session, change)
    if events:
        record_many(session, events)


def resolve_alerts(session: Session, product_ids: Iterable[int]) -> None:
    """Close the open alerts of products that are no longer tracked: they have no stock to be low of."""
    session.execute(
        update(StockAlert)
        .where(StockAlert.product_id.in_(list(product_ids)), StockAlert.status == "open")
        .values(status="resolved", resolved_at=utc_now(), resolved_by=actor_of(session).user_id)
    )


def inventory_event(session: Session, change: ProductStock) -> tuple[str, dict[str, Any], int | None]:
    """Return ``product:inventory-updated`` for the product."""
    product = _summary(session, change, change.available)
    return "product:inventory-updated", {"product": product}, change.warehouse_id


def _summary(session: Session, change: ProductStock, inventory: int) -> dict[str, Any]:
    snapshot = snapshot_of(session)
    return {
        "_id": change.product_id,
        "name": change.name,
        "inventory": format_quantity(from_units(inventory)),
        "category": snapshot.categories.get(change.category_id) if change.category_id else None,
        "price": format_money(from_units(change.price)),
    }


def _from_item(session: Session, item: Item, key: LevelKey, after: LevelAfter) -> ProductStock:
    threshold = item.warehouse_threshold if item.warehouse_threshold is not None else item.threshold
    if threshold is None:
        threshold = to_units(snapshot_of(session).setting("low_stock_threshold"))
    return ProductStock(
        item.product_id,
        item.variant_id,
        key.location_id,
        item.product_name,
        item.category_id,
        item.price,
        threshold,
        after.on_hand,
        after.change,
        after.on_hand - after.reserved,
    )


_READ = text(
    """
    SELECT v.id AS variant_id, w.id AS warehouse_id, p.id AS product_id, p.name, p.category_id, p.price,
           COALESCE(t.threshold, p.low_stock_threshold) AS threshold,
           COALESCE((SELECT SUM(l.on_hand) FROM stock_level l JOIN variant x ON x.id = l.variant_id
             WHERE x.product_id = p.id AND l.location_id = w.id), 0) AS on_hand,
           COALESCE((SELECT SUM(l.on_hand - l.reserved) FROM stock_level l JOIN variant x ON x.id = l.variant_id
             WHERE x.product_id = p.id), 0) AS available
      FROM variant v JOIN product p ON p.id = v.product_id JOIN location w ON w.id IN :warehouses
      LEFT JOIN stock_threshold t ON t.product_id = p.id AND t.warehouse_id = w.id
     WHERE v.id IN :variants
    """
).bindparams(bindparam("variants", expanding=True), bindparam("warehouses", expanding=True))
# In the order of the keys, so that no two postings deadlock; what is read is read in a later statement.
_LOCK = text(
    "SELECT pg_advisory_xact_lock(:space, key) FROM (SELECT DISTINCT CAST(product_id % 2147483648 AS INTEGER) AS key"
    " FROM variant WHERE id IN :variants ORDER BY key) AS keys"
).bindparams(bindparam("variants", expanding=True))


def _read(session: Session, levels: dict[LevelKey, LevelAfter]) -> list[ProductStock]:
    """Return the products of the levels, their totals read while other postings of them wait."""
    variants = sorted({key.variant_id for key in levels})
    warehouses = sorted({key.location_id for key in levels})
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_LOCK, {"space": _ALERT_LOCK, "variants": variants}).all()
    rows = {
        (row.variant_id, row.warehouse_id): row
        for row in session.execute(_READ, {"variants": variants, "warehouses": warehouses})
    }
    default = to_units(snapshot_of(session).setting("low_stock_threshold"))
    result: dict[tuple[int, int], ProductStock] = {}
    for key in sorted(levels):
        row = rows[key.variant_id, key.location_id]
        stock = result.setdefault(
            (row.product_id, key.location_id),
            ProductStock(
                row.product_id,
                key.variant_id,
                key.location_id,
                row.name,
                row.category_id,
                row.price,
                default if row.threshold is None else row.threshold,
                int(row.on_hand),
                0,
                int(row.available),
            ),
        )
        stock.variant_id = key.variant_id
        stock.change += levels[key].change
    return [result[place] for place in sorted(result)]


def _review(session: Session, change: ProductStock) -> Events:
    """Open the product's alert when it is low, resolve it when it is no longer; return the events."""
    if change.on_hand < change.threshold:
        return _open(session, change)
    if change.on_hand - change.change < change.threshold:
        _resolve(session, change)
    return []


def _open(session: Session, change: ProductStock) -> Events:
    opened = session.execute(
        text(
            "INSERT INTO stock_alert"
            " (product_id, variant_id, warehouse_id, current_stock, threshold, status, created_at)"
            " VALUES (:product, :variant, :warehouse, :stock, :threshold, 'open', :now)"
            " ON CONFLICT (product_id, warehouse_id) WHERE status = 'open' DO NOTHING RETURNING id"
        ),
        {
            "product": change.product_id,
            "variant": change.variant_id,
            "warehouse": change.warehouse_id,
            "stock": change.on_hand,
            "threshold": change.threshold,
            "now": format_instant(utc_now()),
        },
    ).first()
    if opened is None:
        return []
    summary = _summary(session, change, change.on_hand)
    del summary["price"]
    return [("inventory:low-stock-alert", {"products": [summary]}, change.warehouse_id)]


def _resolve(session: Session, change: ProductStock) -> None:
    session.execute(
        text(
            "UPDATE stock_alert SET status = 'resolved', resolved_at = :now, resolved_by = :actor"
            " WHERE product_id = :product AND warehouse_id = :warehouse AND status = 'open'"
        ),
        {
            "now": format_instant(utc_now()),
            "actor": actor_of(session).user_id,
            "product": change.product_id,
            "warehouse": change.warehouse_id,
        },
    )
