"""The price and the tax of a line, and who may change the price."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from tillhook.actor import Actor
from tillhook.errors import PermissionDenied, ValidationFailed
from tillhook.ledger import Item
from tillhook.quantities import MAX, ZERO, format_quantity, from_units, multiply, round_half_up
from tillhook.sales.commands import SaleCommand, SaleItem
from tillhook.sales.drafts import DraftLine, PriceRequest, SaleDraft, TaxRequest
from tillhook.sales.posting.entries import Run


def price_line(run: Run, command: SaleCommand, number: int, asked: SaleItem, item: Item, at: datetime) -> DraftLine:
    """Return the line with its price and tax.

    Online the product's price mode rules: ``list`` the server's price, ``bounded`` the client's within the
    role's discount, ``open`` the client's, with a permission where it isn't the remembered one. A price charged
    offline is a fact: kept, and flagged when it differs.

    Raises:
        ValidationFailed: 422: a price is missing, or less than its discount.
        PermissionDenied: 403: a price, or a discount, that the actor may not give.
    """
    catalogue_price = _catalogue_price(run, command, asked, item, at)
    flags: tuple[str, ...] = ()
    if asked.is_printed_price and asked.unit_price != catalogue_price:
        catalogue_price = asked.unit_price
        flags = ("price-printed",)
    field = f"items.{number}.unit_price"
    if item.price_mode == "open":
        unit_price = asked.unit_price if asked.unit_price is not None else catalogue_price
        if unit_price is None:
            raise ValidationFailed.at(field, "This product has no price of its own; say one.")
        if not run.is_offline and asked.product_data is None and unit_price != catalogue_price:
            _check_open_price(run.actor, field)
    else:
        assert catalogue_price is not None
        unit_price = catalogue_price if asked.unit_price is None else asked.unit_price
        if unit_price != catalogue_price:
            if run.is_offline:
                flags += ("price-variance",)
            elif item.price_mode == "list":
                unit_price = catalogue_price
                flags += ("price-replaced",)
    if asked.discount_per_item > unit_price:
        raise ValidationFailed.at(f"items.{number}.discount_per_item", "More than the unit price.")
    if not run.is_offline:
        # Of an open price, the one charged is what a discount is given on.
        reference = unit_price if item.price_mode == "open" else catalogue_price or ZERO
        _check_bounds(run, unit_price, asked.discount_per_item, reference, number)
    tax_id, rate, inclusive = _tax(run, command, item, at)
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


def check_discount(run: Run, draft: SaleDraft) -> None:
    """Refuse a discount on the whole sale that goes beyond what the role may give.

    Line and sale discounts count together, against the catalogue's prices, or the open ones that are charged.
    """
    if not draft.command.discount_amount or draft.is_offline or run.actor.can("sales:sale:override_price"):
        return
    limit = _discount_limit(run)
    full = sum((multiply(_reference(line), line.quantity) for line in draft.lines), ZERO)
    net = sum((total.total_price - total.discount_share for total in draft.totals.lines), ZERO)
    if net < round_half_up(multiply(full, 1 - limit), 4):
        raise _beyond(limit, "discount_amount", "Beyond your role's limit.")


def _discount_limit(run: Run) -> Decimal:
    """Return the largest discount that the actor may give, a fraction of the price."""
    if not run.actor.can("sales:sale:discount"):
        return ZERO
    if run.actor.discount_limit is not None:
        return run.actor.discount_limit
    limit: Decimal = run.snapshot.setting("sales.discount_limit")
    return limit


def _beyond(limit: Decimal, field: str, message: str) -> PermissionDenied:
    return PermissionDenied(
        f"Your role may give at most {format_quantity(limit * 100)} % discount.",
        code="discount-limit",
        errors=[{"field": field, "message": message}],
    )


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


def _check_bounds(run: Run, unit_price: Decimal, discount: Decimal, catalogue_price: Decimal, number: int) -> None:
    net = unit_price - discount
    if net == catalogue_price or run.actor.can("sales:sale:override_price"):
        return
    field = f"items.{number}.unit_price" if unit_price != catalogue_price else f"items.{number}.discount_per_item"
    limit = _discount_limit(run)
    if net < multiply(catalogue_price, 1 - limit):
        raise _beyond(limit, field, "Below your role's limit.")
    if unit_price > catalogue_price:
        raise PermissionDenied(
            "Your role may not charge more than the catalogue's price.",
            code="price-above-catalogue",
            errors=[{"field": field, "message": "Above the catalogue's price."}],
        )


def _catalogue_price(run: Run, command: SaleCommand, asked: SaleItem, item: Item, at: datetime) -> Decimal | None:
    if item.price_mode == "open":
        units = item.last_price if item.last_price is not None else (item.price or None)
        price = None if units is None else from_units(units)
    else:
        price = from_units(item.price)
    if not run.hooks.implemented("resolve_price"):
        return price
    request = PriceRequest(
        product_id=item.product_id,
        variant_id=item.variant_id,
        quantity=asked.quantity,
        list_price=price or ZERO,
        channel=command.channel,
        warehouse_id=command.warehouse or 0,
        customer_id=command.customer_id,
        at=at,
    )
    answer = run.hooks.resolve("resolve_price", _check_price, session=run.session, request=request)
    return price if answer is None else Decimal(answer)


def _check_price(answer: Any) -> None:
    if not isinstance(answer, int | Decimal) or isinstance(answer, bool) or not Decimal(answer).is_finite():
        raise ValueError(f"{answer!r} is no Decimal")
    if not 0 <= answer <= MAX or round_half_up(Decimal(answer), 4) != answer:
        raise ValueError(f"{answer!r} is no price: from 0 to {MAX:f}, at most 4 digits after the point")


def _tax(run: Run, command: SaleCommand, item: Item, at: datetime) -> tuple[int | None, Decimal, bool]:
    tax_id, taxes = item.tax_id, run.snapshot.taxes

    def check(answer: Any) -> None:
        if not isinstance(answer, int) or isinstance(answer, bool) or answer not in taxes:
            raise ValueError(f"{answer!r} is the key of no tax")

    if run.hooks.implemented("resolve_tax"):
        request = TaxRequest(item.product_id, tax_id, command.channel, command.warehouse or 0, command.customer_id, at)
        answer = run.hooks.resolve("resolve_tax", check, session=run.session, request=request)
        tax_id = tax_id if answer is None else answer
    if tax_id is None:
        return None, ZERO, False
    tax = taxes[tax_id]
    return tax_id, tax.rate, tax.is_inclusive
