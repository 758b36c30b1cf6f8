"""How what does not add up is told."""

from decimal import Decimal

from tillhook.hooks import Difference
from tillhook.quantities import from_units


def of_units(invariant: str, subject: str, expected: int, actual: int) -> Difference:
    """Return a difference of amounts or quantities, which are integers of 1/10,000."""
    return of_decimals(invariant, subject, from_units(int(expected)), from_units(int(actual)))


def of_decimals(invariant: str, subject: str, expected: Decimal, actual: Decimal) -> Difference:
    """Return a difference of amounts or quantities."""
    return Difference(invariant=invariant, subject=subject, expected=f"{expected:f}", actual=f"{actual:f}")


def of_rule(invariant: str, subject: str, rule: str, actual: str) -> Difference:
    """Return what breaks a rule that is no number."""
    return Difference(invariant=invariant, subject=subject, expected=rule, actual=actual)
