"""Which events about products a reader may see."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.hooks import Event
from tillhook.products.models import Product
from tillhook.products.search import is_hidden, sees_all
from tillhook.runtime import actor_of


def hides(session: Session, events: Sequence[Event]) -> set[int]:
    """Return the ``seq`` of the events about products that the actor must not know of (``EventType.hides``)."""
    actor = actor_of(session)
    named = {product_id for event in events for product_id in _products_of(event)}
    if not named or sees_all(actor):
        return set()
    columns = (Product.id, Product.status, Product.owner_id, Product.approved_terms)
    hidden = {
        row.id
        for row in session.execute(select(*columns).where(Product.id.in_(named)))
        if is_hidden(actor, row.status, row.owner_id, was_approved=row.approved_terms is not None)
    }
    return {event.seq for event in events if hidden.intersection(_products_of(event))}


def _products_of(event: Event) -> list[int]:
    product = event.payload.get("product")
    listed = [*event.payload.get("products", ()), *([product] if product else ())]
    return [each["_id"] for each in listed if isinstance(each, dict) and isinstance(each.get("_id"), int)]
