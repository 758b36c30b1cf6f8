"""The base of every request's schema, and strict fields: what is taken is what OpenAPI says, to the digit.

marshmallow's own number and time fields take ``1_000``, ``True`` as 1, ``1.9`` as 1 and times without a
zone; these do not. Each field says by :meth:`StrictField.json_schema` what it takes.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from marshmallow import RAISE, ValidationError, fields, missing
from marshmallow import Schema as MarshmallowSchema

from tillhook.quantities import MAX, PLACES, parse

MAX_KEY = 2**63 - 1
MAX_LIMIT = 200
DEFAULT_LIMIT = 50

_CONTROL = "\\x00-\\x1f\\x7f-\\x9f"
_ANY_CONTROL = re.compile(f"[{_CONTROL}]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_DIGITS = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)

_MONTHS = "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
_LEAP = "(((19|20|21)(0[48]|[2468][048]|[13579][26])|2000)-02-29)"
_DAY = f"((19|20|21)[0-9]{{2}}-{_MONTHS}|{_LEAP})"
#: A time of day with its offset, as a pattern.
TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#: What is said of what is no :class:`Instant`.
NOT_AN_INSTANT = "Not an instant of RFC 3339, with its offset, such as 2026-01-31T14:30:00Z."
_DAY_PATTERN = re.compile(_DAY, re.ASCII)
_INSTANT_PATTERN = re.compile(f"{_DAY}T{TIME}", re.ASCII)
_EMAIL = (
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_EMAIL_PATTERN = re.compile(_EMAIL, re.ASCII)


class Schema(MarshmallowSchema):
    """A JSON body: unknown fields are refused, the order is the one written down."""

    #: Whether the values are texts, as in a query string or a form.
    from_text = False
    #: JSON Schemas that say how members go together, for OpenAPI; ``validates_schema`` checks it.
    together: ClassVar[tuple[dict[str, Any], ...]] = ()
    error_messages = {"type": "Not an object, {…}."}

    class Meta:
        unknown = RAISE

    def _deserialize(self, data: Any, *, many: bool = False, partial: Any = None, **options: Any) -> Any:
        """Load a faultless object field by field; leave every other to marshmallow, which says what is wrong.

        Half of the time of reading a sale would go into marshmallow's care for the faults that it does not have.
        """
        if type(data) is dict and not many and not partial:
            try:
                loaded = self._faultless(data)
            except ValidationError:
                loaded = None
            if loaded is not None:
                return loaded
        return super()._deserialize(data, many=many, partial=partial, **options)

    def _faultless(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """Return the loaded fields, or ``None`` when something is missing, null or unknown that must not be."""
        result: dict[str, Any] = {}
        found = 0
        for name, field in self.load_fields.items():
            if name in data:
                found += 1
                value = data[name]
                if value is None:
                    if not field.allow_none:
                        return None
                    result[name] = None
                    continue
                if field.validators or field.data_key or field.attribute:
                    return None
                result[name] = field._deserialize(value, name, data)
            elif field.required:
                return None
            elif field.load_default is not missing:
                default = field.load_default
                result[name] = default() if callable(default) else default
        return result if found == len(data) else None


def exactly_one(*names: str) -> dict[str, Any]:
    """Return, for ``Schema.together``, that one of the members is there and not null, and the others are not."""
    return {"anyOf": [given(name, without=[each for each in names if each != name]) for name in names]}


def at_most_one(first: str, second: str) -> dict[str, Any]:
    """Return, for ``Schema.together``, that one of two members is absent or null."""
    return {"anyOf": [{"properties": {name: {"type": "null"}}} for name in (first, second)]}


def given(name: str, *, without: Iterable[str] = ()) -> dict[str, Any]:
    """Return that the member is there, neither null nor empty, and those of ``without`` are absent or null."""
    there = {"not": {"type": "null"}, "minItems": 1}
    return {
        "required": [name],
        "properties": {name: there, **{each: {"type": "null"} for each in without}},
    }


class QuerySchema(Schema):
    """A query string, or the fields of a form: whole numbers and flags come as text, empty is absent."""

    from_text = True


class StrictField(fields.Field):
    """A field that takes exactly what :meth:`json_schema` says."""

    _from_text = False

    def _bind_to_schema(self, field_name: str, parent: Any) -> None:
        super()._bind_to_schema(field_name, parent)
        root = self.root
        self._from_text = bool(getattr(root, "from_text", False))

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a value, without what marshmallow's converter says by itself."""
        raise NotImplementedError

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value


class Quantity(StrictField):
    """An exact number, ``"0.5"`` or ``0.5``, loaded as ``Decimal``; by default more than zero.

    Args:
        min: The least that is taken; negative numbers are refused when left out.
        max: The most that is taken.
        allow_zero: Whether 0 is taken.
        places: The most digits after the point.
    """

    def __init__(
        self,
        *,
        min: Decimal | int | None = None,
        max: Decimal | int | None = None,
        allow_zero: bool = False,
        places: int = PLACES,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.min = Decimal(0 if min is None else min)
        self.max = MAX if max is None else Decimal(max)
        self.allow_zero = allow_zero
        self.places = places

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> Decimal:
        try:
            number = parse(value, self.places)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        if not number and not self.allow_zero:
            raise ValidationError("Must not be zero.")
        if number < self.min:
            raise ValidationError(f"Must be at least {self.min:f}." if self.min else "Must not be negative.")
        if number > self.max:
            raise ValidationError(f"Must be at most {self.max:f}.")
        return number

    def json_schema(self) -> dict[str, Any]:
        pattern = decimal_pattern(self.min, self.max, self.allow_zero, self.places)
        least = max(int(self.min), -int(MAX))
        text = {"type": "string", "pattern": pattern, "examples": ["2.50"]}
        if self._from_text:
            return text
        whole = {"type": "integer", "minimum": least or int(not self.allow_zero), "maximum": int(self.max)}
        if least < 0 and not self.allow_zero:
            whole["not"] = {"const": 0}
        return {
            "anyOf": [text, whole],
            "description": f"From {self.min:f} to {self.max:f}, at most {self.places} digits after the point; "
            "a number with a fraction is taken too.",
        }


class Amount(Quantity):
    """An amount of money, loaded as ``Decimal``; by default not negative. Arguments as in ``Quantity``."""

    def __init__(self, *, allow_zero: bool = True, **options: Any) -> None:
        super().__init__(allow_zero=allow_zero, **options)


def decimal_pattern(low: Decimal, high: Decimal, allow_zero: bool, places: int) -> str:
    """Return a pattern that numbers in the bounds match.

    It may miss some near an upper bound that is no power of ten, and take some below a lower one over 1.
    """
    signs = []
    if high > 0:
        signs += _magnitudes(high, places, from_small=low < 1)
    if low < 0:
        signs += [f"-{each}" for each in _magnitudes(-low, places, from_small=True)]
    if allow_zero and low <= 0:
        signs.append(f"0(\\.0{{1,{places}}})?" if places else "0")
    return f"^({'|'.join(signs)})$"


def _magnitudes(high: Decimal, places: int, *, from_small: bool) -> list[str]:
    """Return patterns of the positive numbers up to ``high``."""
    digits = len(str(int(high)))
    found = []
    if high == 10 ** (digits - 1):  # 1, 10, 100 …: itself, and everything with fewer digits
        found.append(str(int(high)) + (f"(\\.0{{1,{places}}})?" if places else ""))
        digits -= 1
    elif int(high) != 10**digits - 1:
        digits -= 1
    if digits:
        more = f"[0-9]{{0,{digits - 1}}}" if digits > 1 else ""
        found.append(f"[1-9]{more}" + (f"(\\.[0-9]{{1,{places}}})?" if places else ""))
    if from_small and places:
        small = (f"{'0' * zeros}[1-9][0-9]{{0,{places - zeros - 1}}}" for zeros in range(places))
        found.append(f"0\\.({'|'.join(small)})")
    return found


class Text(StrictField):
    """A text without control characters, stripped, at most ``max`` characters.

    Args:
        min: The least number of characters, after stripping.
        lines: Whether line breaks and tabs are taken.
        strip: Whether blanks at both ends are taken off.
        pattern: A regular expression that must match the whole text.
        form: What the pattern asks for, in words: ``a UUID such as …``.
    """

    def __init__(
        self,
        *,
        min: int = 0,
        max: int = 200,
        lines: bool = False,
        strip: bool = True,
        pattern: str | None = None,
        form: str = "",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.min, self.max, self.lines, self.strip = min, max, lines, strip
        self.form = form or (f"a text of the form {pattern}" if pattern else "")
        self._refused = _CONTROL_BUT_LINES if lines else _ANY_CONTROL
        self.pattern = pattern
        self._pattern = re.compile(pattern) if pattern else None

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError(f"Not {self.form}." if self.form else "Not a text.")
        if len(value) > self.max:
            raise ValidationError(f"Longer than {self.max} characters.")
        if self._refused.search(value):
            raise ValidationError("Holds a control character.")
        text = value.strip() if self.strip else value
        if len(text) < self.min:
            short = f"Shorter than {self.min} characters."
            raise ValidationError("Must not be empty." if self.min == 1 else short)
        if self._pattern is not None and not self._pattern.fullmatch(text):
            raise ValidationError(f"Not {self.form}.")
        return text

    def json_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string", "maxLength": self.max}
        if self.min:
            schema["minLength"] = self.min
        schema["pattern"] = f"^(?:{self.pattern})$" if self.pattern else self._general_pattern()
        return schema

    def _general_pattern(self) -> str:
        allowed = "[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]" if self.lines else f"[^{_CONTROL}]"
        if not self.min or not self.strip:
            return f"^{allowed}*$"
        edge = f"[^\\s{_CONTROL}]"
        inner = max(self.min - 2, 0)
        if self.min == 1:
            return f"^{edge}({allowed}*{edge})?$"
        return f"^{edge}{allowed}{{{inner},}}{edge}$"


class Email(StrictField):
    """An e-mail address, as written."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> str:
        if not isinstance(value, str) or len(value) > 254 or not _EMAIL_PATTERN.fullmatch(value.strip()):
            raise ValidationError("Not an e-mail address such as anna@example.com.")
        return value.strip()

    def json_schema(self) -> dict[str, Any]:
        example = ["anna@example.com"]
        return {"type": "string", "maxLength": 254, "pattern": f"^{_EMAIL}$", "examples": example}


class Instant(StrictField):
    """A moment, RFC 3339 with its offset, of the years 1900 to 2199; loaded in UTC."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> datetime:
        if not isinstance(value, str) or not _INSTANT_PATTERN.fullmatch(value):
            raise ValidationError(NOT_AN_INSTANT)
        return datetime.fromisoformat(value).astimezone(UTC)

    def json_schema(self) -> dict[str, Any]:
        # Without `format`, whose years reach from 1 to 9999.
        return {"type": "string", "pattern": f"^{_DAY}T{TIME}$", "examples": ["2026-01-31T14:30:00Z"]}


class Day(StrictField):
    """A date, ``2026-01-31``, of the years 1900 to 2199."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> date:
        if not isinstance(value, str) or not _DAY_PATTERN.fullmatch(value):
            raise ValidationError("Not a date, YYYY-MM-DD, such as 2026-01-31.")
        return date.fromisoformat(value)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_DAY}$", "examples": ["2026-01-31"]}


class Whole(StrictField):
    """A whole number from ``min`` to ``max``; a flag, a text or 1.5 is none."""

    def __init__(self, *, min: int = 0, max: int = 2**31 - 1, **options: Any) -> None:
        super().__init__(**options)
        self.min, self.max = min, max

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> int:
        if self._from_text and isinstance(value, str) and _DIGITS.fullmatch(value):
            value = int(value)
        elif isinstance(value, Decimal) and value.adjusted() < 19 and value == int(value):
            value = int(value)  # JSON Schema calls 1.0 an integer too
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError("Not a whole number such as 12.")
        if not self.min <= value <= self.max:
            raise ValidationError(f"Must be from {self.min} to {self.max}.")
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.min, "maximum": self.max}


class Key(Whole):
    """The id of something: a positive whole number of 63 bits."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min=1, max=MAX_KEY, **options)


class Flag(StrictField):
    """``true`` or ``false``; in a query also ``1`` and ``0``."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> bool:
        if self._from_text:
            value = {"true": True, "1": True, "false": False, "0": False}.get(value)
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Choice(StrictField):
    """One of a few texts."""

    def __init__(self, choices: Iterable[str], **options: Any) -> None:
        super().__init__(**options)
        self.choices = tuple(choices)

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise ValidationError(f"Must be one of {', '.join(self.choices)}.")
        return value

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.choices)}


class Ordering(Choice):
    """A column's name, ``-`` before it for descending. The first is the default, unless one is said."""

    def __init__(self, *columns: str, default: str | None = "-id", **options: Any) -> None:
        self.columns = tuple(dict.fromkeys((*columns, "id")))
        choices = [sign + column for column in self.columns for sign in ("", "-")]
        super().__init__(choices, load_default=default, **options)


class Attributes(StrictField):
    """A flat object of a few named values: texts, whole numbers, flags or null; a fraction becomes a text."""

    def __init__(self, *, max: int = 50, **options: Any) -> None:
        super().__init__(**options)
        self.max = max

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValidationError("Not an object, {…}.")
        if len(value) > self.max:
            raise ValidationError(f"More than {self.max} entries.")
        return {self._name(name): self._value(name, each) for name, each in value.items()}

    def _name(self, name: str) -> str:
        if not 0 < len(name) <= 60 or _ANY_CONTROL.search(name):
            raise ValidationError("A name has 1 to 60 characters, none of them a control character.")
        return name

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and len(value) <= 500 and not _ANY_CONTROL.search(value):
            return value
        if isinstance(value, Decimal) and abs(value.adjusted()) < 20:
            return f"{value:f}"[:60]
        if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) <= MAX_KEY):
            return value
        raise ValidationError({name: ["Not a text of up to 500 characters, a whole number, a flag or null."]})

    def json_schema(self) -> dict[str, Any]:
        text = {"type": "string", "maxLength": 500, "pattern": f"^[^{_CONTROL}]*$"}
        whole = {"type": "integer", "minimum": -MAX_KEY, "maximum": MAX_KEY}
        return {
            "type": "object",
            "maxProperties": self.max,
            "propertyNames": {"minLength": 1, "maxLength": 60, "pattern": f"^[^{_CONTROL}]*$"},
            "additionalProperties": {"anyOf": [text, whole, {"type": "boolean"}, {"type": "null"}]},
        }


class Nested(fields.Nested):
    """An object with a schema of its own."""


class ListOf(fields.List):
    """A list of ``min`` to ``max`` entries.

    The length is looked at before the entries, so that a list of a million is refused at once.
    """

    def __init__(self, inner: Any, *, min: int = 0, max: int = 1000, **options: Any) -> None:
        super().__init__(inner, **options)
        self.min, self.max = min, max

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValidationError("Not a list, […].")
        if not self.min <= len(value) <= self.max:
            raise ValidationError(f"Must have {self.min} to {self.max} entries.")
        return super()._deserialize(value, attr, data, **kwargs)

    def json_schema(self) -> dict[str, Any]:
        """Return what marshmallow's converter does not know."""
        return {"minItems": self.min, "maxItems": self.max}


class CountQuery(QuerySchema):
    """The query of a list that is one page whatever there is; ``count`` asks for how many there are in all."""

    count = Flag(load_default=False)


class ListQuery(CountQuery):
    """The query of a list; subclass it for filters, and give ``ordering`` its columns."""

    limit = Whole(min=1, max=MAX_LIMIT, load_default=DEFAULT_LIMIT)
    cursor = Text(max=1000, min=1, load_default=None)
    search = Text(max=200, load_default="")
    ordering = Ordering()
