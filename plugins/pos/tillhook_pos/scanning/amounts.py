"""How much a label is on: stock units from a weight, and a line whose total is the price that is printed."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from tillhook.errors import ValidationFailed
from tillhook.quantities import PLACES, ZERO, divide, format_money, multiply, round_half_up, to_units

#: Units of measure by what they may be called, and how many of them are one of what GS1 counts in.
_PER_GS1_UNIT: dict[str, dict[str, Decimal]] = {
    "310": {"kg": Decimal(1), "dag": Decimal(100), "g": Decimal(1000)},
    "311": {"m": Decimal(1), "cm": Decimal(100), "mm": Decimal(1000)},
    "314": {"m2": Decimal(1)},
    "315": {"l": Decimal(1), "dl": Decimal(10), "cl": Decimal(100), "ml": Decimal(1000)},
    "316": {"m3": Decimal(1)},
    "320": {"lb": Decimal(1)},
}
_NAMES = {
    "kg": ("kgs", "kilo", "kilos", "kilogram", "kilograms", "kilogramm", "kilogramme"),
    "dag": ("dkg", "deka"),
    "g": ("gr", "gram", "grams", "gramm", "gramme"),
    "m": ("meter", "metre", "meters", "metres"),
    "m2": ("m²", "qm", "sqm"),
    "l": ("lt", "ltr", "liter", "litre", "liters", "litres"),
    "m3": ("m³", "cbm"),
    "lb": ("lbs", "pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet"),
}
_MEASURES = {unit for units in _PER_GS1_UNIT.values() for unit in units} | set(_NAMES)
_CANONICAL = {name: unit for unit, names in _NAMES.items() for name in names} | {unit: unit for unit in _MEASURES}
#: How many of the unit's smallest steps a quantity may be off for the sake of the price.
_NEIGHBOURS = 50


@dataclass(frozen=True, slots=True)
class Charged:
    """A line's stock units, and the price of one when the label says what the line comes to.

    ``is_binding``: that price takes the place of the catalogue's; else it is one that the seller asks for.
    """

    quantity: Decimal
    unit_price: Decimal | None = None
    is_binding: bool = False


def is_measured(unit_code: str) -> bool:
    """Say whether goods of this unit are weighed or measured, not counted."""
    return unit_code.strip().casefold() in _CANONICAL


def in_unit(measure: Decimal, measure_of: str, unit_code: str) -> Decimal | None:
    """Return a measure of GS1 in the product's unit; ``None`` for a unit that measures something else.

    Args:
        measure_of: The first three digits of the identifier; empty for a measure that is in the product's unit.
    """
    if not measure_of:
        return measure
    factor = _PER_GS1_UNIT.get(measure_of, {}).get(_CANONICAL.get(unit_code.strip().casefold(), ""))
    return None if factor is None else multiply(measure, factor)


def charge(total: Decimal, unit_price: Decimal, quantity: Decimal | None, precision: int, places: int) -> Charged:
    """Return the line that comes to exactly ``total``.

    The catalogue's price is kept when the quantity at that price comes to the total; else the price of a unit is what
    the total makes of it, to four digits.

    Args:
        total: Money, more than zero, as printed.
        unit_price: The catalogue's, for one stock unit; zero when there is none.
        quantity: Stock units, when they are known; ``None`` to find them by the price.
        precision: Digits after the point of the unit of measure.
        places: Digits after the point of the currency.

    Raises:
        ValidationFailed: 422 ``pos-price-not-chargeable``: no quantity and price of ours come to that.
    """
    candidates = [quantity] if quantity is not None else _quantities(total, unit_price, precision)
    for candidate in candidates:
        for price in (unit_price, round_half_up(divide(total, candidate), PLACES)):
            if round_half_up(multiply(candidate, price), places) == total and price > ZERO:
                return Charged(_fitting(candidate), price)
    message = f"The printed price of {format_money(total, places)} cannot be charged exactly."
    raise ValidationFailed.at("code", message, code="pos-price-not-chargeable")


def _quantities(total: Decimal, unit_price: Decimal, precision: int) -> Iterator[Decimal]:
    """Yield what the price is worth, then the nearest quantities: of hundreds of units not each has a fitting price."""
    if not unit_price:
        yield Decimal(1)
        return
    step = Decimal(1).scaleb(-precision)
    nearest = max(round_half_up(divide(total, unit_price), precision), step)
    yield nearest
    for steps in range(1, _NEIGHBOURS + 1):
        yield nearest + steps * step
        if nearest > steps * step:
            yield nearest - steps * step


def _fitting(quantity: Decimal) -> Decimal:
    """Return the quantity, which a column must take."""
    try:
        to_units(quantity)
    except ValueError:
        message = f"{quantity:f} stock units are more, or finer, than stock is counted in."
        raise ValidationFailed.at("code", message) from None
    return quantity


#: ISO 4217 numbers, which GS1 writes, of the currencies that labels are printed in.
_CURRENCIES = {
    "AED": 784, "ARS": 32, "AUD": 36, "BDT": 50, "BGN": 975, "BHD": 48, "BRL": 986, "CAD": 124, "CHF": 756,
    "CLP": 152, "CNY": 156, "COP": 170, "CZK": 203, "DKK": 208, "DZD": 12, "EGP": 818, "EUR": 978, "GBP": 826,
    "GEL": 981, "GHS": 936, "HKD": 344, "HUF": 348, "IDR": 360, "ILS": 376, "INR": 356, "ISK": 352, "JOD": 400,
    "JPY": 392, "KES": 404, "KRW": 410, "KWD": 414, "KZT": 398, "LKR": 144, "MAD": 504, "MDL": 498, "MXN": 484,
    "MYR": 458, "NGN": 566, "NOK": 578, "NPR": 524, "NZD": 554, "OMR": 512, "PEN": 604, "PHP": 608, "PKR": 586,
    "PLN": 985, "QAR": 634, "RON": 946, "RSD": 941, "RUB": 643, "SAR": 682, "SEK": 752, "SGD": 702, "THB": 764,
    "TND": 788, "TRY": 949, "TWD": 901, "TZS": 834, "UAH": 980, "UGX": 800, "USD": 840, "UYU": 858, "VND": 704,
    "XAF": 950, "XOF": 952, "ZAR": 710,
}  # fmt: skip


def is_currency(number: str, code: str) -> bool:
    """Say whether an ISO 4217 number is the currency of that code."""
    return _CURRENCIES.get(code) == int(number)
