"""What a line is charged at, and who may change the price."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from tillhook.actor import Actor
from tillhook.errors import PermissionDenied, ValidationFailed
from tillhook.ledger import Item
from tillhook.quantities import ZERO, format_quantity, multiply, round_half_up
from tillhook.sales.commands import SaleCommand, SaleItem
from tillhook.sales.drafts import DraftLine
from tillhook.sales.posting.entries import Run
from tillhook.sales.posting.resolving import listed_price, tax_of
from tillhook.sales.totals import DocumentTotals


def price_line(run: Run, command: SaleCommand, number: int, asked: SaleItem, item: Item, at: datetime) -> DraftLine:
    """Return the line with its price and tax.

    Online the product's price mode rules: ``list`` the server's price, ``bounded`` the client's within the
    role's discount, ``open`` the client's, with a permission where it isn't the remembered one. A price charged
    offline is a fact: kept, and flagged when it differs.

    Raises:
        ValidationFailed: 422: a price is missing, or less than its discount.
        PermissionDenied: 403: a price, or a discount, that the actor may not give.
    """
    catalogue_price = listed_price(run, command, asked, item, at)
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
    tax_id, rate, inclusive = tax_of(run, command, item, at)
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


def check_discount(run: Run, command: SaleCommand, lines: Sequence[DraftLine], totals: DocumentTotals) -> None:
    """Refuse a discount on the whole sale that goes beyond what the role may give.

    Line and sale discounts count together, against the catalogue's prices, or the open ones that are charged.
    """
    if not command.discount_amount or run.is_offline or run.actor.can("sales:sale:override_price"):
        return
    limit = _discount_limit(run)
    full = sum((multiply(_reference(line), line.quantity) for line in lines), ZERO)
    net = sum((total.total_price - total.discount_share for total in totals.lines), ZERO)
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
        roles = actor.who_may("sales:sale:open_price")
        raise PermissionDenied(
            f"Your role may not say the price; these may: {', '.join(roles)}.",
            code="open-price",
            permission="sales:sale:open_price",
            roles=roles,
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
