"""Reading the ledger: availability, movements, alerts. Takes no lock.

``reserved`` is summed from the reservations that have not expired, so an expired one stops counting by itself.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, false, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from tillhook.access import in_warehouse, require_warehouse, visible_warehouses, warehouse_condition
from tillhook.db import among, utc_now
from tillhook.errors import NotFound
from tillhook.http import narrowed, page
from tillhook.ledger.models import KINDS, Reservation, StockAlert, StockLevel, StockMovement, StockThreshold
from tillhook.ledger.schemas import AlertOut, MovementOut, StockCheckOut
from tillhook.products.models import Product, Variant
from tillhook.products.search import get_product
from tillhook.quantities import ZERO
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
    return StockCheckOut.of(
        None,
        product_id=product_id,
        variant_id=variant_id,
        warehouse_id=warehouse_id,
        current_stock=stock if tracked else None,
        available=stock - (reserved or ZERO) if tracked else None,
        low_stock_threshold=threshold if tracked else None,
        is_low_stock=tracked and stock < threshold,
        last_updated=updated,
    )


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


def movements(session: Session, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return the ledger's rows of the warehouses that the actor sees, by default what happened last first.

    By time, product, variant, document or kind it costs the same however much has moved, in this order.
    """
    statement = select(StockMovement)
    visible = visible_warehouses(session)
    if visible is not None:
        statement = statement.where(
            or_(StockMovement.source_id.in_(sorted(visible)), StockMovement.destination_id.in_(sorted(visible)))
        )
    if "warehouse" in query:
        place = query["warehouse"]
        require_warehouse(session, place)
        statement = statement.where(or_(StockMovement.source_id == place, StockMovement.destination_id == place))
    statement = narrowed(statement, query, _MOVEMENT_FILTERS)
    if "document_type" in query or "document_id" in query:
        statement = statement.where(_of_document(session, query.get("document_type"), query.get("document_id")))
    apart: Sequence[ColumnElement[bool]] = ()
    if "variant" in query:
        statement = narrowed(statement, query, {"product": StockMovement.product_id})
    elif "product" in query:
        apart = _by_variant(session, query["product"])
    ordering = {"id": StockMovement.id, "recorded_at": StockMovement.id, "occurred_at": StockMovement.occurred_at}
    rows, cursor = page(session, statement, ordering=ordering, query=query, apart=apart)
    if not actor_of(session).can("catalogue:cost:read"):
        return [MovementOut.of(row) for row in rows], cursor
    return [MovementOut.of(row, unit_cost=row.unit_cost) for row in rows], cursor


def alerts(session: Session, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return low-stock alerts of the warehouses that the actor sees, newest first."""
    statement = (
        select(StockAlert, Product.name)
        .join(Product, Product.id == StockAlert.product_id)
        .where(warehouse_condition(session, StockAlert.warehouse_id))
    )
    filters = {
        "warehouse": in_warehouse(session, StockAlert.warehouse_id),
        "status": StockAlert.status,
        "product": StockAlert.product_id,
    }
    statement = narrowed(statement, query, filters)
    rows, cursor = page(
        session, statement, ordering={"id": StockAlert.id, "created_at": StockAlert.created_at}, query=query
    )
    names = snapshot_of(session).warehouses
    return [
        AlertOut.of(alert, product_name=name, warehouse_name=names[alert.warehouse_id].name) for alert, name, *_ in rows
    ], cursor


#: Movements of a kind of document that are rather sorted than looked for.
_FEW = 1_000
#: SQLite joins no more than 500 queries.
_MOST_VARIANTS = 400
_MOVEMENT_FILTERS = {
    "variant": StockMovement.variant_id,
    "channel": StockMovement.channel,
    "date_from": StockMovement.occurred_at.__ge__,
    "date_to": StockMovement.occurred_at.__lt__,
}


def _by_variant(session: Session, product_id: int) -> list[ColumnElement[bool]]:
    """Return a condition for each variant of the product, whose movements an index has in their order."""
    variants = session.scalars(select(Variant.id).where(Variant.product_id == product_id).order_by(Variant.id)).all()
    if len(variants) > _MOST_VARIANTS:
        return [among(StockMovement.variant_id, variants)]
    return [StockMovement.variant_id == each for each in variants] or [false()]


def _of_document(session: Session, kind: str | None, key: int | None) -> ColumnElement[bool]:
    """Return the condition of the filters for documents, such that the database takes the index that fits."""
    name = StockMovement.document_type
    if key is not None:
        return and_(name.in_(_kinds()) if kind is None else name == kind, StockMovement.document_id == key)
    if kind in KINDS:
        # The index of what no channel moved; and no stock document is of a channel.
        return and_(name == kind, StockMovement.channel.is_(None))
    few = session.scalars(select(StockMovement.id).where(name == kind).limit(_FEW + 1)).all()
    if len(few) <= _FEW:
        return among(StockMovement.id, few)
    # Of a kind that is frequent the first ones are found by time; its own index would have all of them sorted.
    return type_coerce(name + "", Text) == kind


def _kinds() -> Select[str]:
    """Return the query for the kinds of documents that have moved anything, a step through an index for each."""
    name = StockMovement.document_type
    found = select(func.min(name).label("name")).cte("kind", recursive=True)
    following = select(func.min(name)).where(name > found.c.name).scalar_subquery()
    found = found.union_all(select(following).where(found.c.name.is_not(None)))
    return select(found.c.name)


def _counts() -> tuple[Any, ...]:
    return Reservation.released_at.is_(None), Reservation.expires_at > utc_now()


def _by_product(
    session: Session, column: Any, entity: Any, products: Sequence[int], places: Sequence[int] | None
) -> dict[int, Decimal]:
    statement = (
        select(Variant.product_id, func.sum(column))
        .join(Variant, Variant.id == entity.variant_id)
        .where(among(Variant.product_id, products))
        .group_by(Variant.product_id)
    )
    if places is not None:
        # Not by the column itself: SQLite would begin with it, and read all that the places have.
        statement = statement.where((entity.location_id + 0).in_(places))
    if entity is Reservation:
        statement = statement.where(*_counts())
    return {row[0]: row[1] for row in session.execute(statement)}
