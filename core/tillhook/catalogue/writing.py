"""Writing products, set-based: one product is a batch of one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook import events, ledger
from tillhook.access import audit
from tillhook.catalogue import setup
from tillhook.catalogue.answers import audit_answer, event_payloads
from tillhook.catalogue.commands import SavedProduct
from tillhook.catalogue.drafts import ProductDraft, VariantDraft, all_variants
from tillhook.catalogue.terms import doubtful_of, review, terms_of
from tillhook.db import RetryTransaction, among
from tillhook.hooks import frozen
from tillhook.products import Barcode, Product, Variant, canonical
from tillhook.products.search import refresh_search
from tillhook.runtime import actor_of, runtime_of

Thing = TypeVar("Thing")
Members = dict[str, Any]

#: Rows that go in by one statement.
CHUNK = 5_000


@dataclass(slots=True)
class Written:
    """What became of drafts: products that are new, and what changed of those that were there."""

    created: list[Product] = field(default_factory=list)
    #: A product, and the members of it or of a variant that changed, as they were and as they are.
    changed: list[tuple[Product, Members, Members]] = field(default_factory=list)
    #: Known products that got variants or barcodes.
    extended: list[Product] = field(default_factory=list)
    #: Those that were published and need approval again.
    pending: list[Product] = field(default_factory=list)
    new_variants: int = 0

    @property
    def updated(self) -> list[Product]:
        """Known products of which anything changed, each once."""
        new = {product.id for product in self.created}
        touched = [*(product for product, _, _ in self.changed), *self.extended]
        return list({product.id: product for product in touched if product.id not in new}.values())


def write(session: Session, drafts: list[ProductDraft]) -> Written:
    """Write checked drafts with their variants and barcodes, and bring the search up to date.

    A published product that its owner changes beyond what was approved is pending again.

    Raises:
        RetryTransaction: Somebody took an SKU or a barcode since it was checked.
    """
    written = Written()
    try:
        _insert_products(session, [draft for draft in drafts if draft.product is None], written)
        _change(drafts, written)
        session.flush()
        _insert_variants(session, drafts, written)
        _insert_barcodes(session, drafts, written)
        for chunk in chunks(written.updated):
            written.pending += review(session, chunk)
        refresh_search(session, [draft.product for draft in drafts if draft.product is not None])
    except IntegrityError as error:
        raise RetryTransaction from error
    return written


def would_write(session: Session, drafts: list[ProductDraft]) -> Written:
    """Return what :func:`write` would change, and what would be pending then; nothing is written.

    The session's objects are changed, so it is good for nothing else and must be rolled back.
    """
    known = [draft for draft in drafts if draft.product is not None]
    written = Written()
    _change(known, written)
    if not actor_of(session).can("catalogue:product:approve"):
        new = [
            Variant(product_id=draft.product.id, is_default=False, price=variant.values.get("price"))
            for draft, variant in all_variants(known)
            if draft.product is not None and variant.variant is None
        ]
        changed = {each.product_id for each in new} | {product.id for product, _, _ in written.changed}
        products = [draft.product for draft in known if draft.product is not None]
        published = [each for each in products if each.id in changed and each.status == "published"]
        with session.no_autoflush:
            written.pending = doubtful_of(session, published, new)
    return written


def tell(session: Session, written: Written) -> None:
    """Tell hooks and outbox what was written, and look at the alerts of changed thresholds and tracking."""
    hooks = runtime_of(session).hooks
    if hooks.implemented("product_saved"):
        for is_new, products in ((True, written.created), (False, written.updated)):
            for product in products:
                hooks.hook.product_saved(session=session, product=_saved(product, is_new))
    for name, products in (("product:created", written.created), ("product:updated", written.updated)):
        for chunk in chunks(products):
            events.record_many(session, [(name, payload, None) for payload in event_payloads(session, chunk)])
    ledger.resolve_alerts(
        session, [product.id for product, _, after in written.changed if after.get("tracking") == "none"]
    )
    ledger.refresh_alerts(
        session,
        [
            product.id
            for product, _, after in written.changed
            if product.tracking != "none" and after.keys() & {"low_stock_threshold", "tracking"}
        ],
    )


def saved(session: Session, product: Product, before: Members, action: str = "update") -> None:
    """Flush a product that was changed in place and tell everybody: search, audit log, hooks, outbox.

    Args:
        before: What :func:`audit_answer` said before the change.

    Raises:
        RetryTransaction: Somebody took an SKU or a barcode since it was checked.
    """
    try:
        refresh_search(session, [product])
    except IntegrityError as error:
        raise RetryTransaction from error
    old, new = changed(before, audit_answer(session, product))
    audit(session, action, "product", product.id, old, new)
    tell(session, Written(changed=[(product, old, new)]))


def changed(before: Members, after: Members) -> tuple[Members, Members]:
    """Return only the members that differ, as they were and as they are."""
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}


def _saved(product: Product, is_new: bool) -> SavedProduct:
    names = (each.name for each in fields(SavedProduct) if each.name not in ("is_new", "attributes"))
    values = {name: getattr(product, name) for name in names}
    return SavedProduct(**values, is_new=is_new, attributes=frozen(product.attributes))


def chunks(items: Sequence[Thing]) -> Iterator[Sequence[Thing]]:
    """Yield the items in pieces that one statement takes."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def _insert_products(session: Session, new: list[ProductDraft], written: Written) -> None:
    if not new:
        return
    defaults = {"unit_id": setup.resolve_unit(session, None), "tax_id": setup.default_tax(session)}
    by_sku = {draft.sku: draft for draft in new}
    for chunk in chunks(new):
        rows = [defaults | each.values for each in chunk]
        for row in rows:
            row["approved_terms"] = terms_of({"list_price": None} | row) if row["status"] == "published" else None
        for product in session.scalars(insert(Product).returning(Product), rows):
            by_sku[product.sku].product = product
            written.created.append(product)


def _change(drafts: Iterable[ProductDraft], written: Written) -> None:
    new = set(map(id, written.created))
    for draft in drafts:
        product = draft.product
        assert product is not None
        if id(product) not in new:
            values = draft.values
            if values and product.status == "rejected":
                values = values | {"status": "pending", "reject_reason": ""}
            _set(product, product, values, written)
        for variant in draft.variants:
            if variant.variant is not None:
                _set(product, variant.variant, variant.values, written)


def _set(product: Product, target: Product | Variant, values: Members, written: Written) -> None:
    before, after = changed({name: getattr(target, name) for name in values}, values)
    for name, value in after.items():
        setattr(target, name, value)
    if after:
        written.changed.append((product, before, after))


def _insert_variants(session: Session, drafts: list[ProductDraft], written: Written) -> None:
    new = [(draft, variant) for draft, variant in all_variants(drafts) if variant.variant is None]
    created = {product.id for product in written.created}
    # Rows come back in any order: those that nothing tells apart go in one by one.
    named = [(draft, variant) for draft, variant in new if variant.is_default or variant.sku is not None]
    unnamed = [[(draft, variant)] for draft, variant in new if not variant.is_default and variant.sku is None]
    for chunk in (*chunks(named), *unnamed):
        rows = [_variant_row(draft, variant) for draft, variant in chunk]
        by_key = {(row["product_id"], row["sku"]): variant for row, (_, variant) in zip(rows, chunk, strict=True)}
        for made in session.scalars(insert(Variant).returning(Variant), rows):
            by_key[made.product_id, made.sku].variant = made
    for draft, variant in new:
        written.new_variants += not variant.is_default
        if draft.product is not None and draft.product.id not in created:
            written.extended.append(draft.product)


def _variant_row(draft: ProductDraft, variant: VariantDraft) -> Members:
    product = draft.product
    assert product is not None
    empty: Members = {"sku": None, "name": "", "attributes": {}, "price": None, "cost_price": None}
    row = {"product_id": product.id, "is_default": variant.is_default, **empty, **variant.values}
    price = product.price if row["price"] is None else row["price"]
    # To a product that is known, it is one more change.
    is_approved = draft.values.get("status") == "published"
    return row | {"approved_price": price if is_approved else None}


def _insert_barcodes(session: Session, drafts: list[ProductDraft], written: Written) -> None:
    wanted = {canonical(code): (draft, each, code) for draft, each in all_variants(drafts) for code in each.codes}
    known = set(session.scalars(select(Barcode.key).where(among(Barcode.key, list(wanted)))))
    rows = []
    for key, (draft, variant, code) in wanted.items():
        if key not in known:
            assert variant.variant is not None and draft.product is not None
            rows.append(
                {"code": code, "key": key, "variant_id": variant.variant.id, "pack_quantity": variant.codes[code]}
            )
            written.extended.append(draft.product)
    for chunk in chunks(rows):
        session.execute(insert(Barcode), chunk)
