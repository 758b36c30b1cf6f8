"""Making, changing and archiving products."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook import events, ledger
from tillhook.access import audit
from tillhook.actor import Actor
from tillhook.catalogue import setup
from tillhook.catalogue.answers import audit_answer, event_payload
from tillhook.catalogue.commands import NewProduct, NewVariant
from tillhook.db import RetryTransaction, utc_now
from tillhook.errors import Conflict, PermissionDenied, ValidationFailed
from tillhook.ledger.models import StockAlert
from tillhook.products.barcodes import add_barcode, require_free
from tillhook.products.models import Barcode, Product, Variant
from tillhook.products.search import get_product, refresh_search
from tillhook.runtime import actor_of, runtime_of

#: Fields of a product that are set as they come.
_PLAIN = (
    "name",
    "description",
    "price",
    "list_price",
    "cost_price",
    "attributes",
    "price_mode",
    "low_stock_threshold",
)


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
    require_free_sku(session, command.sku)
    product = Product(
        sku=command.sku,
        category_id=setup.resolve_category(session, command.category),
        unit_id=setup.resolve_unit(session, command.unit),
        tax_id=setup.default_tax(session) if command.tax is None else setup.resolve_tax(session, command.tax),
        tracking=command.tracking,
        status="published" if actor.can("catalogue:product:approve") else "pending",
        owner_id=actor.user_id,
        has_variants=bool(command.variants),
        **{name: getattr(command, name) for name in _PLAIN},
    )
    session.add(product)
    flush(session)
    _create_variants(session, product, command)
    saved(session, product, None)
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
    if "sku" in changes and changes["sku"] != product.sku:
        require_free_sku(session, changes["sku"])
        product.sku = changes["sku"]
    for name in _PLAIN:
        if name in changes:
            setattr(product, name, changes[name])
    _change_references(session, product, changes)
    if "tracking" in changes and changes["tracking"] != product.tracking:
        require_no_stock(session, product)
        product.tracking = changes["tracking"]
        if product.tracking == "none":
            resolve_alerts(session, product.id)
    _change_barcodes(session, product, changes)
    if product.status == "rejected":
        product.status, product.reject_reason = "pending", ""
    saved(session, product, before)
    if "low_stock_threshold" in changes:
        ledger.refresh_alerts(session, [product.id])
    return product


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
    if not may_edit(actor_of(session), product):
        raise PermissionDenied(f"Product {product_id} belongs to somebody else.", code="not-your-product")
    if product.status == "archived" and not archived:
        raise Conflict(f"Product {product_id} is archived.", code="product-archived")
    return product


def may_edit(actor: Actor, product: Product) -> bool:
    """Say whether the actor may change the product: an own one, or any for one who approves products."""
    return actor.can("catalogue:product:approve") or (actor.user_id is not None and product.owner_id == actor.user_id)


def saved(session: Session, product: Product, before: dict[str, Any] | None, action: str = "") -> None:
    """Flush the product and tell everybody: search text, audit log, hooks, outbox.

    Args:
        before: What :func:`audit_answer` said before the change; ``None`` for a new product.
    """
    flush(session)
    refresh_search(session, product)
    created = before is None
    after = audit_answer(session, product)
    if before is not None:
        before, after = changed(before, after)
    audit(session, action or ("create" if created else "update"), "product", product.id, before, after)
    hooks = runtime_of(session).hooks
    if hooks.implemented("product_saved"):
        hooks.hook.product_saved(session=session, product=product)
    name = "product:created" if created else "product:updated"
    events.record(session, name, event_payload(session, product))


def changed(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return only the members that differ, as they were and as they are."""
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}


def flush(session: Session) -> None:
    """Flush; when somebody took a unique value since it was checked, have the transaction run again.

    Raises:
        RetryTransaction: The next attempt's checks name the field.
    """
    try:
        session.flush()
    except IntegrityError as error:
        raise RetryTransaction from error


def require_free_sku(session: Session, sku: str, field: str = "sku") -> None:
    """Refuse an SKU that a product or a variant has, with 409 ``duplicate-sku`` naming the field."""
    session.flush()
    taken = session.scalar(select(Product.id).where(Product.sku == sku)) or session.scalar(
        select(Variant.product_id).where(Variant.sku == sku)
    )
    if taken is not None:
        raise Conflict(
            f"The SKU {sku} is taken.",
            code="duplicate-sku",
            errors=[{"field": field, "message": f"{sku} is taken."}],
        )


def require_no_stock(session: Session, product: Product) -> None:
    """Refuse with 409 ``stock-on-hand`` while any of the product is on hand or reserved, at any warehouse."""
    if has_stock(session, product.id):
        raise Conflict(
            f"There is stock of product {product.id}; set it to 0 first.",
            code="stock-on-hand",
            errors=[{"field": "tracking", "message": "Cannot change while there is stock."}],
        )


def has_stock(session: Session, product_id: int, variant_id: int | None = None) -> bool:
    """Say whether any level of the product, or of the one variant, is not zero, reserved stock included."""
    session.flush()
    condition = "" if variant_id is None else " AND v.id = :variant"
    row = session.execute(
        text(
            "SELECT 1 FROM stock_level l JOIN variant v ON v.id = l.variant_id WHERE v.product_id = :product"
            f" AND (l.on_hand <> 0 OR l.reserved <> 0){condition} LIMIT 1"
        ),
        {"product": product_id} | ({} if variant_id is None else {"variant": variant_id}),
    )
    return row.first() is not None


def resolve_alerts(session: Session, product_id: int) -> None:
    """Close the alerts of a product that is no longer tracked: it has no stock to be low of."""
    session.execute(
        update(StockAlert)
        .where(StockAlert.product_id == product_id, StockAlert.status == "open")
        .values(status="resolved", resolved_at=utc_now(), resolved_by=actor_of(session).user_id)
    )


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


def add_variant(session: Session, product: Product, command: NewVariant, path: str = "") -> Variant:
    """Write one variant and its barcode; ``path`` begins the names of fields in errors.

    Raises:
        Conflict: 409 ``duplicate-sku`` or ``duplicate-barcode``.
    """
    if command.sku is not None:
        require_free_sku(session, command.sku, f"{path}sku")
    variant = Variant(
        product_id=product.id,
        sku=command.sku,
        name=command.name,
        attributes=command.attributes,
        price=command.price,
        cost_price=command.cost_price,
    )
    session.add(variant)
    flush(session)
    if command.barcode is not None:
        add_barcode(session, variant, command.barcode, field=f"{path}barcode")
    return variant


def _create_variants(session: Session, product: Product, command: NewProduct) -> None:
    for number, variant in enumerate(command.variants):
        add_variant(session, product, variant, f"variants.{number}.")
    if not command.variants:
        only = Variant(product_id=product.id, is_default=True)
        session.add(only)
        flush(session)
        _add_barcodes(session, only, command.all_barcodes)


def _add_barcodes(session: Session, variant: Variant, codes: Iterable[str]) -> None:
    for code in codes:
        add_barcode(session, variant, code, Decimal(1))


def _change_references(session: Session, product: Product, changes: Mapping[str, Any]) -> None:
    if "category" in changes:
        product.category_id = setup.resolve_category(session, changes["category"])
    if "tax" in changes:
        product.tax_id = setup.resolve_tax(session, changes["tax"])
    if "unit" in changes:
        unit_id = setup.resolve_unit(session, changes["unit"])
        if unit_id != product.unit_id and has_stock(session, product.id):
            raise Conflict(
                f"There is stock of product {product.id}, counted in its present unit.",
                code="stock-on-hand",
                errors=[{"field": "unit", "message": "Cannot change while there is stock."}],
            )
        product.unit_id = unit_id


def _change_barcodes(session: Session, product: Product, changes: Mapping[str, Any]) -> None:
    if "barcode" not in changes and "barcodes" not in changes:
        return
    if product.has_variants:
        raise ValidationFailed.at("barcode", "Give each variant its own barcode.")
    variant = default_variant(session, product)
    old = list(session.scalars(select(Barcode).where(Barcode.variant_id == variant.id).order_by(Barcode.id)))
    codes = [barcode.code for barcode in old]
    if "barcodes" in changes:
        codes = list(changes["barcodes"])
    if "barcode" in changes:
        first = [] if changes["barcode"] is None else [changes["barcode"]]
        codes = first + (codes if "barcodes" in changes else codes[1:])
    codes = list(dict.fromkeys(codes))
    if codes == [barcode.code for barcode in old]:
        return
    # All of them anew, since their order is that of their keys; packs keep their quantities.
    quantities = {barcode.code: barcode.pack_quantity for barcode in old}
    session.execute(delete(Barcode).where(Barcode.variant_id == variant.id))
    require_free(session, codes)
    for code in codes:
        add_barcode(session, variant, code, quantities.get(code, Decimal(1)))


def _deleted(session: Session, product: Product) -> bool:
    """Delete the product with its variants; ``False`` when something else refers to it, such as a cart."""
    try:
        with session.begin_nested():
            session.execute(delete(Product).where(Product.id == product.id))
    except IntegrityError:
        return False
    session.expunge(product)
    return True
