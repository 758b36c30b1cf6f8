"""Warehouses, thresholds and the stock policy: the ledger's set-up."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.access import audit, require_warehouse, warehouse_condition
from tillhook.errors import Conflict, NotFound, ValidationFailed
from tillhook.ledger.models import Location, StockLevel, StockPolicy, StockThreshold
from tillhook.ledger.policy import OFFLINE_SUFFIX
from tillhook.ledger.posting.effects import refresh_alerts
from tillhook.ledger.schemas import PolicyOut, WarehouseOut
from tillhook.products.models import Product
from tillhook.products.search import get_product
from tillhook.quantities import format_quantity
from tillhook.reference import bump_epoch
from tillhook.runtime import runtime_of


def list_warehouses(session: Session) -> list[Location]:
    """Return the warehouses that the actor sees, by key."""
    return list(
        session.scalars(
            select(Location)
            .where(Location.kind == "warehouse", warehouse_condition(session, Location.id))
            .order_by(Location.id)
        )
    )


def create_warehouse(session: Session, name: str, code: str | None = None, address: str = "") -> Location:
    """Make a warehouse or shop.

    Raises:
        Conflict: 409 ``duplicate-warehouse``: the name or the code is taken.
    """
    warehouse = Location(kind="warehouse", name=name, code=code, address=address)
    _flush_unique(session, warehouse)
    audit(session, "create", "warehouse", warehouse.id, after=WarehouseOut.of(warehouse))
    bump_epoch(session)
    return warehouse


def change_warehouse(session: Session, warehouse_id: int, changes: Mapping[str, Any]) -> Location:
    """Change a warehouse's particulars; an inactive one sells nothing and receives nothing.

    Raises:
        NotFound: 404. Conflict: 409: the name or code is taken, or goods are left in one to be closed.
    """
    warehouse = session.get(Location, warehouse_id)
    if warehouse is None or warehouse.kind != "warehouse":
        raise NotFound("There is no such warehouse.", code="unknown-warehouse")
    require_warehouse(session, warehouse_id)
    if changes.get("is_active") is False and _has_stock(session, warehouse_id):
        raise Conflict("Goods are left in this warehouse; move them first.", code="warehouse-not-empty")
    before = WarehouseOut.of(warehouse)
    for name, value in changes.items():
        setattr(warehouse, name, value)
    _flush_unique(session, warehouse)
    audit(session, "update", "warehouse", warehouse_id, before=before, after=WarehouseOut.of(warehouse))
    bump_epoch(session)
    return warehouse


def set_threshold(session: Session, product_id: int, warehouse_id: int, threshold: Any) -> None:
    """Set, or with ``None`` remove, a product's low-stock threshold at one warehouse.

    Raises:
        NotFound: 404: no such product, or one that the actor must not know of.
    """
    require_warehouse(session, warehouse_id)
    get_product(session, product_id)
    row = session.scalar(
        select(StockThreshold).where(
            StockThreshold.product_id == product_id, StockThreshold.warehouse_id == warehouse_id
        )
    )
    before = None if row is None else {"threshold": format_quantity(row.threshold)}
    if threshold is None:
        if row is not None:
            session.delete(row)
    elif row is None:
        session.add(StockThreshold(product_id=product_id, warehouse_id=warehouse_id, threshold=threshold))
    else:
        row.threshold = threshold
    session.flush()
    after = None if threshold is None else {"threshold": format_quantity(threshold)}
    audit(session, "update", "stock_threshold", product_id, before=before, after=after)
    refresh_alerts(session, [product_id])


def list_policies(session: Session) -> list[StockPolicy]:
    """Return every rule of the stock policy."""
    return list(session.scalars(select(StockPolicy).order_by(StockPolicy.id)))


def set_policy(
    session: Session, policy: str, product_id: int | None, warehouse_id: int | None, channel: str | None
) -> StockPolicy:
    """Say what happens at (product, warehouse, channel), each ``None`` for any, when stock is short.

    ``channel`` may be ``<name>:offline``, for what is synced from offline devices.

    Raises:
        ValidationFailed: 422: no such product, warehouse or channel.
    """
    if product_id is not None and session.get(Product, product_id) is None:
        raise ValidationFailed.at("product_id", "There is no such product.", code="unknown-product")
    if warehouse_id is not None:
        require_warehouse(session, warehouse_id)
    channels = runtime_of(session).registry.channels
    if channel is not None and channel.removesuffix(OFFLINE_SUFFIX) not in channels:
        raise ValidationFailed.at("channel", "There is no such channel.", code="unknown-channel")
    # SQLAlchemy makes IS NULL of a comparison with None.
    rule = (StockPolicy.product_id == product_id, StockPolicy.warehouse_id == warehouse_id)
    row = session.scalar(select(StockPolicy).where(*rule, StockPolicy.channel == channel))
    before = None if row is None else PolicyOut.of(row)
    if row is None:
        row = StockPolicy(product_id=product_id, warehouse_id=warehouse_id, channel=channel)
        session.add(row)
    row.policy = policy
    session.flush()
    audit(session, "update", "stock_policy", row.id, before=before, after=PolicyOut.of(row))
    bump_epoch(session)
    return row


def delete_policy(session: Session, policy_id: int) -> None:
    """Remove a rule.

    Raises:
        NotFound: 404.
    """
    row = session.get(StockPolicy, policy_id)
    if row is None:
        raise NotFound("There is no such rule.")
    audit(session, "delete", "stock_policy", row.id, before=PolicyOut.of(row))
    session.delete(row)
    session.flush()
    bump_epoch(session)


def _has_stock(session: Session, warehouse_id: int) -> bool:
    query = select(StockLevel.variant_id).where(StockLevel.location_id == warehouse_id, StockLevel.on_hand != 0)
    return session.scalars(query.limit(1)).first() is not None


def _flush_unique(session: Session, warehouse: Location) -> None:
    try:
        with session.begin_nested():
            session.add(warehouse)
            session.flush()
    except IntegrityError:
        raise Conflict(
            "A warehouse has this name or code already.",
            code="duplicate-warehouse",
            errors=[{"field": "name", "message": "The name or the code is taken."}],
        ) from None
