"""What a scanned code means, and selling it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from tillhook.access import require_warehouse
from tillhook.catalogue import ScannedCode, find_code
from tillhook.errors import NotFound
from tillhook.ledger import Item, load_items, stock_check
from tillhook.quantities import format_money, format_quantity, from_units, multiply
from tillhook.runtime import actor_of
from tillhook.sales import Outcome, SaleCommand, SaleItem, Tender, default_warehouse, post_sale


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
    """Return the product, its price, and the stock here, for a code."""
    found = understand(session, code, warehouse_id)
    item = found.item
    variant_id = None if item.is_default else item.variant_id
    stock = stock_check(session, item.product_id, variant_id, found.warehouse_id)
    return {
        "code": found.scanned.code,
        "kind": found.scanned.kind,
        "product_id": item.product_id,
        "product_name": item.product_name,
        "variant_id": variant_id,
        "variant_details": item.variant_name,
        "sku": item.sku,
        "price": format_money(_price(item)),
        "price_mode": item.price_mode,
        "tracking": item.tracking,
        "quantity": format_quantity(found.scanned.pack_quantity),
        "amount": format_money(multiply(_price(item), found.scanned.pack_quantity)),
        "stock": stock["available"],
        "is_low_stock": stock["is_low_stock"],
        "warehouse_id": found.warehouse_id,
        "lot": None,
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
    """Post a sale of one line: ``quantity`` packages of what the code stands for, one when left out."""
    found = understand(session, code, warehouse_id)
    item = found.item
    line = SaleItem(
        product_id=item.product_id,
        variant_id=None if item.is_default else item.variant_id,
        quantity=multiply(quantity or Decimal(1), found.scanned.pack_quantity),
    )
    command = SaleCommand(
        items=(line,),
        channel="pos",
        warehouse=found.warehouse_id,
        external_id=external_id,
        payments=(Tender(method=payment_method),),
        payload=payload,
    )
    return post_sale(session, command)


def _may_sell(item: Item, user_id: int | None) -> bool:
    own = item.owner_id is not None and item.owner_id == user_id
    return item.is_active and (item.status == "published" or (item.status == "pending" and own))


def _price(item: Item) -> Decimal:
    if item.price_mode == "open" and item.last_price is not None:
        return from_units(item.last_price)
    return from_units(item.price)
