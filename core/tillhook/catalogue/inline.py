"""Products made at the till, and what the till teaches about prices."""

import secrets
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tillhook.actor import Actor
from tillhook.catalogue import setup
from tillhook.catalogue.drafts import REFERENCES, ProductDraft, VariantDraft
from tillhook.catalogue.products import make
from tillhook.catalogue.schemas import InlineProductIn
from tillhook.db import among
from tillhook.errors import PermissionDenied, ValidationFailed
from tillhook.ledger import Item
from tillhook.products.models import Product
from tillhook.quantities import ZERO, to_units

_PERMISSION = "catalogue:product:create_inline"


def create_inline_product(
    session: Session, product_data: Mapping[str, Any], actor: Actor, field: str = "product_data"
) -> Product:
    """Make an untracked product of open price while selling it: pending, and the actor's own.

    Args:
        product_data: ``name``, and if wanted ``sku``, ``unit``, ``category``, ``tax``, ``description``,
            ``unit_price`` and ``tracking``, which must be ``none``; checked here.
        field: Where it is in the body.

    Raises:
        PermissionDenied: 403: without ``catalogue:product:create_inline``.
        ValidationFailed: 422, fields below ``field``.
        Conflict: 409 ``duplicate-sku``.
    """
    fields = _fields(product_data, actor, field)
    values = {name: fields[name] for name in ("name", "description")}
    values |= {"sku": fields["sku"] or f"INLINE-{secrets.token_hex(5).upper()}", "tracking": "none"}
    values["price"] = fields["unit_price"] or ZERO
    values |= {"price_mode": "open", "status": "pending", "owner_id": actor.user_id, "has_variants": False}
    draft = ProductDraft(
        sku=values["sku"],
        values=values | {"tax_id": None},
        references={name: fields[name] for name in REFERENCES if fields[name] is not None},
        variants=[VariantDraft(values={}, is_default=True)],
        where=f"{field}.",
    )
    return make(session, draft)


def inline_item(session: Session, product_data: Mapping[str, Any], actor: Actor, field: str = "product_data") -> Item:
    """Return what the product would be sold as, without making it; errors as :func:`create_inline_product`."""
    fields = _fields(product_data, actor, field)
    for name, resolve in (("category", setup.resolve_category), ("unit", setup.resolve_unit)):
        reference = fields[name]
        # What a name would make is made with the product.
        if isinstance(reference, int) or (reference and not actor.can("catalogue:setup:manage")):
            resolve(session, reference, f"{field}.{name}")
    return Item(
        warehouse_id=0,
        variant_id=0,
        product_id=0,
        product_name=fields["name"],
        sku=fields["sku"] or "",
        variant_name="",
        is_default=True,
        has_variants=False,
        is_active=True,
        status="pending",
        owner_id=actor.user_id,
        tracking="none",
        price_mode="open",
        price=to_units(fields["unit_price"] or ZERO),
        last_price=None,
        cost_price=None,
        tax_id=setup.resolve_tax(session, fields["tax"], f"{field}.tax"),
        unit_id=None,
        category_id=None,
        threshold=None,
        warehouse_threshold=None,
        on_hand=0,
        reserved=0,
        is_elsewhere=False,
    )


def remember_price(session: Session, prices: Mapping[int, Decimal]) -> None:
    """Keep what open-price products, by key, were last sold for; money per unit of measure.

    Rows are changed in key order, so that two sales never wait for each other in a circle.
    """
    table = Product.__table__
    for product_id in sorted(prices):
        session.execute(
            update(table)  # type: ignore[arg-type]
            .where(table.c.id == product_id, table.c.price_mode == "open")
            .values(last_price=prices[product_id], updated_at=table.c.updated_at)
        )


def lock_prices(session: Session, product_ids: Collection[int]) -> None:
    """Lock the products of these whose price may be remembered, for sales that are posted one after another."""
    if product_ids:
        mine = (among(Product.id, product_ids), Product.price_mode == "open")
        session.execute(select(Product.id).where(*mine).order_by(Product.id).with_for_update(key_share=True)).all()


def _fields(product_data: Mapping[str, Any], actor: Actor, field: str) -> dict[str, Any]:
    try:
        actor.require(_PERMISSION)
    except PermissionDenied as error:
        message = f"Products are made at the till by roles that have {_PERMISSION}."
        error.errors = [{"field": field, "message": message}]
        raise
    try:
        fields: dict[str, Any] = InlineProductIn().load(product_data)
    except ValidationError as error:
        raise _below(error, field) from error
    return fields


def _below(error: ValidationError, field: str) -> ValidationFailed:
    errors = [
        {
            "field": f"{field}.{name}",
            "message": str(messages[0] if isinstance(messages, list) else messages),
        }
        for name, messages in error.normalized_messages().items()
    ]
    return ValidationFailed(f"{errors[0]['field']}: {errors[0]['message']}", errors=errors)
