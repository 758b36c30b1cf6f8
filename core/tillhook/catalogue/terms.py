"""The terms on which a product was approved, and when its owner has changed them so far that somebody looks again.

A price is measured against the one that was approved, not the last one, so that many small steps come to the same as
a big one. Name, unit, tax and price mode say what the price is for: any change of them needs another approval.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from tillhook.db import among, grouped
from tillhook.products.models import Product, Variant
from tillhook.quantities import format_quantity
from tillhook.runtime import actor_of, snapshot_of

#: The setting of how far an owner may change an approved price, a fraction of it.
OWNER_PRICE_CHANGE = "catalogue.owner_price_change"
_FIXED = ("name", "unit_id", "tax_id", "price_mode")
_PRICES = ("price", "list_price")


def terms_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the terms among a product's columns, as :attr:`Product.approved_terms` keeps them."""
    prices = {name: None if values[name] is None else format_quantity(values[name]) for name in _PRICES}
    return {name: values[name] for name in _FIXED} | prices


def approve_terms(session: Session, products: Iterable[Product]) -> None:
    """Keep what the products and their variants cost, and on what terms, as what was approved."""
    changed = list(products)
    for product in changed:
        product.approved_terms = terms_of({name: getattr(product, name) for name in (*_FIXED, *_PRICES)})
    session.flush()
    of_product = select(Product.price).where(Product.id == Variant.product_id).scalar_subquery()
    session.execute(
        update(Variant)
        .where(among(Variant.product_id, [product.id for product in changed]))
        .values(approved_price=func.coalesce(Variant.price, of_product))
        .execution_options(synchronize_session=False)
    )


def review(session: Session, products: Iterable[Product]) -> list[Product]:
    """Look at published products that were changed: an approver's change is approved, an owner's may have to be.

    Returns:
        Those that are pending now.
    """
    published = [product for product in products if product.status == "published"]
    if actor_of(session).can("catalogue:product:approve"):
        approve_terms(session, published)
        return []
    session.flush()
    doubtful = doubtful_of(session, published)
    for product in doubtful:
        product.status = "pending"
    return doubtful


def doubtful_of(session: Session, published: Iterable[Product], new: Iterable[Variant] = ()) -> list[Product]:
    """Return those of the products that need another approval as they are now; ``new`` are variants to be."""
    limit: Decimal = snapshot_of(session).setting(OWNER_PRICE_CHANGE)
    products = list(published)
    found = session.scalars(select(Variant).where(among(Variant.product_id, [product.id for product in products])))
    variants = grouped((each.product_id, each) for each in (*found, *new))
    return [product for product in products if doubts(product, variants.get(product.id, ()), limit)]


def doubts(product: Product, variants: Iterable[Variant], limit: Decimal) -> list[str]:
    """Return what of a product needs another approval, by its field; ``variants`` for the price of one of them.

    Args:
        limit: How far a price may be from the approved one, a fraction of that.
    """
    terms = product.approved_terms
    if terms is None:
        return [*_FIXED, *_PRICES]
    found = [name for name in _FIXED if getattr(product, name) != terms[name]]
    price = Decimal(terms["price"])
    if _is_beyond(price, product.price, limit):
        found.append("price")
    # Where there was none, the price is what a list price is compared with.
    list_price = price if terms["list_price"] is None else Decimal(terms["list_price"])
    if product.list_price is not None and _is_beyond(list_price, product.list_price, limit):
        found.append("list_price")
    for variant in variants:
        approved = price if variant.approved_price is None else variant.approved_price
        asked = product.price if variant.price is None else variant.price
        if not variant.is_default and _is_beyond(approved, asked, limit):
            return [*found, "variants"]
    return found


def _is_beyond(approved: Decimal, asked: Decimal, limit: Decimal) -> bool:
    return abs(asked - approved) > approved * limit
