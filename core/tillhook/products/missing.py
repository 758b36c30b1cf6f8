"""Why something that a document or a code names cannot be had, in words that say what to do about it."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access.models import UserWarehouse
from tillhook.db import among
from tillhook.products.models import Product
from tillhook.products.search import is_hidden
from tillhook.runtime import actor_of


class Refusal(NamedTuple):
    """Why: the field that is wrong, ``product_id`` or ``variant_id``, a stable code, and a sentence."""

    field: str
    code: str
    message: str


_UNKNOWN = Refusal("product_id", "unknown-product", "There is no such product.")


def why_not_there(session: Session, product_id: int, variant_id: int | None = None) -> Refusal:
    """Return why a product, or the one variant of it, is not there for the session's actor.

    Returns:
        ``unknown-product``, ``not-approved``, ``variant-needed`` or ``unknown-variant``. Of a product that was never
        approved only those hear who work where its owner does.
    """
    product = session.get(Product, product_id)
    if product is None:
        return _UNKNOWN
    actor = actor_of(session)
    if is_hidden(actor, product.status, product.owner_id, was_approved=product.approved_terms is not None):
        return not_approved(product.name) if _shares_a_shop(session, product.owner_id) else _UNKNOWN
    if variant_id is not None:
        return Refusal("variant_id", "unknown-variant", f"There is no such variant of {product.name}.")
    if product.has_variants:
        return Refusal("variant_id", "variant-needed", f"{product.name} is sold by variant; name one.")
    return _UNKNOWN


def why_not_for_sale(name: str, status: str, is_active: bool) -> Refusal:
    """Return why something that is there cannot be sold: ``not-approved``, or ``not-for-sale`` any more."""
    if status == "pending":
        return not_approved(name)
    why = {"rejected": "was rejected", "archived": "is archived"}.get(status, "is not for sale")
    return Refusal("product_id" if is_active else "variant_id", "not-for-sale", f"{name} {why}.")


def not_approved(name: str) -> Refusal:
    """Return that a product is waiting for its approval."""
    return Refusal("product_id", "not-approved", f"{name} is not approved yet.")


def _shares_a_shop(session: Session, owner_id: int | None) -> bool:
    mine = actor_of(session).warehouse_ids
    if owner_id is None or not mine:
        return False
    shared = select(UserWarehouse.user_id).where(
        UserWarehouse.user_id == owner_id, among(UserWarehouse.location_id, sorted(mine))
    )
    return session.scalar(shared.limit(1)) is not None
