"""The price and the tax of a line as the catalogue, or a plugin, says them."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from tillhook.ledger import Item
from tillhook.quantities import MAX, ZERO, from_units, round_half_up
from tillhook.sales.commands import SaleCommand, SaleItem
from tillhook.sales.drafts import PriceRequest, TaxRequest
from tillhook.sales.posting.entries import Run


def listed_price(run: Run, command: SaleCommand, asked: SaleItem, item: Item, at: datetime) -> Decimal | None:
    """Return what one unit costs before anybody changes it: a plugin's answer, else the catalogue's.

    ``None`` for an open price that nobody has said yet.

    Raises:
        HookError: The answer is no price.
    """
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


def tax_of(run: Run, command: SaleCommand, item: Item, at: datetime) -> tuple[int | None, Decimal, bool]:
    """Return key, rate and inclusiveness of the tax that a line bears: a plugin's answer, else the product's.

    Raises:
        HookError: The answer is the key of no tax.
    """
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
