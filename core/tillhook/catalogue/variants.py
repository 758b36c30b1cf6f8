"""Adding and changing the variants of a product that exists, and the barcodes of any."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from tillhook.catalogue.answers import audit_answer
from tillhook.catalogue.commands import NewVariant
from tillhook.catalogue.drafts import ProductDraft, VariantDraft, drafted_variant
from tillhook.catalogue.products import default_variant, editable, has_history, save
from tillhook.catalogue.rules import is_variant_stocked
from tillhook.catalogue.writing import saved
from tillhook.errors import Conflict, NotFound, ValidationFailed
from tillhook.products.barcodes import add_barcode
from tillhook.products.models import Barcode, Product, Variant
from tillhook.runtime import snapshot_of


def create_variant(session: Session, product_id: int, command: NewVariant) -> Variant:
    """Add a variant. The first one turns the product into one that is stocked and sold by variant.

    Raises:
        NotFound, PermissionDenied: As for changing the product.
        Conflict: 409: SKU or barcode taken; or the product has stock or barcodes without variant.
    """
    product = editable(session, product_id)
    before = audit_answer(session, product)
    if not product.has_variants:
        _retire_default(session, product)
    variant = _save(session, product, drafted_variant(command))
    saved(session, product, before)
    return variant


def update_variant(session: Session, product_id: int, variant_id: int, changes: Mapping[str, Any]) -> Variant:
    """Change the named fields of a variant; an inactive one cannot be sold and keeps its stock.

    Raises:
        NotFound, PermissionDenied: As for changing the product.
        Conflict: 409 ``duplicate-sku``.
    """
    product = editable(session, product_id)
    variant = get_variant(session, product, variant_id)
    if variant.is_default:
        raise Conflict("The default variant is changed with its product.", code="default-variant")
    before = audit_answer(session, product)
    _save(session, product, VariantDraft(values=dict(changes), variant=variant))
    saved(session, product, before)
    return variant


def attach_barcode(
    session: Session, product_id: int, code: str, variant_id: int | None, pack_quantity: Decimal
) -> Barcode:
    """Give a variant, by default the product's only one, one more barcode.

    Raises:
        NotFound, PermissionDenied: As for changing the product.
        Conflict: 409 ``duplicate-barcode``.
        ValidationFailed: 422: no code, a product with variants and none named, or a pack of a part of a piece.
    """
    product = editable(session, product_id)
    fault = snapshot_of(session).unit_fault(product.unit_id, pack_quantity)
    if fault is not None:
        raise ValidationFailed.at("pack_quantity", fault)
    before = audit_answer(session, product)
    if variant_id is not None:
        variant = get_variant(session, product, variant_id)
    elif product.has_variants:
        raise ValidationFailed.at("variant_id", "This product has variants; name one.", code="variant-needed")
    else:
        variant = default_variant(session, product)
    barcode = add_barcode(session, variant, code, pack_quantity, field="code")
    saved(session, product, before)
    return barcode


def detach_barcode(session: Session, product_id: int, barcode_id: int) -> None:
    """Take a barcode away.

    Raises:
        NotFound, PermissionDenied: As for changing the product; also no such barcode of it.
    """
    product = editable(session, product_id)
    before = audit_answer(session, product)
    barcode = session.scalar(
        select(Barcode).join(Variant).where(Barcode.id == barcode_id, Variant.product_id == product.id)
    )
    if barcode is None:
        raise NotFound(f"Product {product_id} has no barcode {barcode_id}.")
    session.delete(barcode)
    saved(session, product, before)


def list_barcodes(session: Session, product: Product) -> list[Barcode]:
    """Return the barcodes of all variants, oldest first."""
    query = select(Barcode).join(Variant).where(Variant.product_id == product.id)
    return list(session.scalars(query.order_by(Barcode.id)))


def get_variant(session: Session, product: Product, variant_id: int) -> Variant:
    """Return a variant of the product; 404, naming ``variant_id``, when it has no such one."""
    variant = session.get(Variant, variant_id)
    if variant is None or variant.product_id != product.id:
        message = f"Product {product.id} has no variant {variant_id}."
        raise NotFound(message, code="unknown-variant", errors=[{"field": "variant_id", "message": message}])
    return variant


def _save(session: Session, product: Product, draft: VariantDraft) -> Variant:
    save(session, ProductDraft(sku=product.sku, values={}, variants=[draft], product=product))
    assert draft.variant is not None
    return draft.variant


def _retire_default(session: Session, product: Product) -> None:
    """Make room for named variants; the default one stays, out of use, when it has a history."""
    variant = default_variant(session, product)
    if is_variant_stocked(session, variant.id):
        raise Conflict(
            f"There is stock of product {product.id} without variant; set it to 0 first.",
            code="stock-on-hand",
        )
    if session.scalar(select(Barcode.id).where(Barcode.variant_id == variant.id).limit(1)) is not None:
        raise Conflict(
            f"Product {product.id} has barcodes, which would name no variant; take them away first.",
            code="product-has-barcodes",
        )
    product.has_variants = True
    if has_history(session, product.id, variant.id):
        variant.is_default = variant.is_active = False
    else:
        session.execute(delete(Variant).where(Variant.id == variant.id))
        session.expunge(variant)
    session.flush()
