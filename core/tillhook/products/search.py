"""Which products an actor sees, finding them, and the text that searching looks at."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Select, and_, or_, select, true, union
from sqlalchemy.orm import Session

from tillhook.actor import Actor
from tillhook.db import among, fold, grouped
from tillhook.errors import NotFound, ValidationFailed
from tillhook.products.barcodes import canonical
from tillhook.products.models import Barcode, Category, Product, Variant
from tillhook.runtime import actor_of

#: More words than that are no search.
_MAX_TERMS = 12
#: Products whose variants and barcodes are read at once.
_AT_ONCE = 5_000


def search_text(product: Product, variants: Iterable[Variant], barcodes: Iterable[Barcode]) -> str:
    """Return what :attr:`Product.search_text` is to hold."""
    parts = [product.name, product.sku]
    for variant in variants:
        parts += [variant.name, variant.sku or ""]
    for barcode in barcodes:
        parts += [barcode.code, barcode.key]
    return "\n".join(dict.fromkeys(fold(part) for part in parts if part))


def refresh_search(session: Session, products: Iterable[Product]) -> None:
    """Bring the search text of products up to date with their variants and barcodes, and flush."""
    session.flush()
    by_id = {product.id: product for product in products}
    ordered = sorted(by_id)
    for start in range(0, len(ordered), _AT_ONCE):
        keys = ordered[start : start + _AT_ONCE]
        of_products = among(Variant.product_id, keys)
        found = select(Variant.product_id, Variant).where(of_products).order_by(Variant.id)
        variants = grouped(session.execute(found))
        held = select(Variant.product_id, Barcode).join(Barcode).where(of_products).order_by(Barcode.id)
        barcodes = grouped(session.execute(held))
        for key in keys:
            by_id[key].search_text = search_text(by_id[key], variants.get(key, ()), barcodes.get(key, ()))
    session.flush()


def sees_all(actor: Actor) -> bool:
    """Say whether the actor sees products that are not published and somebody else's."""
    return actor.can("catalogue:product:approve") or actor.can("catalogue:product:read_all")


def is_hidden(actor: Actor, status: str, owner_id: int | None, *, was_approved: bool) -> bool:
    """Say whether a product was never for sale and is somebody else's: to this actor it is not there.

    An archived one is no secret, nor is one that is pending again: its stock and its sales remain.
    """
    if was_approved or status not in ("pending", "rejected") or actor.is_system or sees_all(actor):
        return False
    return owner_id is None or owner_id != actor.user_id


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on products that this actor may see: published ones and the own."""
    if sees_all(actor):
        return true()
    # Most are published. Said so, no index is tried for it, and lists come in the order of theirs.
    published = Product.status.not_in(("pending", "rejected", "archived"))
    return published if actor.user_id is None else or_(published, Product.owner_id == actor.user_id)


def get_product(session: Session, product_id: int, *, for_update: bool = False) -> Product:
    """Return a product that the session's actor may see, its row locked for ``for_update``.

    Raises:
        NotFound: 404, also for a product that the actor must not know of.
    """
    query = select(Product).where(Product.id == product_id, visible_to(actor_of(session)))
    if for_update:
        query = query.with_for_update().execution_options(populate_existing=True)
    product = session.scalar(query)
    if product is None:
        raise NotFound(f"There is no product {product_id}.", code="unknown-product")
    return product


def product_query(
    actor: Actor,
    *,
    search: str | None = None,
    category: str | None = None,
    status: str | None = None,
    barcode: str | None = None,
    sku: str | None = None,
    tracked: bool | None = None,
) -> Select[Product]:
    """Return the products that the actor sees and that match every filter given, in no order.

    Archived products appear only when their status, code or SKU is asked for. ``category`` is a key or a
    name, and takes in the categories below it.
    """
    query = select(Product).where(visible_to(actor))
    if status is not None:
        query = query.where(Product.status == status)
    elif barcode is None and sku is None:
        query = query.where(Product.status != "archived")
    if search:
        query = query.where(matches(search))
    if category is not None:
        query = query.where(Product.category_id.in_(_category_tree(category)))
    if barcode is not None:
        holders = select(Variant.product_id).join(Barcode, Barcode.variant_id == Variant.id)
        query = query.where(Product.id.in_(holders.where(Barcode.key == canonical(barcode.strip()))))
    if sku is not None:
        # Not "or": PostgreSQL would read all products.
        having = union(
            select(Product.id).where(Product.sku == sku), select(Variant.product_id).where(Variant.sku == sku)
        )
        query = query.where(Product.id.in_(having))
    if tracked is not None:
        query = query.where(Product.tracking != "none" if tracked else Product.tracking == "none")
    return query


def matches(search: str) -> ColumnElement[bool]:
    """Return the condition that each word of ``search`` is somewhere in name, SKUs or barcodes."""
    terms = fold(search).split()
    if len(terms) > _MAX_TERMS:
        raise ValidationFailed.at("search", f"At most {_MAX_TERMS} words.")
    return and_(true(), *(Product.search_text.contains(term, autoescape=True) for term in terms))


def _category_tree(reference: str) -> Select[int]:
    """Return the keys of the category and of all below it."""
    start = Category.name == reference
    if reference.isascii() and reference.isdigit() and len(reference) < 19:
        start = or_(start, Category.id == int(reference))
    tree = select(Category.id).where(start).cte("tree", recursive=True)
    tree = tree.union(select(Category.id).join(tree, Category.parent_id == tree.c.id))
    return select(tree.c.id)
