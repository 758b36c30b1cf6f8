"""The price and the tax of a line, and who may change the price."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from tillhook.actor import Actor
from tillhook.errors import PermissionDenied, ValidationFailed
from tillhook.ledger.items import Item
from tillhook.quantities import ZERO, format_quantity, from_units, multiply, round_half_up
from tillhook.runtime import runtime_of, snapshot_of
from tillhook.sales.commands import SaleCommand, SaleItem
from tillhook.sales.drafts import DraftLine, PriceRequest, SaleDraft, TaxRequest


def price_line(
    session: Session, actor: Actor, command: SaleCommand, number: int, item: Item, at: datetime, *, is_offline: bool
) -> DraftLine:
    """Return the line with its price and tax.

    Online the product's price mode rules: ``list`` the server's price, ``bounded`` the client's within the
    role's discount, ``open`` the client's, with a permission where it isn't the remembered one. A price charged
    offline is a fact: kept, and flagged when it differs.

    Raises:
        ValidationFailed: 422: a price is missing, or less than its discount.
        PermissionDenied: 403: a price, or a discount, that the actor may not give.
    """
    asked = command.items[number]
    catalogue_price = _catalogue_price(session, command, asked, item, at)
    flags: list[str] = []
    if asked.is_printed_price and asked.unit_price != catalogue_price:
        catalogue_price = asked.unit_price
        flags.append("price-printed")
    field = f"items.{number}.unit_price"
    if item.price_mode == "open":
        unit_price = asked.unit_price if asked.unit_price is not None else catalogue_price
        if unit_price is None:
            raise ValidationFailed.at(field, "This product has no price of its own; say one.")
        if not is_offline and asked.product_data is None and unit_price != catalogue_price:
            _check_open_price(actor, field)
    else:
        assert catalogue_price is not None
        unit_price = catalogue_price if asked.unit_price is None else asked.unit_price
        if unit_price != catalogue_price:
            if is_offline:
                flags.append("price-variance")
            elif item.price_mode == "list":
                unit_price = catalogue_price
                flags.append("price-replaced")
    if asked.discount_per_item > unit_price:
        raise ValidationFailed.at(f"items.{number}.discount_per_item", "More than the unit price.")
    if not is_offline:
        # Of an open price, the one charged is what a discount is given on.
        reference = unit_price if item.price_mode == "open" else catalogue_price or ZERO
        _check_bounds(session, actor, unit_price, asked.discount_per_item, reference, number)
    tax_id, rate, inclusive = _tax(session, command, item, at)
    return DraftLine(
        number,
        asked,
        item,
        asked.quantity,
        unit_price,
        catalogue_price,
        asked.discount_per_item,
        tax_id,
        rate,
        inclusive,
        flags,
    )


def check_discount(session: Session, actor: Actor, draft: SaleDraft) -> None:
    """Refuse a discount on the whole sale that goes beyond what the role may give.

    Line and sale discounts count together, against the catalogue's prices, or the open ones that are charged.
    """
    command = draft.command
    if not command.discount_amount or draft.is_offline or actor.can("sales:sale:override_price"):
        return
    limit = discount_limit(session, actor)
    full = sum((multiply(_reference(line), line.quantity) for line in draft.lines), ZERO)
    net = sum((total.total_price - total.discount_share for total in draft.totals.lines), ZERO)
    if net < round_half_up(multiply(full, 1 - limit), 4):
        raise PermissionDenied(
            f"Your role may give at most {format_quantity(limit * 100)} % discount.",
            code="discount-limit",
            errors=[{"field": "discount_amount", "message": "Beyond your role's limit."}],
        )


def discount_limit(session: Session, actor: Actor) -> Decimal:
    """Return the largest discount that the actor may give, a fraction of the price."""
    if actor.can("sales:sale:override_price"):
        return Decimal(1)
    if not actor.can("sales:sale:discount"):
        return ZERO
    if actor.discount_limit is not None:
        return actor.discount_limit
    limit: Decimal = snapshot_of(session).setting("sales.discount_limit")
    return limit


def _reference(line: DraftLine) -> Decimal:
    """Return the price that the line's discounts are given on."""
    if line.item.price_mode == "open" or line.catalogue_price is None:
        return line.unit_price
    return line.catalogue_price


def _check_open_price(actor: Actor, field: str) -> None:
    if not actor.can("sales:sale:open_price") and not actor.can("sales:sale:override_price"):
        raise PermissionDenied(
            "Your role may not say the price.",
            code="open-price",
            permission="sales:sale:open_price",
            errors=[{"field": field, "message": "Not the price that is remembered."}],
        )


def _check_bounds(
    session: Session, actor: Actor, unit_price: Decimal, discount: Decimal, catalogue_price: Decimal, number: int
) -> None:
    net = unit_price - discount
    if net == catalogue_price or actor.can("sales:sale:override_price"):
        return
    field = f"items.{number}.unit_price" if unit_price != catalogue_price else f"items.{number}.discount_per_item"
    limit = discount_limit(session, actor)
    if net < multiply(catalogue_price, 1 - limit):
        raise PermissionDenied(
            f"Your role may give at most {format_quantity(limit * 100)} % discount.",
            code="discount-limit",
            errors=[{"field": field, "message": "Below your role's limit."}],
        )
    if unit_price > catalogue_price:
        raise PermissionDenied(
            "Your role may not charge more than the catalogue's price.",
            code="price-above-catalogue",
            errors=[{"field": field, "message": "Above the catalogue's price."}],
        )


def _catalogue_price(
    session: Session, command: SaleCommand, asked: SaleItem, item: Item, at: datetime
) -> Decimal | None:
    if item.price_mode == "open":
        units = item.last_price if item.last_price is not None else (item.price or None)
        price = None if units is None else from_units(units)
    else:
        price = from_units(item.price)
    hooks = runtime_of(session).hooks
    if hooks.implemented("resolve_price"):
        answer: Any = hooks.hook.resolve_price(
            session=session,
            request=PriceRequest(
                item.product_id,
                item.variant_id,
                asked.quantity,
                price or ZERO,
                command.channel,
                command.warehouse or 0,
                command.customer_id,
                at,
            ),
        )
        if answer is not None:
            return Decimal(answer)
    return price


def _tax(session: Session, command: SaleCommand, item: Item, at: datetime) -> tuple[int | None, Decimal, bool]:
    tax_id = item.tax_id
    hooks = runtime_of(session).hooks
    if hooks.implemented("resolve_tax"):
        answer = hooks.hook.resolve_tax(
            session=session,
            request=TaxRequest(
                item.product_id, tax_id, command.channel, command.warehouse or 0, command.customer_id, at
            ),
        )
        tax_id = tax_id if answer is None else answer
    if tax_id is None:
        return None, ZERO, False
    tax = snapshot_of(session).taxes[tax_id]
    return tax_id, tax.rate, tax.is_inclusive
