"""Products made at the till, and what the till teaches about prices."""

import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import update
from sqlalchemy.orm import Session

from tillhook.actor import Actor
from tillhook.catalogue.drafts import REFERENCES, ProductDraft, VariantDraft
from tillhook.catalogue.products import make
from tillhook.catalogue.schemas import InlineProductIn
from tillhook.errors import ValidationFailed
from tillhook.products.models import Product
from tillhook.quantities import ZERO


def create_inline_product(
    session: Session, product_data: Mapping[str, Any], actor: Actor, field: str = "product_data"
) -> Product:
    """Make an untracked product of open price while selling it: pending, and the actor's own.

    Args:
        product_data: ``name``, and if wanted ``sku``, ``unit``, ``category``, ``tax``, ``description`` and
            ``tracking``, which must be ``none``; checked here.
        field: Where it is in the body.

    Raises:
        PermissionDenied: 403: without ``catalogue:product:create_inline``.
        ValidationFailed: 422, fields below ``field``.
        Conflict: 409 ``duplicate-sku``.
    """
    actor.require("catalogue:product:create_inline")
    try:
        fields = InlineProductIn().load(product_data)
    except ValidationError as error:
        raise _below(error, field) from error
    values = {name: fields[name] for name in ("name", "description")}
    values |= {"sku": fields["sku"] or f"INLINE-{secrets.token_hex(5).upper()}", "price": ZERO, "tracking": "none"}
    values |= {"price_mode": "open", "status": "pending", "owner_id": actor.user_id, "has_variants": False}
    draft = ProductDraft(
        sku=values["sku"],
        values=values | {"tax_id": None},
        references={name: fields[name] for name in REFERENCES if fields[name] is not None},
        variants=[VariantDraft(values={}, is_default=True)],
        where=f"{field}.",
    )
    return make(session, draft)


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


def _below(error: ValidationError, field: str) -> ValidationFailed:
    errors = [
        {
            "field": f"{field}.{name}",
            "message": str(messages[0] if isinstance(messages, list) else messages),
        }
        for name, messages in error.normalized_messages().items()
    ]
    return ValidationFailed(f"{errors[0]['field']}: {errors[0]['message']}", errors=errors)
