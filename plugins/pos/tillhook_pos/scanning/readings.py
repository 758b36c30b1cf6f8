"""What a code says by itself, before anybody has looked into the catalogue."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from tillhook.quantities import format_money, format_quantity


@dataclass(frozen=True, slots=True)
class Element:
    """An element string of GS1: its application identifier, what that is called, and the value."""

    ai: str
    title: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to read a code. What the code does not say is ``None``, or empty.

    Args:
        kind: ``gs1``, ``embedded``, ``upce``, or what the catalogue calls a plain code.
        codes: What to look the product up by; of each group the first known one counts.
        price: Money for all that the label is on, in the currency's own places.
        currency: ISO 4217 number of the currency, when the code says it.
        measure: How much it is, in ``measure_of``.
        measure_of: The GS1 identifier's first three digits, such as ``310`` for kilograms; empty for the unit in
            which the product is stocked.
        count: How many pieces, or packages, it is.
        fault: Why the code cannot be believed; such a reading never finds a product.
        others: Other ways to understand the same characters.
    """

    kind: str
    codes: tuple[tuple[str, ...], ...]
    pattern: str = ""
    gtin: str | None = None
    item: str | None = None
    price: Decimal | None = None
    currency: str | None = None
    measure: Decimal | None = None
    measure_of: str = ""
    count: int | None = None
    batch_number: str | None = None
    expiry_date: date | None = None
    best_before: date | None = None
    serial: str | None = None
    sscc: str | None = None
    elements: tuple[Element, ...] = ()
    fault: str = ""
    others: tuple["Reading", ...] = ()

    @property
    def says_how_much(self) -> bool:
        """Whether a quantity beside the code would contradict it."""
        return self.price is not None or self.measure is not None or self.count is not None

    def understood(self) -> dict[str, Any]:
        """Return what was understood, as JSON; what the code does not say is left out."""
        said = {
            "kind": self.kind,
            "pattern": self.pattern,
            "gtin": self.gtin,
            "item": self.item,
            "price": None if self.price is None else format_money(self.price),
            "currency": self.currency,
            "quantity": None if self.measure is None else format_quantity(self.measure),
            "count": self.count,
            "batch_number": self.batch_number,
            "expiry_date": self.expiry_date and self.expiry_date.isoformat(),
            "best_before": self.best_before and self.best_before.isoformat(),
            "serial": self.serial,
            "sscc": self.sscc,
            "elements": [{"ai": each.ai, "title": each.title, "value": each.value} for each in self.elements],
        }
        return {name: value for name, value in said.items() if value not in (None, "", [])}
