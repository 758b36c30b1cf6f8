"""The values of settings: checked as they come in, JSON in the database, typed in Python."""

from decimal import Decimal
from typing import Any

from tillhook import quantities
from tillhook.hooks import SettingDeclaration

#: Longest text of a setting, in characters.
MAX_TEXT = 1000
MAX_INTEGER = 2**53 - 1


def checked(declaration: SettingDeclaration, value: Any) -> Any:
    """Return the typed value of what a client sent.

    Raises:
        ValueError: Says what is wrong with it.
    """
    typed = _typed(declaration.type, value)
    if declaration.choices is not None and typed not in declaration.choices:
        raise ValueError(f"Must be one of: {', '.join(map(str, declaration.choices))}.")
    if declaration.check is not None:
        declaration.check(typed)
    return typed


def to_json(value: Any) -> Any:
    """Return what the database and the answers hold."""
    return quantities.format_quantity(value) if isinstance(value, Decimal) else value


def from_json(declaration: SettingDeclaration, value: Any) -> Any:
    """Return the typed value of what the database holds."""
    return Decimal(value) if declaration.type is Decimal and value is not None else value


def _typed(type_: type, value: Any) -> Any:
    if type_ is bool:
        if not isinstance(value, bool):
            raise ValueError("Must be true or false.")
        return value
    if type_ is Decimal:
        return quantities.parse(value)
    if type_ is int:
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_INTEGER:
            raise ValueError("Must be a whole number.")
        return value
    if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
        raise ValueError(f"Must be text of at most {MAX_TEXT} characters.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("Must be valid Unicode.") from None
    return value
