"""A product's stock as the catalogue's routes speak of it: what is low, and setting it outright."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select
from sqlalchemy.orm import Session

from tillhook import ledger
from tillhook.access import default_warehouse, warehouse_condition
from tillhook.actor import Actor
from tillhook.catalogue.answers import audit_answer
from tillhook.catalogue.rules import stocked, why_not_editable
from tillhook.catalogue.writing import saved
from tillhook.errors import Conflict, PermissionDenied
from tillhook.http import page
from tillhook.ledger.models import Location, StockLevel
from tillhook.products.models import Product, Variant
from tillhook.products.search import get_product, visible_to
from tillhook.quantities import ZERO
from tillhook.runtime import actor_of, snapshot_of


def low_stock(
    session: Session, threshold: Decimal | None, query: Mapping[str, Any]
) -> tuple[list[Product], str | None]:
    """Return the tracked products with less on hand, over the actor's warehouses, than the threshold.

    Args:
        threshold: For all of them; ``None`` means each one's own, else the setting's.
        query: ``limit``, ``cursor``, ``ordering`` (by ``name``, ``inventory`` or ``id``) and ``count``.

    Returns:
        One page, and the cursor of the next.
    """
    actor = actor_of(session)
    statement, total = _with_total(actor, is_sorted="inventory" in query["ordering"])
    limit: Any = threshold
    if threshold is None:
        default = Decimal(snapshot_of(session).setting("low_stock_threshold"))
        limit = func.coalesce(Product.low_stock_threshold, literal(default, Product.low_stock_threshold.type))
    statement = statement.where(
        visible_to(actor), Product.tracking != "none", Product.status.not_in(("rejected", "archived")), total < limit
    )
    ordering = {"name": Product.name, "inventory": total, "id": Product.id}
    return page(session, statement, ordering=ordering, query=query)


def _with_total(actor: Actor, *, is_sorted: bool) -> tuple[Select[Product], ColumnElement[Any]]:
    """Return the query for products, and what is on hand of each over the actor's warehouses.

    Args:
        is_sorted: By the total: then all are summed once. Else each is when it is looked at, until a page is full.
    """
    levels = (
        select(func.sum(StockLevel.on_hand).label("total"))
        .join(Variant, Variant.id == StockLevel.variant_id)
        # Not by the column itself: SQLite would begin with it, and read all that the warehouses have.
        .where(warehouse_condition(actor, StockLevel.location_id + 0))
    )
    total: Any
    if is_sorted:
        on_hand = levels.add_columns(Variant.product_id).group_by(Variant.product_id).subquery()
        statement, total = select(Product).outerjoin(on_hand, on_hand.c.product_id == Product.id), on_hand.c.total
    else:
        statement = select(Product)
        total = levels.where(Variant.product_id == Product.id).correlate(Product).scalar_subquery()
    return statement, func.coalesce(total, 0, type_=StockLevel.on_hand.type)


def set_product_inventory(
    session: Session,
    product_id: int,
    inventory: Decimal | None,
    *,
    warehouse_id: int | None = None,
    variant_id: int | None = None,
    expected: Decimal | None = None,
) -> Product:
    """Set what is on hand at a warehouse, or stop tracking with ``None``.

    A number for an untracked product starts tracking it. ``None`` writes off what is on hand, at every
    warehouse, by adjustments; so it needs all of them to be the actor's. Starting and stopping are for who may change
    the product.

    Args:
        warehouse_id: By default the actor's only one, else the setting ``default_warehouse``.
        expected: Refuse when on hand is no longer this.

    Raises:
        NotFound: 404.
        PermissionDenied: 403: a till cannot set stock; not a warehouse of the actor; somebody else's product.
        Conflict: 409: on hand is not ``expected``; or some is reserved, or in lots, and tracking would stop.
        ValidationFailed: 422: no warehouse to be guessed, or a product with variants and none named.
    """
    actor = actor_of(session)
    if actor.device is not None:
        # A device may have been offline: what it knows of stock is old.
        raise PermissionDenied("A device reports sales; it does not set stock.", code="device-cannot-set-stock")
    product = get_product(session, product_id, for_update=True)
    if product.status == "archived":
        raise Conflict(f"Product {product_id} is archived.", code="product-archived")
    if inventory is None or product.tracking == "none":
        refusal = why_not_editable(actor, product)
        if refusal is not None:
            raise refusal
    before = audit_answer(session, product)
    if inventory is None:
        _stop_tracking(session, product)
    else:
        place = default_warehouse(session) if warehouse_id is None else warehouse_id
        if product.tracking == "none":
            product.tracking = "quantity"
            session.flush()
        ledger.set_inventory(session, product.id, inventory, place, expected=expected, variant_id=variant_id)
    if product.tracking != before["tracking"]:
        saved(session, product, before)
    return product


def _stop_tracking(session: Session, product: Product) -> None:
    if product.tracking == "none":
        return
    levels = session.execute(
        select(StockLevel.variant_id, StockLevel.location_id)
        .join(Variant, Variant.id == StockLevel.variant_id)
        .join(Location, Location.id == StockLevel.location_id)
        .where(Variant.product_id == product.id, StockLevel.on_hand != ZERO)
        .order_by(StockLevel.variant_id, StockLevel.location_id)
    ).all()
    if levels and product.tracking == "lot":
        raise Conflict(
            f"There are lots of product {product.id} on hand; write them off by adjustments first.",
            code="stock-on-hand",
        )
    for variant_id, location_id in levels:
        ledger.set_inventory(session, product.id, ZERO, location_id, variant_id=variant_id)
    if stocked(session, [product.id]):
        raise Conflict(f"Some of product {product.id} is reserved.", code="stock-reserved")
    product.tracking = "none"
    ledger.resolve_alerts(session, [product.id])
