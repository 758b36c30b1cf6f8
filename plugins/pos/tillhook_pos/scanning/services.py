"""What a scanned code means, and selling it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from tillhook.access import require_warehouse
from tillhook.catalogue import ScannedCode, find_code
from tillhook.db import utc_now
from tillhook.errors import DomainError, NotFound, ValidationFailed
from tillhook.ledger import Item, StockBook, load_items, stock_check
from tillhook.quantities import format_money, format_quantity, from_units, multiply, to_units
from tillhook.runtime import actor_of
from tillhook.sales import Outcome, SaleCommand, SaleItem, Tender, default_warehouse, post_sale

#: What the journal's fields are called in the body of a sale by code.
_FIELDS = {"items.0.quantity": "quantity", "payments.0.method": "payment_method"}


@dataclass(frozen=True, slots=True)
class Understood:
    """A scanned code, and the variant that it stands for at one warehouse."""

    scanned: ScannedCode
    item: Item
    warehouse_id: int


def understand(session: Session, code: str, warehouse_id: int | None) -> Understood:
    """Return what the code stands for.

    Args:
        warehouse_id: ``None`` for the seller's only warehouse.

    Raises:
        NotFound: 404 ``unknown-code``: nothing that this seller may sell has the code.
    """
    actor = actor_of(session)
    place = default_warehouse(session, actor) if warehouse_id is None else warehouse_id
    require_warehouse(session, place)
    connection = session.connection()
    scanned = find_code(connection, code)
    items = load_items(connection, place, variant_ids=[scanned.variant_id]) if scanned else []
    if scanned is None or not items or not _may_sell(items[0], actor.user_id):
        raise NotFound(f"Nothing for sale has the code {code!r}.", code="unknown-code", scanned=code)
    return Understood(scanned, items[0], place)


def scan(session: Session, code: str, warehouse_id: int | None) -> dict[str, Any]:
    """Return the product, its price, the stock here, and the lot that is sold first, for a code.

    ``price`` is for one stock unit, ``pack_price`` for the ``pack_quantity`` units that the code stands for.
    ``stock`` is ``None`` for an untracked product, the prices for one of open price that was never sold.
    """
    found = understand(session, code, warehouse_id)
    item = found.item
    variant_id = None if item.is_default else item.variant_id
    stock = stock_check(session, item.product_id, variant_id, found.warehouse_id)
    price = _price(item)
    return {
        "code": found.scanned.code,
        "kind": found.scanned.kind,
        "product": {
            "id": item.product_id,
            "name": item.product_name,
            "sku": item.sku,
            "price_mode": item.price_mode,
            "tracking": item.tracking,
        },
        "variant": None if variant_id is None else {"id": variant_id, "name": item.variant_name},
        "price": None if price is None else format_money(price),
        "pack_quantity": format_quantity(found.scanned.pack_quantity),
        "pack_price": None if price is None else format_money(multiply(price, found.scanned.pack_quantity)),
        "warehouse": found.warehouse_id,
        "stock": stock["available"],
        "is_low_stock": stock["is_low_stock"],
        "lot": _next_lot(session, found),
    }


def sell(
    session: Session,
    code: str,
    *,
    warehouse_id: int | None,
    quantity: Decimal | None,
    payment_method: str,
    external_id: str | None,
    payload: dict[str, Any],
) -> Outcome:
    """Post a sale of one line.

    Args:
        quantity: Packages of what the code stands for; one when left out.

    Raises:
        NotFound: 404 ``unknown-code``.
        ValidationFailed: 422 naming ``quantity``: what the packages hold is no quantity of stock.
        InsufficientStock: 409.
    """
    found = understand(session, code, warehouse_id)
    item = found.item
    line = SaleItem(
        product_id=item.product_id,
        variant_id=None if item.is_default else item.variant_id,
        quantity=_stock_units(quantity or Decimal(1), found.scanned.pack_quantity),
    )
    command = SaleCommand(
        items=(line,),
        channel="pos",
        warehouse=found.warehouse_id,
        external_id=external_id,
        payments=(Tender(method=payment_method),),
        payload=payload,
    )
    try:
        return post_sale(session, command)
    except DomainError as error:
        error.errors = [{**each, "field": _FIELDS.get(each["field"], each["field"])} for each in error.errors]
        raise


def _stock_units(packages: Decimal, pack_quantity: Decimal) -> Decimal:
    """Return how many stock units the packages hold."""
    units = multiply(packages, pack_quantity)
    try:
        to_units(units)
    except ValueError:
        message = f"{format_quantity(units)} stock units are more, or finer, than stock is counted in."
        raise ValidationFailed.at("quantity", message) from None
    return units


def _next_lot(session: Session, found: Understood) -> dict[str, Any] | None:
    """Return the lot that expires first of those that have stock here and have not expired."""
    if found.item.tracking != "lot":
        return None
    book = StockBook(session)
    book.add_lots([found.item.variant_id], found.warehouse_id)
    today = utc_now().date()
    for lot in book.lots[found.item.variant_id]:
        if lot.available > 0 and (lot.expiry_date is None or lot.expiry_date >= today):
            expiry = None if lot.expiry_date is None else lot.expiry_date.isoformat()
            available = format_quantity(from_units(lot.available))
            return {"batch_number": lot.batch_number, "expiry_date": expiry, "available": available}
    return None


def _may_sell(item: Item, user_id: int | None) -> bool:
    own = item.owner_id is not None and item.owner_id == user_id
    return item.is_active and (item.status == "published" or (item.status == "pending" and own))


def _price(item: Item) -> Decimal | None:
    if item.price_mode != "open":
        return from_units(item.price)
    units = item.price if item.last_price is None else item.last_price
    return from_units(units) if units else None
