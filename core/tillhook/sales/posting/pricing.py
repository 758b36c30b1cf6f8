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
from tillhook.sales.posting.goods import is_for_sale
from tillhook.sales.posting.resolving import listed_price, tax_of
from tillhook.sales.totals import DocumentTotals

_ANY_PRICE = "sales:sale:override_price"
_OPEN_PRICE = "sales:sale:open_price"
_DISCOUNT = "sales:sale:discount"
#: What is said of a discount that was given offline and would have been refused online.
_BEYOND = "discount-limit"


def price_line(run: Run, command: SaleCommand, number: int, asked: SaleItem, item: Item, at: datetime) -> DraftLine:
    """Return the line with its price and tax.

    Online the product's price mode rules: ``list`` the server's price, ``bounded`` the client's within the
    role's discount, ``open`` the client's, with a permission where it isn't the remembered one. What was charged
    offline is a fact: kept, and flagged when the price differs, the discount is beyond the role's, or the product is
    not for sale.

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
    if run.is_offline:
        if asked.discount_per_item and not _may_give(run, unit_price, unit_price - asked.discount_per_item):
            flags += (_BEYOND,)
        if asked.product_data is None and not is_for_sale(run, item):
            flags += ("not-for-sale",)
    else:
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


def check_discount(
    run: Run, command: SaleCommand, lines: Sequence[DraftLine], totals: DocumentTotals
) -> tuple[DraftLine, ...]:
    """Refuse a discount on the whole sale that goes beyond what the role may give; flag the lines of one made offline.

    Line and sale discounts count together, against the catalogue's prices, or those charged if open or offline.
    """
    if not command.discount_amount:
        return tuple(lines)
    references = (line.unit_price if run.is_offline else _reference(line) for line in lines)
    full = sum((multiply(price, line.quantity) for price, line in zip(references, lines, strict=True)), ZERO)
    net = sum((total.total_price - total.discount_share for total in totals.lines), ZERO)
    if _may_give(run, full, net):
        return tuple(lines)
    if not run.is_offline:
        raise _beyond(run, full, net, "discount_amount", "Beyond your role's limit.")
    return tuple(line.flagged(_BEYOND) for line in lines)


def _may_give(run: Run, full: Decimal, net: Decimal) -> bool:
    """Say whether the actor may ask ``net`` for what costs ``full``."""
    return _is_within(full, net, _discount_limit(run)) or run.actor.can(_ANY_PRICE)


def _is_within(full: Decimal, net: Decimal, limit: Decimal) -> bool:
    return net >= round_half_up(multiply(full, 1 - limit), 4)


def _discount_limit(run: Run) -> Decimal:
    """Return the largest discount that the actor may give, a fraction of the price."""
    if not run.actor.can(_DISCOUNT):
        return ZERO
    if run.actor.discount_limit is not None:
        return run.actor.discount_limit
    limit: Decimal = run.snapshot.setting("sales.discount_limit")
    return limit


def _beyond(run: Run, full: Decimal, net: Decimal, field: str, message: str) -> PermissionDenied:
    """Return the refusal of a discount, with the roles that may give as much."""
    snapshot, general = run.snapshot, run.snapshot.setting("sales.discount_limit")
    roles = [
        role
        for role, held in sorted(snapshot.roles.items())
        if _ANY_PRICE in held
        or (_DISCOUNT in held and _is_within(full, net, snapshot.discount_limits.get(role, general)))
    ]
    return run.actor.refusal(
        f"Your role may give at most {format_quantity(_discount_limit(run) * 100)} % discount",
        _ANY_PRICE,
        roles=roles,
        code="discount-limit",
        errors=[{"field": field, "message": message}],
    )


def _reference(line: DraftLine) -> Decimal:
    """Return the price that the line's discounts are given on."""
    if line.item.price_mode == "open" or line.catalogue_price is None:
        return line.unit_price
    return line.catalogue_price


def _check_open_price(actor: Actor, field: str) -> None:
    if not actor.can(_OPEN_PRICE) and not actor.can(_ANY_PRICE):
        raise actor.refusal(
            "Your role may not say the price",
            _OPEN_PRICE,
            code="open-price",
            errors=[{"field": field, "message": "Not the price that is remembered."}],
        )


def _check_bounds(run: Run, unit_price: Decimal, discount: Decimal, catalogue_price: Decimal, number: int) -> None:
    net = unit_price - discount
    if net == catalogue_price or run.actor.can(_ANY_PRICE):
        return
    field = f"items.{number}.unit_price" if unit_price != catalogue_price else f"items.{number}.discount_per_item"
    if not _may_give(run, catalogue_price, net):
        raise _beyond(run, catalogue_price, net, field, "Below your role's limit.")
    if unit_price > catalogue_price:
        raise run.actor.refusal(
            "Your role may not charge more than the catalogue's price",
            _ANY_PRICE,
            code="price-above-catalogue",
            errors=[{"field": field, "message": "Above the catalogue's price."}],
        )
