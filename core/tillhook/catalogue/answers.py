"""Products as the API, the audit log and the outbox show them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook import ledger
from tillhook.access import visible_warehouses
from tillhook.db import format_instant
from tillhook.products.barcodes import kind_of
from tillhook.products.models import Barcode, Category, Product, ProductImage, Tax, Unit, Variant
from tillhook.quantities import ZERO, format_money, format_quantity
from tillhook.runtime import actor_of


def money(value: Decimal | None) -> str | None:
    """Return an amount as the API shows it."""
    return None if value is None else format_money(value)


def quantity(value: Decimal | None) -> str | None:
    """Return a quantity as the API shows it."""
    return None if value is None else format_quantity(value)


def product_answer(session: Session, product: Product) -> dict[str, Any]:
    """Return one product; see :func:`product_answers`."""
    return product_answers(session, [product])[0]


def product_answers(session: Session, products: Sequence[Product]) -> list[dict[str, Any]]:
    """Return the products as the session's actor sees them, in a fixed number of statements.

    ``inventory`` is what is available over the actor's warehouses, ``None`` for an untracked product. Costs
    are absent without ``catalogue:cost:read``.
    """
    session.flush()
    context = _Context(session, products)
    return [context.answer(product) for product in products]


def barcode_answer(barcode: Barcode) -> dict[str, Any]:
    """Return a barcode; ``pack_quantity`` is in stock units."""
    return {
        "id": barcode.id,
        "code": barcode.code,
        "kind": kind_of(barcode.code),
        "variant_id": barcode.variant_id,
        "pack_quantity": format_quantity(barcode.pack_quantity),
    }


def image_answer(image: ProductImage) -> dict[str, Any]:
    """Return a picture; ``size`` is in bytes, width and height in pixels."""
    return {
        "id": image.id,
        "position": image.position,
        "url": f"/api/images/{image.sha256}",
        "sha256": image.sha256,
        "content_type": image.content_type,
        "size": image.size,
        "width": image.width,
        "height": image.height,
    }


def audit_answer(session: Session, product: Product) -> dict[str, Any]:
    """Return what the audit log keeps of a product: its own columns and its barcodes."""
    skipped = {"search_text", "created_at", "updated_at", "last_price"}
    columns = [column.key for column in Product.__table__.columns if column.key not in skipped]
    answer = {name: getattr(product, name) for name in columns}
    for name, value in answer.items():
        if isinstance(value, Decimal):
            answer[name] = format_quantity(value)
    query = select(Barcode.code).join(Variant).where(Variant.product_id == product.id)
    answer["barcodes"] = list(session.scalars(query.order_by(Barcode.id)))
    return answer


def event_payload(session: Session, product: Product) -> dict[str, Any]:
    """Return the payload of ``product:created`` and ``product:updated``."""
    return event_payloads(session, [product])[0]


def event_payloads(session: Session, products: Sequence[Product]) -> list[dict[str, Any]]:
    """Return the payloads of several products; inventory is what is available over all warehouses."""
    tracked = [product.id for product in products if product.tracking != "none"]
    available = ledger.available_by_product(session, tracked)
    categories = _names(session, Category.name, {product.category_id for product in products})
    return [
        {
            "product": {
                "_id": product.id,
                "name": product.name,
                "inventory": quantity(available.get(product.id)),
                "category": categories.get(product.category_id),
                "price": format_money(product.price),
            }
        }
        for product in products
    ]


class _Context:
    """What the answers of several products share, read at once."""

    def __init__(self, session: Session, products: Sequence[Product]) -> None:
        actor = actor_of(session)
        self._shows_cost = actor.can("catalogue:cost:read")
        self._categories = _names(session, Category.name, {product.category_id for product in products})
        self._units = _names(session, Unit.code, {product.unit_id for product in products})
        self._taxes = _names(session, Tax.name, {product.tax_id for product in products})
        ids = [product.id for product in products]
        variants = list(session.scalars(select(Variant).where(Variant.product_id.in_(ids)).order_by(Variant.id)))
        barcodes = select(Barcode).where(Barcode.variant_id.in_([variant.id for variant in variants]))
        images = select(ProductImage).where(ProductImage.product_id.in_(ids))
        self._variants = _grouped(variants, "product_id")
        self._barcodes = _grouped(session.scalars(barcodes.order_by(Barcode.id)), "variant_id")
        self._images = _grouped(session.scalars(images.order_by(ProductImage.position)), "product_id")
        tracked = [product.id for product in products if product.tracking != "none"]
        self._available = ledger.available_by_product(session, tracked, visible_warehouses(actor))

    def answer(self, product: Product) -> dict[str, Any]:
        variants = self._variants.get(product.id, [])
        barcodes = [barcode.code for variant in variants for barcode in self._barcodes.get(variant.id, [])]
        answer: dict[str, Any] = {
            "id": product.id,
            "name": product.name,
            "sku": product.sku,
            "barcode": barcodes[0] if barcodes else None,
            "barcodes": barcodes,
            "price": format_money(product.price),
            "list_price": money(product.list_price),
            "last_price": money(product.last_price),
            "category": self._categories.get(product.category_id),
            "category_id": product.category_id,
            "unit": self._units.get(product.unit_id),
            "tax": self._taxes.get(product.tax_id),
            "tax_id": product.tax_id,
            "description": product.description,
            "attributes": product.attributes,
            "status": product.status,
            "reject_reason": product.reject_reason,
            "owner_id": product.owner_id,
            "tracking": product.tracking,
            "price_mode": product.price_mode,
            "low_stock_threshold": quantity(product.low_stock_threshold),
            "inventory": None if product.tracking == "none" else format_quantity(self._available.get(product.id, ZERO)),
            "default_variant_id": next((variant.id for variant in variants if variant.is_default), None),
            "variants": [self._variant(product, each) for each in variants if not each.is_default]
            if product.has_variants
            else [],
            "images": [image_answer(image) for image in self._images.get(product.id, [])],
            "created_at": format_instant(product.created_at),
            "updated_at": format_instant(product.updated_at),
        }
        if self._shows_cost:
            answer["cost_price"] = money(product.cost_price)
        return answer

    def _variant(self, product: Product, variant: Variant) -> dict[str, Any]:
        barcodes = [barcode.code for barcode in self._barcodes.get(variant.id, [])]
        answer: dict[str, Any] = {
            "id": variant.id,
            "sku": variant.sku,
            "name": variant.name,
            "barcode": barcodes[0] if barcodes else None,
            "barcodes": barcodes,
            "attributes": variant.attributes,
            "price": format_money(product.price if variant.price is None else variant.price),
            "is_active": variant.is_active,
        }
        if self._shows_cost:
            cost = product.cost_price if variant.cost_price is None else variant.cost_price
            answer["cost_price"] = money(cost)
        return answer


def _names(session: Session, column: Any, keys: set[Any]) -> dict[Any, str]:
    model = column.class_
    rows = session.execute(select(model.id, column).where(model.id.in_(keys - {None})))
    return {row[0]: row[1] for row in rows}


def _grouped(rows: Any, key: str) -> dict[int, list[Any]]:
    groups: dict[int, list[Any]] = {}
    for row in rows:
        groups.setdefault(getattr(row, key), []).append(row)
    return groups
