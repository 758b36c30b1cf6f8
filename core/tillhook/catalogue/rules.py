"""What must be true of products before they are written: said once, for one product and for a file of them.

A rule looks at all drafts together and yields a fault for each that breaks it; the rules before it may have too.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import partial
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from tillhook.actor import Actor
from tillhook.catalogue import setup
from tillhook.catalogue.drafts import Fault, ProductDraft, VariantDraft, all_variants
from tillhook.db import among
from tillhook.errors import Conflict, DomainError, ValidationFailed
from tillhook.ledger.models import StockLevel
from tillhook.products import Barcode, Product, Variant, canonical, sees_all
from tillhook.runtime import actor_of

_APPROVE = "catalogue:product:approve"


def check(
    session: Session, drafts: list[ProductDraft], *, create_units: bool = False, missing: setup.Missing | None = None
) -> list[Fault]:
    """Return what is wrong with the drafts, and enter the keys of what they refer to.

    A category that is named and missing is made, if the actor may; a unit only with ``create_units``.

    Args:
        missing: Told of what would be made; nothing is written then.
    """
    session.flush()
    return [
        *_taken_skus(session, drafts),
        *_taken_codes(session, drafts),
        *_bound_by_stock(session, drafts),
        *_unknown_references(session, drafts, create_units, missing),
    ]


def why_not_editable(actor: Actor, product: Product, *, archived: bool = False) -> DomainError | None:
    """Return why the actor must not change the product: it is somebody else's (403), or archived (409)."""
    if not may_edit(actor, product):
        return actor.refusal(f"Product {product.id} belongs to somebody else", _APPROVE, code="not-your-product")
    if product.status == "archived" and not archived:
        return Conflict(f"Product {product.id} is archived.", code="product-archived")
    return None


def may_edit(actor: Actor, product: Product) -> bool:
    """Say whether the actor may change the product: an own one, or any for one who approves products."""
    return actor.can(_APPROVE) or (actor.user_id is not None and product.owner_id == actor.user_id)


def stocked(session: Session, product_ids: Iterable[int]) -> set[int]:
    """Return those of the products of which any is on hand or reserved, at any warehouse."""
    session.flush()
    found = (
        select(Variant.product_id)
        .join(StockLevel, StockLevel.variant_id == Variant.id)
        .where(among(Variant.product_id, list(product_ids)), _is_there())
    )
    return set(session.scalars(found.distinct()))


def is_variant_stocked(session: Session, variant_id: int) -> bool:
    """Say whether any of one variant is on hand or reserved."""
    session.flush()
    found = select(StockLevel.variant_id).where(StockLevel.variant_id == variant_id, _is_there())
    return session.scalar(found.limit(1)) is not None


def _is_there() -> Any:
    return or_(StockLevel.on_hand != 0, StockLevel.reserved != 0)


def _taken_skus(session: Session, drafts: list[ProductDraft]) -> Iterator[Fault]:
    wanted: dict[str, ProductDraft | VariantDraft] = {}
    named: list[ProductDraft | VariantDraft] = [*drafts]
    named += [variant for _, variant in all_variants(drafts)]
    for each in named:
        sku = each.values.get("sku")
        known = each.product if isinstance(each, ProductDraft) else each.variant
        if sku is None or (known is not None and known.sku == sku):
            continue
        if wanted.setdefault(sku, each) is not each:
            yield _sku_fault(each, sku)
    skus = list(wanted)
    taken = [*session.scalars(select(Product.sku).where(among(Product.sku, skus)))]
    taken += session.scalars(select(Variant.sku).where(among(Variant.sku, skus)))
    for sku in taken:
        yield _sku_fault(wanted[str(sku)], str(sku))


def _sku_fault(draft: ProductDraft | VariantDraft, sku: str) -> Fault:
    return Fault(draft.where, "sku", f"{sku} is taken.", code="duplicate-sku", is_conflict=True)


def _taken_codes(session: Session, drafts: list[ProductDraft]) -> Iterator[Fault]:
    wanted: dict[str, VariantDraft] = {}
    for draft, variant in all_variants(drafts):
        if variant.is_default and variant.codes and _is_by_variant(draft):
            yield Fault(variant.where, "barcode", "Give each variant its own barcode.")
        for code in variant.codes:
            other = wanted.setdefault(canonical(code), variant)
            if other is not variant:
                place = f"in row {other.where}" if isinstance(other.where, int) else "another variant's"
                yield Fault(
                    variant.where, "barcode", f"{code} is {place} already.", code="duplicate-barcode", is_conflict=True
                )
    shows_owner = sees_all(actor_of(session))
    for row in _holders(session, wanted):
        draft_ = wanted[row.key]
        if draft_.variant is None or draft_.variant.id != row.variant_id:
            owner = row.variant_sku or row.product_sku if shows_owner else "a product"
            yield Fault(
                draft_.where,
                "barcode",
                f"{row.code} belongs to {owner} already.",
                code="duplicate-barcode",
                is_conflict=True,
            )


def _holders(session: Session, keys: Collection[str]) -> Iterable[Any]:
    columns = (Barcode.key, Barcode.code, Barcode.variant_id)
    return session.execute(
        select(*columns, Variant.sku.label("variant_sku"), Product.sku.label("product_sku"))
        .join(Variant, Variant.id == Barcode.variant_id)
        .join(Product, Product.id == Variant.product_id)
        .where(among(Barcode.key, list(keys)))
    )


def _is_by_variant(draft: ProductDraft) -> bool:
    return draft.product.has_variants if draft.product is not None else bool(draft.values["has_variants"])


def _bound_by_stock(session: Session, drafts: list[ProductDraft]) -> Iterator[Fault]:
    """Refuse to change how stock is counted while there is any."""
    tracking = [
        (draft, draft.product)
        for draft in drafts
        if draft.product is not None and draft.values.get("tracking", draft.product.tracking) != draft.product.tracking
    ]
    there = stocked(session, [product.id for _, product in tracking]) if tracking else ()
    for draft, product in tracking:
        if product.id in there:
            yield Fault(
                draft.where, "tracking", "Cannot change while there is stock.", code="stock-on-hand", is_conflict=True
            )


def _unknown_references(
    session: Session, drafts: list[ProductDraft], create_units: bool, missing: setup.Missing | None
) -> Iterator[Fault]:
    resolvers: dict[str, Any] = {
        "category": partial(setup.resolve_category, missing=missing),
        "unit": partial(setup.resolve_unit, create_units=create_units, missing=missing),
        "tax": setup.resolve_tax,
    }
    found: dict[tuple[str, Any], int | None] = {}
    for draft in drafts:
        for name, said in draft.references.items():
            if said is None and draft.product is None and name != "category":
                continue
            try:
                if (name, said) not in found:
                    found[name, said] = resolvers[name](session, said, name)
                draft.values[f"{name}_id"] = found[name, said]
            except ValidationFailed as error:
                yield Fault(draft.where, name, error.errors[0]["message"], code=error.code)
    yield from _bound_units(session, drafts)


def _bound_units(session: Session, drafts: list[ProductDraft]) -> Iterator[Fault]:
    changed = [
        (draft, draft.product)
        for draft in drafts
        if draft.product is not None and draft.values.get("unit_id", draft.product.unit_id) != draft.product.unit_id
    ]
    there = stocked(session, [product.id for _, product in changed]) if changed else ()
    for draft, product in changed:
        if product.id in there:
            yield Fault(
                draft.where, "unit", "Cannot change while there is stock.", code="stock-on-hand", is_conflict=True
            )
