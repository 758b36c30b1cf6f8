"""The one tax and rounding engine: what a sale of any channel comes to, and what a return gives back.

Pure: no database, no settings, no clock. Every amount that leaves here is a multiple of the currency's
smallest unit, rounded half-up and symmetric, and nothing is lost: lines add up to their document, and the
returns of a line to the line.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from tillhook.quantities import MAX, ZERO, allocate, divide, multiply, round_half_up

__all__ = [
    "NOTHING",
    "DiscountError",
    "DocumentTotals",
    "LineInput",
    "LineTotals",
    "amount_paid",
    "compute",
    "refund",
    "round_to_step",
    "sum_up",
]

_ONE = Decimal(1)


class DiscountError(ValueError):
    """The order discount is not one that these lines can carry; the text says why."""


@dataclass(frozen=True, slots=True)
class LineInput:
    """What is charged for, as the caller has already checked it.

    Args:
        quantity: More than zero, in the unit of sale.
        unit_price: Zero or more, for one unit.
        discount_per_item: From zero to ``unit_price``, taken off every unit.
        tax_rate: Fraction, zero or more: 20 % is ``Decimal("0.2000")``.
        tax_inclusive: ``unit_price`` contains the tax.
    """

    quantity: Decimal
    unit_price: Decimal
    discount_per_item: Decimal
    tax_rate: Decimal
    tax_inclusive: bool


@dataclass(frozen=True, slots=True)
class LineTotals:
    """The amounts of one line, none negative.

    Args:
        total_price: Quantity × (unit price − discount per item), before the order discount; contains the tax
            when that is inclusive.
        discount_share: The line's part of the order discount, at most ``total_price``.
        tax_amount: The tax on ``total_price − discount_share``.
    """

    total_price: Decimal
    discount_share: Decimal
    tax_amount: Decimal


@dataclass(frozen=True, slots=True)
class DocumentTotals:
    """The amounts of a document: ``subtotal + tax_amount − discount_amount == total_amount``.

    ``subtotal`` is before the order discount and without any tax, ``total_amount`` is what is to be paid.
    """

    lines: tuple[LineTotals, ...]
    subtotal: Decimal
    tax_amount: Decimal
    discount_amount: Decimal
    total_amount: Decimal


#: What came back of a line before its first return.
NOTHING = LineTotals(ZERO, ZERO, ZERO)


def compute(
    lines: Sequence[LineInput], *, discount: Decimal, places: int, rounding: Literal["line", "document"]
) -> DocumentTotals:
    """Return what the lines come to, each and together.

    The order discount is spread in proportion to the lines' prices and lowers the tax.

    Args:
        discount: Off the whole order, not negative.
        places: Digits after the point of the currency: 0, 2 or 3.
        rounding: ``line`` rounds the tax of each line. ``document`` rounds once for all lines of one rate,
            then splits that over them.

    Raises:
        DiscountError: The discount is negative, finer than the currency, or more than the lines' total.
        ValueError: An amount is beyond what a column takes.
    """
    prices = [
        round_half_up(multiply(line.quantity, line.unit_price - line.discount_per_item), places) for line in lines
    ]
    shares = _spread(discount, prices, places)
    bases = [price - share for price, share in zip(prices, shares, strict=True)]
    taxes = _TAXES[rounding](lines, bases, places)
    return sum_up(list(map(LineTotals, prices, shares, taxes)), inclusive=[line.tax_inclusive for line in lines])


def sum_up(lines: Iterable[LineTotals], *, inclusive: Iterable[bool]) -> DocumentTotals:
    """Return the document that these lines make, of a sale or of a return.

    Args:
        inclusive: For each line whether its price contains its tax.

    Raises:
        ValueError: An amount is beyond what a column takes.
    """
    lines = tuple(lines)
    subtotal = tax_amount = discount_amount = ZERO
    for line, contained in zip(lines, inclusive, strict=True):
        subtotal += line.total_price - line.tax_amount if contained else line.total_price
        tax_amount += line.tax_amount
        discount_amount += line.discount_share
    total_amount = subtotal + tax_amount - discount_amount
    # No amount of the document or of its lines is larger than this sum.
    if subtotal + tax_amount > MAX:
        raise ValueError("Too large an amount.")
    return DocumentTotals(lines, subtotal, tax_amount, discount_amount, total_amount)


def amount_paid(line: LineTotals, *, tax_inclusive: bool) -> Decimal:
    """Return what the customer pays for the line, and gets for it when all of it comes back."""
    paid = line.total_price - line.discount_share
    return paid if tax_inclusive else paid + line.tax_amount


def refund(
    sold: LineTotals,
    *,
    tax_inclusive: bool,
    sold_quantity: Decimal,
    returned: LineTotals,
    returned_quantity: Decimal,
    quantity: Decimal,
    places: int,
) -> LineTotals:
    """Return the amounts, positive, of bringing back ``quantity`` of a line.

    All that has come back after this return is rounded, not this return alone: many small returns give what
    one large return gives, and returning everything gives back every amount exactly. What is paid back
    (``amount_paid``) follows the price, so a line of three at 1.01 gives back 1.01 for one.

    Args:
        sold: The line of the sale.
        returned: The sum of what earlier returns of the line gave, ``NOTHING`` before the first.
        returned_quantity: What has come back before.
        places: Digits after the point of the currency; may differ from those of the sale.

    Raises:
        ValueError: ``quantity`` is not positive, or more than what is left of the line.
    """
    quantity_until = returned_quantity + quantity
    if quantity <= 0 or quantity_until > sold_quantity:
        raise ValueError("More than what is left of the line.")
    left = LineTotals(
        sold.total_price - returned.total_price,
        sold.discount_share - returned.discount_share,
        sold.tax_amount - returned.tax_amount,
    )
    if quantity_until == sold_quantity:
        return left

    # Each amount is a part of the one before it, so that a rounding never leaves a discount above its price
    # or an inclusive tax above what is paid.
    price_until = _portion(sold.total_price, quantity_until, sold_quantity, places)
    share_until = _portion(sold.discount_share, price_until, sold.total_price, places)
    tax_until = _portion(sold.tax_amount, price_until - share_until, sold.total_price - sold.discount_share, places)
    price = _clamp(price_until - returned.total_price, ZERO, left.total_price)
    share = _part(share_until - returned.discount_share, left.discount_share, price, left.total_price)
    tax = tax_until - returned.tax_amount
    if tax_inclusive:
        tax = _part(tax, left.tax_amount, price - share, left.total_price - left.discount_share)
    else:
        tax = _clamp(tax, ZERO, left.tax_amount)
    return LineTotals(price, share, tax)


def round_to_step(amount: Decimal, step: Decimal) -> Decimal:
    """Return the multiple of ``step`` nearest to ``amount``, halves away from zero.

    For cash without small coins: 1.02 is 1.00 and 1.03 is 1.05 where ``step``, more than zero, is 0.05.
    """
    return round_half_up(divide(amount, step), 0) * step


def _spread(discount: Decimal, prices: list[Decimal], places: int) -> list[Decimal]:
    """Return each line's share of the discount, never more than its price."""
    if not discount:
        return [round_half_up(ZERO, places)] * len(prices)
    if discount < 0:
        raise DiscountError("Must not be negative.")
    if discount > sum(prices, ZERO):
        raise DiscountError("More than the total of the lines.")
    rounded = round_half_up(discount, places)
    if rounded != discount:
        raise DiscountError(f"More than {places} digits after the point.")
    return allocate(rounded, prices, places)


def _tax(base: Decimal, rate: Decimal, inclusive: bool, places: int) -> Decimal:
    tax = multiply(base, rate)
    return round_half_up(divide(tax, _ONE + rate) if inclusive else tax, places)


def _line_taxes(lines: Sequence[LineInput], bases: list[Decimal], places: int) -> list[Decimal]:
    return [_tax(base, line.tax_rate, line.tax_inclusive, places) for line, base in zip(lines, bases, strict=True)]


def _document_taxes(lines: Sequence[LineInput], bases: list[Decimal], places: int) -> list[Decimal]:
    """Return each line's tax, where the lines of one rate add up to the rounded tax on their sum."""
    groups: dict[tuple[Decimal, bool], list[int]] = {}
    for index, line in enumerate(lines):
        groups.setdefault((line.tax_rate, line.tax_inclusive), []).append(index)
    taxes = [ZERO] * len(lines)
    for (rate, inclusive), members in groups.items():
        weights = [bases[index] for index in members]
        group_tax = _tax(sum(weights, ZERO), rate, inclusive, places)
        for index, tax in zip(members, allocate(group_tax, weights, places), strict=True):
            taxes[index] = tax
    return taxes


_TAXES = {"line": _line_taxes, "document": _document_taxes}


def _portion(amount: Decimal, part: Decimal, whole: Decimal, places: int) -> Decimal:
    """Return ``amount × part / whole``, rounded; zero of nothing."""
    return round_half_up(divide(multiply(amount, part), whole), places) if whole else ZERO


def _clamp(value: Decimal, low: Decimal, high: Decimal) -> Decimal:
    return max(low, min(value, high))


def _part(value: Decimal, left: Decimal, whole: Decimal, whole_left: Decimal) -> Decimal:
    """Return ``value`` moved to where part ≤ whole holds, now and for what is left afterwards.

    It moves only when earlier returns were rounded to other places than this one.
    """
    return _clamp(value, max(ZERO, left - (whole_left - whole)), min(left, whole))
