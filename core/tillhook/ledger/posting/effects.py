"""What follows from a change of stock: low-stock alerts, events, and the hook ``movements_posted``.

A product is low at a warehouse when its on hand there, over variants and lots, is strictly below the threshold:
the warehouse's own, else the product's, else the setting's. At most one alert per product and warehouse is open.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select, text, true, update
from sqlalchemy.orm import Session

from tillhook.db import Exact, among, format_instant, records, utc_now
from tillhook.events import NewEvent, record_many
from tillhook.ledger.expiry import is_expired
from tillhook.ledger.models import Lot, StockAlert, StockLevel, StockThreshold
from tillhook.ledger.posting.items import Item
from tillhook.ledger.posting.locks import lock_products
from tillhook.ledger.posting.values import Document, LevelAfter, LevelKey, Movement
from tillhook.products.models import Product, Variant
from tillhook.quantities import ZERO, from_units, json_number, to_units
from tillhook.runtime import actor_of, runtime_of, snapshot_of

_INVENTORY = "product:inventory-updated"
#: A product at a warehouse.
Place = tuple[int, int]
_OPEN = text(
    "INSERT INTO stock_alert (product_id, variant_id, warehouse_id, current_stock, threshold, status, created_at,"
    " opened_type, opened_id)"
    " VALUES (:product, :variant, :warehouse, :stock, :threshold, 'open', :now, :type, :document)"
    " ON CONFLICT (product_id, warehouse_id) WHERE status = 'open' DO NOTHING RETURNING id"
).bindparams(bindparam("stock", type_=Exact), bindparam("threshold", type_=Exact))


@dataclass(frozen=True, slots=True)
class ProductStock:
    """One product at one warehouse after a change of ``change`` to on hand; ``available`` is over all warehouses."""

    product_id: int
    warehouse_id: int
    name: str
    category_id: int | None
    price: Decimal
    threshold: Decimal
    on_hand: Decimal
    available: Decimal
    variant_id: int | None = None
    change: Decimal = ZERO


def follow(
    session: Session,
    movements: Sequence[Movement],
    levels: Mapping[LevelKey, LevelAfter],
    told: Mapping[LevelKey, Item],
) -> None:
    """Open and resolve alerts, record the events that are still to be told, and call ``movements_posted``.

    Args:
        levels: Every level that changed, as it is now; of products that are not among ``told`` all levels are locked.
        told: The items of levels whose change was told already.
    """
    changes = [_from_item(session, item, levels[key]) for key, item in told.items()]
    events: list[NewEvent] = []
    if others := {key: after for key, after in levels.items() if key not in told}:
        products = {movement.variant_id: movement.product_id for movement in movements}
        stocks = _after(session, others, products)
        events += [_inventory_event(session, stock) for stock in stocks]
        changes += stocks
    documents = _last_documents(movements) if any(map(_is_reviewed, changes)) else {}
    events += _review(
        session, [(change, documents.get((change.product_id, change.warehouse_id))) for change in changes]
    )
    if events:
        record_many(session, events)
    hooks = runtime_of(session).hooks
    if movements and hooks.implemented("movements_posted"):
        hooks.hook.movements_posted(session=session, movements=tuple(movements))


def inventory_event(session: Session, item: Item) -> NewEvent:
    """Return the event of an item whose stock changes; what is available then is to be filled in."""
    product = _summary(session, item.product_id, item.product_name, item.category_id, ZERO)
    return _INVENTORY, {"product": product | {"price": json_number(item.price)}}, item.warehouse_id


def availability_changed(session: Session, keys: Iterable[LevelKey]) -> None:
    """Record the event that says what is available of the products of these levels, which are locked."""
    wanted = sorted(set(keys))
    if not wanted:
        return
    variants = {key.variant_id for key in wanted}
    found = session.execute(select(Variant.id, Variant.product_id).where(among(Variant.id, sorted(variants))))
    products = {row.id: row.product_id for row in found}
    stocks = _read(session, {(products[key.variant_id], key.location_id) for key in wanted})
    record_many(session, [_inventory_event(session, stock) for stock in stocks])


def refresh_alerts(session: Session, product_ids: Iterable[int]) -> None:
    """Open or resolve the products' alerts wherever they are stocked, after a threshold changed."""
    session.flush()
    products = list(product_ids)
    lock_products(session, products)
    levels = session.execute(
        select(Variant.product_id, StockLevel.location_id, func.max(Variant.id))
        .join(Variant, Variant.id == StockLevel.variant_id)
        .where(among(Variant.product_id, products))
        .group_by(Variant.product_id, StockLevel.location_id)
    )
    variants: dict[Place, int] = {(row[0], row[1]): row[2] for row in levels}
    stocks: list[tuple[ProductStock, Document | None]] = []
    for stock in _read(session, set(variants)):
        # Nothing moved: have it looked at as if it came from the other side.
        crossed = stock.on_hand - stock.threshold + 1 if stock.on_hand >= stock.threshold else ZERO
        variant_id = variants[stock.product_id, stock.warehouse_id]
        stocks.append((replace(stock, change=crossed, variant_id=variant_id), None))
    events = _review(session, stocks)
    if events:
        record_many(session, events)


def resolve_alerts(session: Session, product_ids: Iterable[int]) -> None:
    """Close the open alerts of products that are no longer tracked: they have no stock to be low of."""
    _resolve(session, among(StockAlert.product_id, list(product_ids)))


def resolve_places(session: Session, places: Iterable[Place]) -> None:
    """Close the open alerts of products at warehouses."""
    wanted = sorted(set(places))
    if wanted:
        k = records(session, wanted, "p", "w")
        here = k.c.p == StockAlert.product_id, k.c.w == StockAlert.warehouse_id
        _resolve(session, select(k.c.p).where(*here).exists())


def _inventory_event(session: Session, stock: ProductStock) -> NewEvent:
    product = _summary(session, stock.product_id, stock.name, stock.category_id, stock.available)
    return _INVENTORY, {"product": product | {"price": json_number(to_units(stock.price))}}, stock.warehouse_id


def _summary(
    session: Session, product_id: int, name: str, category_id: int | None, inventory: Decimal
) -> dict[str, Any]:
    category = snapshot_of(session).categories.get(category_id) if category_id else None
    return {"_id": product_id, "name": name, "inventory": json_number(to_units(inventory)), "category": category}


def _from_item(session: Session, item: Item, after: LevelAfter) -> ProductStock:
    return ProductStock(
        item.product_id,
        item.warehouse_id,
        item.product_name,
        item.category_id,
        from_units(item.price),
        _threshold(session, _exact(item.warehouse_threshold), _exact(item.threshold)),
        from_units(after.on_hand),
        from_units(after.on_hand - after.reserved),
        item.variant_id,
        from_units(after.change),
    )


def _threshold(session: Session, of_warehouse: Decimal | None, of_product: Decimal | None) -> Decimal:
    for threshold in (of_warehouse, of_product):
        if threshold is not None:
            return threshold
    return Decimal(snapshot_of(session).setting("low_stock_threshold"))


def _exact(units: int | None) -> Decimal | None:
    return None if units is None else from_units(units)


def _after(session: Session, levels: Mapping[LevelKey, LevelAfter], products: Mapping[int, int]) -> list[ProductStock]:
    """Return the products of the levels, each with the sum of what changed."""
    changes: dict[Place, tuple[int, int]] = {}
    for key in sorted(levels):
        place = products[key.variant_id], key.location_id
        changes[place] = key.variant_id, changes.get(place, (0, 0))[1] + levels[key].change
    return [
        replace(stock, variant_id=variant_id, change=from_units(units))
        for stock in _read(session, set(changes))
        for variant_id, units in [changes[stock.product_id, stock.warehouse_id]]
    ]


def _read(session: Session, places: set[Place]) -> list[ProductStock]:
    """Return products at warehouses, in order; their levels are locked."""
    if not places:
        return []
    k = records(session, sorted(places), "p", "w")
    of_product = (
        select(func.sum(StockLevel.on_hand))
        .join(Variant, Variant.id == StockLevel.variant_id)
        .where(Variant.product_id == Product.id)
        .correlate(Product, k)
    )
    here = of_product.where(StockLevel.location_id == k.c.w)
    # What has expired is on hand, and not available.
    of_lots = of_product.outerjoin(Lot, Lot.id == StockLevel.lot_id)
    fresh, promised = (
        of_lots.with_only_columns(func.sum(column)).where(is_expired(session, column).is_not(true()))
        for column in (StockLevel.on_hand, StockLevel.reserved)
    )
    rows = session.execute(
        select(
            Product.id,
            k.c.w,
            Product.name,
            Product.category_id,
            Product.price,
            Product.low_stock_threshold,
            StockThreshold.threshold,
            here.scalar_subquery(),
            fresh.scalar_subquery(),
            promised.scalar_subquery(),
        )
        .join(k, k.c.p == Product.id)
        .outerjoin(StockThreshold, (StockThreshold.product_id == Product.id) & (StockThreshold.warehouse_id == k.c.w))
        .order_by(Product.id, k.c.w)
    )
    return [
        ProductStock(
            product_id,
            place,
            name,
            category_id,
            price,
            _threshold(session, own, threshold),
            on_hand or ZERO,
            (unexpired or ZERO) - (reserved or ZERO),
        )
        for product_id, place, name, category_id, price, threshold, own, on_hand, unexpired, reserved in rows
    ]


def _is_reviewed(stock: ProductStock) -> bool:
    return min(stock.on_hand, stock.on_hand - stock.change) < stock.threshold


def _last_documents(movements: Sequence[Movement]) -> dict[Place, Document]:
    """Return the last document that moved any of a product to or from a place."""
    return {
        (movement.product_id, place): movement.document
        for movement in movements
        for place in (movement.source_id, movement.destination_id)
    }


def _review(session: Session, stocks: Iterable[tuple[ProductStock, Document | None]]) -> list[NewEvent]:
    """Open the alerts of products that are low, resolve those of products that are no longer; return the events.

    Args:
        stocks: Each with the document that changed it; ``None`` when no goods moved.
    """
    events: list[NewEvent] = []
    filled: dict[tuple[Document | None, int], list[int]] = {}
    for stock, document in stocks:
        if stock.on_hand < stock.threshold:
            events += _open(session, stock, document)
        elif stock.on_hand - stock.change < stock.threshold:
            filled.setdefault((document, stock.warehouse_id), []).append(stock.product_id)
    for (document, warehouse_id), products in filled.items():
        here = (among(StockAlert.product_id, products), StockAlert.warehouse_id == warehouse_id)
        _resolve(session, *here, document=document)
    return events


def _open(session: Session, stock: ProductStock, document: Document | None) -> list[NewEvent]:
    opened = session.execute(
        _OPEN,
        {
            "product": stock.product_id,
            "variant": stock.variant_id,
            "warehouse": stock.warehouse_id,
            "stock": stock.on_hand,
            "threshold": stock.threshold,
            "now": format_instant(utc_now()),
            "type": document and document.type,
            "document": document and document.id,
        },
    ).first()
    if opened is None:
        return []
    product = _summary(session, stock.product_id, stock.name, stock.category_id, stock.on_hand)
    return [("inventory:low-stock-alert", {"products": [product]}, stock.warehouse_id)]


def _resolve(session: Session, *conditions: ColumnElement[bool], document: Document | None = None) -> None:
    session.execute(
        update(StockAlert)
        .where(*conditions, StockAlert.status == "open")
        .values(
            status="resolved",
            resolved_at=utc_now(),
            resolved_by=actor_of(session).user_id,
            resolved_type=document and document.type,
            resolved_id=document and document.id,
        )
        .execution_options(synchronize_session=False)
    )
