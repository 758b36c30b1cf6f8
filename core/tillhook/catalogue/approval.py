"""The states of a product, and who moves it from one to the next.

pending → published or rejected; a rejected product that its owner changes is pending again, and so is a published one
that the owner changes beyond what was approved (``terms.py``); anything but an archived one may be archived, and an
archived one restored.
"""

from sqlalchemy.orm import Session

from tillhook.catalogue.answers import audit_answer
from tillhook.catalogue.products import editable
from tillhook.catalogue.terms import approve_terms
from tillhook.catalogue.writing import saved
from tillhook.errors import Conflict
from tillhook.products.models import Product
from tillhook.products.search import get_product
from tillhook.runtime import actor_of


def approve(session: Session, product_id: int) -> Product:
    """Publish a pending product.

    Raises:
        NotFound: 404.
        Conflict: 409 ``illegal-step``: it is not pending.
    """
    return _move(session, product_id, "approve", "published")


def reject(session: Session, product_id: int, reason: str) -> Product:
    """Reject a pending product.

    Raises:
        NotFound: 404.
        Conflict: 409 ``illegal-step``: it is not pending.
    """
    return _move(session, product_id, "reject", "rejected", reason)


def restore(session: Session, product_id: int) -> Product:
    """Take a product out of the archive: published if the actor may approve products, else pending.

    Raises:
        NotFound, PermissionDenied: As for changing the product.
        Conflict: 409 ``illegal-step``: it is not archived.
    """
    product = editable(session, product_id, archived=True)
    _require(product, "archived", "restored")
    before = audit_answer(session, product)
    _set_status(session, product, "published" if actor_of(session).can("catalogue:product:approve") else "pending")
    saved(session, product, before, action="restore")
    return product


def _move(session: Session, product_id: int, action: str, status: str, reason: str = "") -> Product:
    product = get_product(session, product_id, for_update=True)
    _require(product, "pending", status)
    before = audit_answer(session, product)
    product.reject_reason = reason
    _set_status(session, product, status)
    saved(session, product, before, action=action)
    return product


def _set_status(session: Session, product: Product, status: str) -> None:
    product.status = status
    if status == "published":
        approve_terms(session, [product])


def _require(product: Product, status: str, wanted: str) -> None:
    if product.status != status:
        raise Conflict(
            f"Product {product.id} is {product.status}; only a {status} one can be {wanted}.",
            code="illegal-step",
            current_status=product.status,
        )
