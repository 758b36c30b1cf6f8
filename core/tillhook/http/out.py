"""The fields of answers; see :class:`tillhook.http.Answer`.

Each knows what OpenAPI says of it and how its value is shown. All take:

- ``source``: the attribute or key of the thing shown, by default the field's own name; or a function of the thing.
- ``allow_none``: whether the value may be null.
- ``optional``: the field is absent unless the caller of ``Answer.of`` gives its value.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

from marshmallow import Schema, fields

from tillhook.db import as_instant, format_instant
from tillhook.http.schemas import StrictField
from tillhook.quantities import format_money, format_quantity, money_of_units, quantity_of_units

#: An attribute's or a key's name, or a function of the thing that is shown.
Source = str | Callable[[Any], Any] | None
#: Shows one value that is not ``None``; without one the value is shown as it is.
Format = Callable[[Any], Any] | None


class Field(StrictField):
    """The base of the fields of one value."""

    def __init__(
        self, source: Source = None, *, allow_none: bool = False, optional: bool = False, **options: Any
    ) -> None:
        super().__init__(allow_none=allow_none, required=not optional, **options)
        self.source = source

    def format(self, units: bool) -> Format:
        """Return how a value is shown.

        Args:
            units: Whether amounts and quantities come as integers of 1/10,000, else as ``Decimal``.
        """
        return None


class Key(Field):
    """A row's key."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": "integer"}


class Count(Key):
    """A whole number."""


class Text(Field):
    """A text, one of ``choices`` if there are any."""

    def __init__(self, source: Source = None, *, choices: Sequence[str] = (), **options: Any) -> None:
        super().__init__(source, **options)
        self.choices = tuple(choices)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.choices)} if self.choices else {"type": "string"}


class Flag(Field):
    """True or false; SQLite's 0 and 1 too."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

    def format(self, units: bool) -> Format:
        return bool


class Money(Field):
    """An amount, with two digits after the point, more only where they are needed."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{2,}$", "examples": ["25.00"]}

    def format(self, units: bool) -> Format:
        return money_of_units if units else format_money


class Qty(Field):
    """A quantity, a rate or another exact number, without trailing zeros."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "examples": ["2.5"]}

    def format(self, units: bool) -> Format:
        return quantity_of_units if units else format_quantity


class Moment(Field):
    """An instant, from a ``datetime`` or what a driver gives for an ``Instant`` column."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}

    def format(self, units: bool) -> Format:
        return _moment


class Date(Field):
    """A day, from a ``date`` or its text."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date"}

    def format(self, units: bool) -> Format:
        return _day


class Json(Field):
    """A JSON value that is shown as it is; ``type`` is JSON Schema's, such as ``"object"``."""

    def __init__(self, source: Source = None, *, type: str = "", **options: Any) -> None:
        super().__init__(source, **options)
        self.type = type

    def json_schema(self) -> dict[str, Any]:
        return {"type": self.type} if self.type else {}


class One(fields.Nested):
    """A thing with an answer of its own; given by the caller, it is such an answer already."""

    def __init__(
        self, answer: Any, source: Source = None, *, allow_none: bool = False, optional: bool = False, **options: Any
    ) -> None:
        super().__init__(answer, allow_none=allow_none, required=not optional, **options)
        self.source = source

    def format(self, units: bool) -> Format:
        """Return how the thing is shown."""
        show: Format = self.nested.of  # type: ignore[union-attr]
        return show


class Many(fields.List):
    """A list of things with an answer of their own, or of one of the fields above: ``Many(Text())``.

    Given by the caller, the things are such answers already; values of a field are not.
    """

    def __init__(
        self,
        inner: type[Schema] | fields.Field,
        source: Source = None,
        *,
        allow_none: bool = False,
        optional: bool = False,
        **options: Any,
    ) -> None:
        field = inner if isinstance(inner, fields.Field) else One(inner)
        super().__init__(field, allow_none=allow_none, required=not optional, **options)
        self.source = source

    def format(self, units: bool) -> Format:
        """Return how the things are shown."""
        assert isinstance(self.inner, Field | One)
        show, allow_none = self.inner.format(units), self.inner.allow_none
        if show is None:
            return list
        if allow_none:
            return lambda values: [None if value is None else show(value) for value in values]
        return lambda values: [show(value) for value in values]


def _moment(value: datetime | str) -> str:
    if isinstance(value, datetime):
        return format_instant(value)
    return value if value[-1] == "Z" else format_instant(as_instant(value))


def _day(value: date | str) -> str:
    return value if isinstance(value, str) else value.isoformat()
