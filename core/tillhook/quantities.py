"""Exact amounts and quantities: ``Decimal`` in Python, integers of 1/10,000 in the database.

Rounding is half-up and symmetric, so that a refund is exactly the negative of its sale.
"""

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cache, lru_cache

#: Units of the database per 1 of money or quantity.
SCALE = 10_000
#: Digits after the point that a column keeps.
PLACES = 4
#: The largest absolute value that a column takes: 11 digits before the point, 4 after. A sum of nine thousand
#: of the largest still fits in 64 bits, and so does the sum of any sane number of real ones.
MAX_UNITS = 10**15 - 1
MAX = Decimal(MAX_UNITS) / SCALE

ZERO = Decimal(0)
_SCALE = Decimal(SCALE)
# Wide enough for a product of two columns, which is never stored.
_WIDE = Context(prec=60, rounding=ROUND_HALF_UP)
# A shop's amounts are few, and looking one up costs a tenth of working it out.
_remembered = lru_cache(4096)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)


def parse(value: object, places: int = PLACES) -> Decimal:
    """Return the exact decimal that a JSON number or string says.

    Args:
        value: ``"12.50"``, ``12``, or a ``Decimal`` as the JSON reader makes it; never a float, a bool, a
            NaN or an exponent.
        places: The most digits after the point that are taken; trailing zeros do not count.

    Raises:
        ValueError: Says in a few words what is wrong; the caller knows the field.
    """
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("Not a finite number.")
        number = value
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > MAX:
            raise ValueError("Too large.")
        number = Decimal(value)
    elif isinstance(value, str):
        if len(value) > 40 or not _NUMBER.fullmatch(value):
            raise ValueError('Not a decimal number such as "12.50".')
        number = Decimal(value)
    else:
        raise ValueError('Not a decimal number such as "12.50".')
    if not -MAX <= number <= MAX:
        raise ValueError("Too large.")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > places and -_significant_exponent(number) > places:
        raise ValueError(f"More than {places} digits after the point.")
    return number + 0 if number else ZERO  # never a negative zero


def _significant_exponent(number: Decimal) -> int:
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    for digit in reversed(digits):
        if digit:
            break
        exponent += 1
    return exponent if any(digits) else 0


@_remembered
def to_units(value: Decimal) -> int:
    """Return the database's integer for ``value``.

    Raises:
        ValueError: ``value`` is not finite, too large, or has more than four digits after the point.
    """
    # First, since to make an integer of 1E+999999 takes a while.
    if not (value.is_finite() and -MAX <= value <= MAX):
        raise ValueError(f"{value} is out of range")
    units = _WIDE.multiply(value, _SCALE)
    whole = int(units)
    if whole != units:
        raise ValueError(f"{value} has more than {PLACES} digits after the point")
    return whole


def from_units(units: int) -> Decimal:
    """Return the decimal, with four digits after the point, for the database's integer."""
    return Decimal(units).scaleb(-PLACES)


@cache
def _smallest(places: int) -> Decimal:
    return Decimal(1).scaleb(-places)


def round_half_up(value: Decimal, places: int) -> Decimal:
    """Return ``value`` with exactly ``places`` digits after the point, halves rounded away from zero."""
    rounded = value.quantize(_smallest(places), ROUND_HALF_UP, _WIDE)
    return rounded if rounded else abs(rounded)  # never a negative zero


def multiply(left: Decimal, right: Decimal) -> Decimal:
    """Return the exact product; two columns' product has up to eight digits after the point."""
    return _WIDE.multiply(left, right)


def divide(left: Decimal, right: Decimal) -> Decimal:
    """Return the quotient to 60 digits: enough that rounding it to any column never meets a false half."""
    return _WIDE.divide(left, right)


def allocate(total: Decimal, weights: Sequence[Decimal], places: int) -> list[Decimal]:
    """Split ``total`` in proportion to ``weights``, to the smallest unit, losing nothing.

    Each share is the running total's rounded part less what went before, so the shares add up to
    ``total`` exactly, no share is off by more than one smallest unit, and equal input gives equal output.

    Args:
        total: A multiple of the smallest unit, of either sign.
        weights: Non-negative; when all are zero the shares are equal in weight.
        places: Digits after the point of the smallest unit.
    """
    if not weights:
        return []
    weight_sum = sum(weights, ZERO)
    if not weight_sum:
        weights = [Decimal(1)] * len(weights)
        weight_sum = Decimal(len(weights))
    shares = []
    running, given = ZERO, ZERO
    for weight in weights:
        running += weight
        until_here = round_half_up(divide(multiply(total, running), weight_sum), places)
        shares.append(until_here - given)
        given = until_here
    return shares


def format_quantity(value: Decimal) -> str:
    """Return the shortest exact text: ``"2"``, ``"0.5"``; never an exponent or a negative zero."""
    if not value:
        return "0"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_money(value: Decimal, places: int = 2) -> str:
    """Return the amount with at least ``places`` digits after the point, and no digit lost."""
    whole, _, fraction = format_quantity(value).partition(".")
    fraction = fraction.ljust(places, "0")
    return f"{whole}.{fraction}" if fraction else whole


@_remembered
def money_of_units(units: int) -> str:
    """Return what :func:`format_money` does, from integers of 1/10,000 in a fraction of its time."""
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), SCALE)
    if rest % 100 == 0:
        return f"{sign}{whole}.{rest // 100:02d}"
    return f"{sign}{whole}.{rest:04d}".rstrip("0")


def json_number(units: int) -> int | float:
    """Return integers of 1/10,000 as a JSON number, as events have them; exact to 15 digits."""
    whole, rest = divmod(units, SCALE)
    return units / SCALE if rest else whole


@_remembered
def quantity_of_units(units: int) -> str:
    """Return what :func:`format_quantity` does, from integers of 1/10,000."""
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), SCALE)
    return f"{sign}{whole}.{rest:04d}".rstrip("0") if rest else f"{sign}{whole}"


__all__ = [
    "MAX",
    "MAX_UNITS",
    "PLACES",
    "SCALE",
    "ZERO",
    "allocate",
    "divide",
    "format_money",
    "format_quantity",
    "from_units",
    "json_number",
    "money_of_units",
    "multiply",
    "parse",
    "quantity_of_units",
    "round_half_up",
    "to_units",
]
