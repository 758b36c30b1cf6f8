"""What is available, and what is low. Takes no lock.

``reserved`` is summed from the reservations that have not expired, so an expired one stops counting by itself.
"""

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session

from tillhook.access import in_warehouse, require_warehouse, warehouse_condition
from tillhook.db import among, records, utc_now
from tillhook.errors import NotFound
from tillhook.http import narrowed, page
from tillhook.ledger.about import facts_of, show_document, user_names
from tillhook.ledger.expiry import is_expired
from tillhook.ledger.models import Lot, Reservation, StockAlert, StockLevel, StockMovement, StockThreshold
from tillhook.ledger.posting.values import Document
from tillhook.ledger.schemas import AlertOut, StockCheckOut
from tillhook.products.models import Product, Variant
from tillhook.products.search import get_product, matches
from tillhook.quantities import ZERO
from tillhook.runtime import snapshot_of


class Stock(NamedTuple):
    """What of a product can still be promised, and what is on hand and has expired, in stock units."""

    available: Decimal
    expired: Decimal


def available_by_product(
    session: Session, product_ids: Iterable[int], warehouse_ids: Iterable[int] | None = None
) -> dict[int, Decimal]:
    """Return what can still be promised of each product, over the warehouses, or over all of them.

    Goods that have expired are not counted. Products without any stock are there with 0.
    """
    stocks = stock_by_product(session, product_ids, warehouse_ids)
    return {product_id: stock.available for product_id, stock in stocks.items()}


def stock_by_product(
    session: Session, product_ids: Iterable[int], warehouse_ids: Iterable[int] | None = None
) -> dict[int, Stock]:
    """Return what is available of each product, and what is expired, over the warehouses, or over all of them."""
    products = sorted(set(product_ids))
    if not products:
        return {}
    places = None if warehouse_ids is None else sorted(warehouse_ids)
    fresh, expired = _by_product(session, StockLevel.on_hand, StockLevel, products, places)
    reserved, _ = _by_product(session, Reservation.quantity, Reservation, products, places)
    return {key: Stock(fresh.get(key, ZERO) - reserved.get(key, ZERO), expired.get(key, ZERO)) for key in products}


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
    is_default = dict(
        session.execute(select(Variant.id, Variant.is_default).where(Variant.product_id == product_id)).all()
    )
    variants = list(is_default)
    if variant_id is not None:
        if variant_id not in is_default:
            raise NotFound("This product has no such variant.", code="unknown-variant")
        variants = [variant_id]
        variant_id = None if is_default[variant_id] else variant_id
    fresh, expired, updated = session.execute(
        select(*_fresh_and_expired(session, StockLevel.on_hand), func.max(StockLevel.updated_at))
        .select_from(StockLevel)
        .outerjoin(Lot, Lot.id == StockLevel.lot_id)
        .where(StockLevel.variant_id.in_(variants), StockLevel.location_id == warehouse_id)
    ).one()
    reserved, _ = session.execute(
        select(*_fresh_and_expired(session, Reservation.quantity))
        .select_from(Reservation)
        .outerjoin(Lot, Lot.id == Reservation.lot_id)
        .where(Reservation.variant_id.in_(variants), Reservation.location_id == warehouse_id, *_counts())
    ).one()
    threshold = threshold_of(session, product, warehouse_id)
    stock = (fresh or ZERO) + (expired or ZERO)
    tracked = product.tracking != "none"
    return StockCheckOut.of(
        None,
        product_id=product_id,
        variant_id=variant_id,
        warehouse_id=warehouse_id,
        warehouse_name=snapshot_of(session).warehouses[warehouse_id].name,
        current_stock=stock if tracked else None,
        available=(fresh or ZERO) - (reserved or ZERO) if tracked else None,
        expired=expired or ZERO if tracked else None,
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


def alerts(session: Session, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return low-stock alerts of the warehouses that the actor sees, newest first, with what is on hand now."""
    statement = (
        select(StockAlert, Product.name)
        .join(Product, Product.id == StockAlert.product_id)
        .where(warehouse_condition(session, StockAlert.warehouse_id))
    )
    filters = {
        "warehouse": in_warehouse(session, StockAlert.warehouse_id),
        "status": StockAlert.status,
        "product": StockAlert.product_id,
        "search": matches,
    }
    statement = narrowed(statement, query, filters)
    rows, cursor = page(
        session, statement, ordering={"id": StockAlert.id, "created_at": StockAlert.created_at}, query=query
    )
    return _show_alerts(session, [(alert, name) for alert, name, *_ in rows]), cursor


def _show_alerts(session: Session, rows: Sequence[tuple[StockAlert, str]]) -> list[dict[str, Any]]:
    places = snapshot_of(session).warehouses
    alerts = [alert for alert, _ in rows]
    on_hand = _on_hand(session, {(alert.product_id, alert.warehouse_id) for alert in alerts})
    persons = user_names(session, {alert.resolved_by for alert in alerts})
    variants = {alert.variant_id for alert in alerts if alert.variant_id is not None}
    named = set(session.scalars(select(Variant.id).where(among(Variant.id, variants), ~Variant.is_default)))
    by_alert = [
        (_document(alert.opened_type, alert.opened_id), _document(alert.resolved_type, alert.resolved_id))
        for alert in alerts
    ]
    facts = facts_of(session, {each for both in by_alert for each in both if each is not None})
    shown = {document: show_document(document, said) for document, said in facts.items()}
    return [
        AlertOut.of(
            alert,
            product_name=name,
            variant=alert.variant_id if alert.variant_id in named else None,
            warehouse_name=places[alert.warehouse_id].name,
            current_stock=on_hand[alert.product_id, alert.warehouse_id],
            opened_by_document=shown[opened] if opened else None,
            resolved_by_name=persons.get(alert.resolved_by, ""),
            resolved_by_document=shown[resolved] if resolved else None,
        )
        for (alert, name), (opened, resolved) in zip(rows, by_alert, strict=True)
    ]


def _document(type_: str | None, key: int | None) -> Document | None:
    return None if type_ is None or key is None else Document(type_, key)


def _on_hand(session: Session, places: Collection[tuple[int, int]]) -> dict[tuple[int, int], Decimal]:
    """Return what is on hand now of products at warehouses, over variants and lots."""
    wanted = records(session, sorted(places), "p", "w")
    # Each by itself, and not by the warehouse's column: SQLite would begin with it, and read all that is there.
    here = (
        select(func.sum(StockLevel.on_hand))
        .join(Variant, Variant.id == StockLevel.variant_id)
        .where(Variant.product_id == wanted.c.p, StockLevel.location_id + 0 == wanted.c.w)
        .correlate(wanted)
        .scalar_subquery()
    )
    rows = session.execute(select(wanted.c.p, wanted.c.w, here))
    return {(product_id, place): on_hand or ZERO for product_id, place, on_hand in rows}


def _counts() -> tuple[Any, ...]:
    return Reservation.released_at.is_(None), Reservation.expires_at > utc_now()


def _fresh_and_expired(session: Session, quantity: Any) -> tuple[Any, Any]:
    """Return the sums of a quantity, of what has not expired and of what has; ``lot`` is joined."""
    expired = is_expired(session, quantity)
    return func.sum(quantity).filter(expired.is_not(true())), func.sum(quantity).filter(expired)


def _by_product(
    session: Session, column: Any, entity: Any, products: Sequence[int], places: Sequence[int] | None
) -> tuple[dict[int, Decimal], dict[int, Decimal]]:
    """Return the sums by product, of what has not expired and of what has."""
    statement = (
        select(Variant.product_id, *_fresh_and_expired(session, column))
        .select_from(entity)
        .join(Variant, Variant.id == entity.variant_id)
        .outerjoin(Lot, Lot.id == entity.lot_id)
        .where(among(Variant.product_id, products))
        .group_by(Variant.product_id)
    )
    if places is not None:
        # Not by the column itself: SQLite would begin with it, and read all that the places have.
        statement = statement.where((entity.location_id + 0).in_(places))
    if entity is Reservation:
        statement = statement.where(*_counts())
    rows = session.execute(statement).all()
    return {row[0]: row[1] or ZERO for row in rows}, {row[0]: row[2] or ZERO for row in rows}
