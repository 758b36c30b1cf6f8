"""Hooks about products, which the catalogue calls."""

# mypy: disable-error-code="empty-body"

from sqlalchemy.orm import Session

from tillhook.catalogue.commands import SavedProduct
from tillhook.hooks import hookspec


@hookspec
def product_saved(session: Session, product: SavedProduct) -> None:
    """Act on a product that was created or changed.

    Called: in the transaction, after the flush; for an import, once per product.
    Since: 0.1
    """


@hookspec(firstresult=True)
def resolve_product_history(session: Session, product_id: int, variant_id: int | None) -> bool | None:
    """Answer ``True`` when a product, or the one variant of it, must not be deleted; ``None`` for no opinion.

    Called: before a product or a variant is deleted; it is archived instead when anybody answers ``True``.
    Returns: never ``False``, which would keep the others from being asked.
    Since: 0.1
    """
