"""Making, changing and archiving products."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook import ledger
from tillhook.access import audit
from tillhook.catalogue.answers import audit_answer
from tillhook.catalogue.commands import NewProduct
from tillhook.catalogue.drafts import PLAIN, REFERENCES, ProductDraft, VariantDraft, drafted
from tillhook.catalogue.rules import check, why_not_editable
from tillhook.catalogue.writing import Written, saved, tell, write
from tillhook.errors import ValidationFailed
from tillhook.products import Barcode, Product, Variant, get_product
from tillhook.runtime import actor_of, runtime_of


def create_product(session: Session, command: NewProduct) -> Product:
    """Make a product in the name of the session's actor.

    It is published at once if the actor may approve products, else pending.

    Raises:
        Conflict: 409 ``duplicate-sku`` or ``duplicate-barcode``, the field named.
        ValidationFailed: 422: an unknown category, unit or tax; a barcode beside variants.
    """
    actor = actor_of(session)
    if command.variants and command.all_barcodes:
        raise ValidationFailed.at("barcode", "Give each variant its own barcode.")
    status = "published" if actor.can("catalogue:product:approve") else "pending"
    return make(session, drafted(command, status=status, owner_id=actor.user_id))


def make(session: Session, draft: ProductDraft) -> Product:
    """Write the draft of a new product and tell everybody: audit log, hooks, outbox.

    Raises:
        Conflict, ValidationFailed: The first fault.
    """
    written = save(session, draft)
    [product] = written.created
    audit(session, "create", "product", product.id, None, audit_answer(session, product))
    tell(session, written)
    return product


def update_product(session: Session, product_id: int, changes: Mapping[str, Any]) -> Product:
    """Change the named fields of a product; the others stay.

    ``barcode`` replaces the first barcode, or takes it away with ``None``; ``barcodes`` replaces all of them.
    A rejected product that is changed is pending again.

    Raises:
        NotFound: 404.
        PermissionDenied: 403: somebody else's product, for an actor who cannot approve products.
        Conflict: 409: archived; SKU or barcode taken; ``tracking`` changed while there is stock.
        ValidationFailed: 422.
    """
    product = editable(session, product_id)
    before = audit_answer(session, product)
    draft = ProductDraft(
        sku=product.sku,
        values={name: changes[name] for name in ("sku", *PLAIN, "tracking") if name in changes},
        references={name: changes[name] for name in REFERENCES if name in changes},
        variants=_replaced_codes(session, product, changes),
        product=product,
    )
    save(session, draft)
    saved(session, product, before)
    return product


def save(session: Session, draft: ProductDraft) -> Written:
    """Check and write one draft; the caller tells of it.

    Raises:
        Conflict, ValidationFailed: The first fault.
    """
    faults = check(session, [draft])
    if faults:
        raise faults[0].error()
    return write(session, [draft])


def remove_product(session: Session, product_id: int) -> Product | None:
    """Archive a product that has a history, delete one that has none; return the archived one.

    Raises:
        NotFound: 404.
        PermissionDenied: 403: somebody else's product, for an actor who cannot approve products.
    """
    product = editable(session, product_id, archived=True)
    if product.status == "archived":
        return product
    before = audit_answer(session, product)
    if not has_history(session, product.id) and _deleted(session, product):
        audit(session, "delete", "product", product_id, before=before)
        return None
    product.status = "archived"
    saved(session, product, before, action="archive")
    return product


def editable(session: Session, product_id: int, *, archived: bool = False) -> Product:
    """Return the product, its row locked, if the session's actor may change it.

    Raises:
        NotFound: 404.
        PermissionDenied: 403: it is somebody else's.
        Conflict: 409 ``product-archived``, unless ``archived`` ones will do.
    """
    product = get_product(session, product_id, for_update=True)
    refusal = why_not_editable(actor_of(session), product, archived=archived)
    if refusal is not None:
        raise refusal
    return product


def has_history(session: Session, product_id: int, variant_id: int | None = None) -> bool:
    """Say whether the product, or the one variant, must not be deleted: it moved, or a module refers to it."""
    session.flush()
    if ledger.has_moved(session, product_id, variant_id):
        return True
    hooks = runtime_of(session).hooks
    arguments = {"session": session, "product_id": product_id, "variant_id": variant_id}
    return hooks.resolve("resolve_product_history", _check_history, **arguments) is True


def _check_history(answer: Any) -> None:
    if answer is not True:
        raise ValueError("must be True, or None for no opinion; False would silence the others")


def default_variant(session: Session, product: Product) -> Variant:
    """Return the one variant of a product without variants."""
    return session.scalars(select(Variant).where(Variant.product_id == product.id, Variant.is_default)).one()


def _replaced_codes(session: Session, product: Product, changes: Mapping[str, Any]) -> list[VariantDraft]:
    """Take away the barcodes that are to be replaced, and return the variant with those that it is to have."""
    if "barcode" not in changes and "barcodes" not in changes:
        return []
    if product.has_variants:
        raise ValidationFailed.at("barcode", "Give each variant its own barcode.")
    variant = default_variant(session, product)
    old = {
        barcode.code: barcode.pack_quantity
        for barcode in session.scalars(select(Barcode).where(Barcode.variant_id == variant.id).order_by(Barcode.id))
    }
    codes = list(changes.get("barcodes", old))
    if "barcode" in changes:
        first = [] if changes["barcode"] is None else [changes["barcode"]]
        codes = first + (codes if "barcodes" in changes else codes[1:])
    codes = list(dict.fromkeys(codes))
    if codes == list(old):
        return []
    # All of them anew, since their order is that of their keys; packs keep their quantities.
    session.execute(delete(Barcode).where(Barcode.variant_id == variant.id))
    wanted = {code: old.get(code, Decimal(1)) for code in codes}
    return [VariantDraft(values={}, codes=wanted, variant=variant, is_default=True)]


def _deleted(session: Session, product: Product) -> bool:
    """Delete the product with its variants; ``False`` when something else refers to it, such as a cart."""
    try:
        with session.begin_nested():
            session.execute(delete(Product).where(Product.id == product.id))
    except IntegrityError:
        return False
    session.expunge(product)
    return True
