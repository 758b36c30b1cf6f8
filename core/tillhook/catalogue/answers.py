"""The catalogue as the API, the audit log and the outbox show it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook import ledger
from tillhook.access import visible_warehouses
from tillhook.catalogue.schemas import PRICE_MODES, STATUSES, TRACKING
from tillhook.catalogue.terms import OWNER_PRICE_CHANGE, doubts
from tillhook.db import among, grouped
from tillhook.http import Answer, out
from tillhook.products.barcodes import Kind, kind_of
from tillhook.products.models import Barcode, Category, Product, ProductImage, Tax, Unit, Variant
from tillhook.quantities import format_quantity, json_number, to_units
from tillhook.runtime import actor_of, snapshot_of


class CategoryOut(Answer):
    """A category."""

    id = out.Key()
    name = out.Text()
    parent_id = out.Key(allow_none=True)


class UnitOut(Answer):
    """A unit of measure."""

    id = out.Key()
    code = out.Text()
    name = out.Text()
    precision = out.Count()


class TaxOut(Answer):
    """A tax; ``rate`` is a fraction."""

    id = out.Key()
    name = out.Text()
    rate = out.Qty()
    is_inclusive = out.Flag()
    is_default = out.Flag()
    is_active = out.Flag()


class BarcodeOut(Answer):
    """A barcode; ``pack_quantity`` stock units are in the package."""

    id = out.Key()
    code = out.Text()
    kind = out.Text(lambda barcode: kind_of(barcode.code), choices=get_args(Kind))
    variant_id = out.Key()
    pack_quantity = out.Qty()


class ImageOut(Answer):
    """A picture of a product; ``size`` is in bytes, width and height in pixels."""

    id = out.Key()
    position = out.Count()
    url = out.Text(lambda image: f"/api/images/{image.sha256}")
    sha256 = out.Text()
    content_type = out.Text()
    size = out.Count()
    width = out.Count()
    height = out.Count()


class VariantOut(Answer):
    """A variant; ``price`` is its own, else the product's; ``cost_price`` needs ``catalogue:cost:read``.

    ``product_status`` answers a change, which may have made the product pending.
    """

    id = out.Key()
    sku = out.Text(lambda variant: variant.sku or "")
    name = out.Text()
    barcode = out.Text()
    barcodes = out.Many(out.Text())
    attributes = out.Json(type="object")
    price = out.Money()
    is_active = out.Flag()
    cost_price = out.Money(allow_none=True, optional=True)
    product_status = out.Text(choices=STATUSES, optional=True)


class ProductOut(Answer):
    """A product; ``cost_price`` needs ``catalogue:cost:read``.

    ``inventory`` is what is available over the reader's warehouses, ``expired`` what is there beside it and has
    expired; both are null for an untracked product. ``needs_approval`` names what its owner has changed beyond what was
    approved, and why it is pending again.
    """

    id = out.Key()
    name = out.Text()
    sku = out.Text()
    barcode = out.Text()
    barcodes = out.Many(out.Text())
    price = out.Money()
    list_price = out.Money(allow_none=True)
    last_price = out.Money(allow_none=True)
    category = out.Text(allow_none=True)
    category_id = out.Key(allow_none=True)
    unit = out.Text()
    tax = out.Text(allow_none=True)
    tax_id = out.Key(allow_none=True)
    description = out.Text()
    attributes = out.Json(type="object")
    status = out.Text(choices=STATUSES)
    reject_reason = out.Text()
    needs_approval = out.Many(out.Text())
    owner_id = out.Key(allow_none=True)
    tracking = out.Text(choices=TRACKING)
    price_mode = out.Text(choices=PRICE_MODES)
    low_stock_threshold = out.Qty(allow_none=True)
    inventory = out.Qty(allow_none=True)
    expired = out.Qty(allow_none=True)
    default_variant_id = out.Key(allow_none=True)
    variants = out.Many(VariantOut)
    images = out.Many(ImageOut)
    created_at = out.Moment()
    updated_at = out.Moment()
    cost_price = out.Money(allow_none=True, optional=True)


class RowMessageOut(Answer):
    """What an import says of one row; the header is row 1."""

    row = out.Count()
    column = out.Text(lambda message: message.column or "")
    message = out.Text()


class ImportOut(Answer):
    """What an import did, or with ``dry_run`` would do; of errors and warnings the first thousand."""

    dry_run = out.Flag()
    rows = out.Count()
    created = out.Count()
    updated = out.Count()
    unchanged = out.Count()
    categories_created = out.Count()
    units_created = out.Count()
    stock_lines = out.Count()
    valid = out.Flag(lambda result: not result.error_count)
    encoding = out.Text(lambda result: result.encoding or "")
    error_count = out.Count()
    errors = out.Many(RowMessageOut)
    warnings = out.Many(RowMessageOut)


def product_answer(session: Session, product: Product) -> dict[str, Any]:
    """Return one product; see :func:`product_answers`."""
    return product_answers(session, [product])[0]


def product_answers(session: Session, products: Sequence[Product]) -> list[dict[str, Any]]:
    """Return the products as the session's actor sees them, in a fixed number of statements."""
    session.flush()
    around = _around(session, products)
    return [_product(product, around) for product in products]


def audit_answer(session: Session, product: Product) -> dict[str, Any]:
    """Return what the audit log keeps of a product: its own columns and its barcodes."""
    skipped = {"search_text", "created_at", "updated_at", "last_price", "approved_terms"}
    columns = [column.key for column in Product.__table__.columns if column.key not in skipped]
    answer = {name: getattr(product, name) for name in columns}
    for name, value in answer.items():
        if isinstance(value, Decimal):
            answer[name] = format_quantity(value)
    query = select(Barcode.code).join(Variant).where(Variant.product_id == product.id)
    answer["barcodes"] = list(session.scalars(query.order_by(Barcode.id)))
    return answer


def event_payloads(session: Session, products: Sequence[Product]) -> list[dict[str, Any]]:
    """Return the payloads of ``product:created`` and ``product:updated``, inventory over all warehouses."""
    available = ledger.available_by_product(session, _tracked(products))
    categories = _names(session, Category.name, {product.category_id for product in products})
    return [
        {
            "product": {
                "_id": product.id,
                "name": product.name,
                "inventory": None if product.id not in available else json_number(to_units(available[product.id])),
                "category": categories.get(product.category_id),
                "price": json_number(to_units(product.price)),
            }
        }
        for product in products
    ]


@dataclass(frozen=True, slots=True)
class _Around:
    """What the answers of several products share, read at once: by the key of what it belongs to."""

    shows_cost: bool
    owner_price_change: Decimal
    categories: Mapping[int | None, str]
    units: Mapping[int | None, str]
    taxes: Mapping[int | None, str]
    variants: Mapping[int, list[Variant]]
    #: By variant.
    barcodes: Mapping[int, list[str]]
    images: Mapping[int, list[ProductImage]]
    stock: Mapping[int, ledger.Stock]


def _around(session: Session, products: Sequence[Product]) -> _Around:
    actor = actor_of(session)
    ids = [product.id for product in products]
    variants = select(Variant).where(among(Variant.product_id, ids)).order_by(Variant.id)
    barcodes = select(Barcode.variant_id, Barcode.code).join(Variant).where(among(Variant.product_id, ids))
    images = select(ProductImage).where(among(ProductImage.product_id, ids))
    return _Around(
        shows_cost=actor.can("catalogue:cost:read"),
        owner_price_change=snapshot_of(session).setting(OWNER_PRICE_CHANGE),
        categories=_names(session, Category.name, {product.category_id for product in products}),
        units=_names(session, Unit.code, {product.unit_id for product in products}),
        taxes=_names(session, Tax.name, {product.tax_id for product in products}),
        variants=grouped((each.product_id, each) for each in session.scalars(variants)),
        barcodes=grouped(session.execute(barcodes.order_by(Barcode.id))),
        images=grouped(
            (each.product_id, each) for each in session.scalars(images.order_by(ProductImage.position, ProductImage.id))
        ),
        stock=ledger.stock_by_product(session, _tracked(products), visible_warehouses(actor)),
    )


def _product(product: Product, around: _Around) -> dict[str, Any]:
    variants, stock = around.variants.get(product.id, []), around.stock.get(product.id)
    barcodes = [code for variant in variants for code in around.barcodes.get(variant.id, ())]
    was_approved = product.status == "pending" and product.approved_terms is not None
    return ProductOut.of(
        product,
        barcode=barcodes[0] if barcodes else "",
        barcodes=barcodes,
        category=around.categories.get(product.category_id),
        unit=around.units.get(product.unit_id),
        tax=around.taxes.get(product.tax_id),
        needs_approval=doubts(product, variants, around.owner_price_change) if was_approved else [],
        inventory=None if stock is None else stock.available,
        expired=None if stock is None else stock.expired,
        default_variant_id=next((variant.id for variant in variants if variant.is_default), None),
        variants=[_variant(product, each, around) for each in variants if product.has_variants and not each.is_default],
        images=[ImageOut.of(image) for image in around.images.get(product.id, ())],
        **({"cost_price": product.cost_price} if around.shows_cost else {}),
    )


def _variant(product: Product, variant: Variant, around: _Around) -> dict[str, Any]:
    barcodes = around.barcodes.get(variant.id, [])
    cost = product.cost_price if variant.cost_price is None else variant.cost_price
    return VariantOut.of(
        variant,
        barcode=barcodes[0] if barcodes else "",
        barcodes=barcodes,
        price=product.price if variant.price is None else variant.price,
        **({"cost_price": cost} if around.shows_cost else {}),
    )


def _tracked(products: Iterable[Product]) -> list[int]:
    return [product.id for product in products if product.tracking != "none"]


def _names(session: Session, column: Any, keys: set[Any]) -> dict[int | None, str]:
    model = column.class_
    return dict(session.execute(select(model.id, column).where(among(model.id, keys - {None}))).all())
