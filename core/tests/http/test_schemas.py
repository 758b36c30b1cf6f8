"""What each field takes, and that its JSON Schema says the same."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from tillhook.http import (
    Amount,
    Attributes,
    Choice,
    Day,
    Email,
    Flag,
    Instant,
    Key,
    ListOf,
    Quantity,
    QuerySchema,
    Schema,
    Text,
    Whole,
)


def load(field: Any, value: Any, base: type[Schema] = Schema) -> Any:
    return base.from_dict({"it": field})().load({"it": value})["it"]


GOOD = [
    (Amount(), "12.50", Decimal("12.50")),
    (Amount(), 0, Decimal(0)),
    (Amount(), Decimal("0.1"), Decimal("0.1")),
    (Quantity(), "0.5", Decimal("0.5")),
    (Quantity(min=-5), "-5", Decimal(-5)),
    (Text(), "  x ", "x"),
    (Text(lines=True), "a\nb", "a\nb"),
    (Email(), "a.b@test.com", "a.b@test.com"),
    (Instant(), "2026-01-31T14:30:00+02:00", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
    (Instant(), "2024-02-29T00:00:00.123Z", datetime(2024, 2, 29, 0, 0, 0, 123000, tzinfo=UTC)),
    (Day(), "2027-12-31", date(2027, 12, 31)),
    (Key(), 2**63 - 1, 2**63 - 1),
    (Key(), Decimal("1.0"), 1),
    (Flag(), False, False),
    (Choice(["a", "b"]), "b", "b"),
    (Attributes(), {"size": "L", "n": 1, "w": Decimal("1.50")}, {"size": "L", "n": 1, "w": "1.50"}),
    (ListOf(Key()), [1, 2], [1, 2]),
]
BAD = [
    *[(Amount(), bad) for bad in ("-1", "1_000", "١٢", "1e3", "", " 1", "1.23456", True, None, 1.5, "NaN", [])],
    *[(Amount(), bad) for bad in (10**30, "1" * 30, Decimal("Infinity"), "1\n", "+1", ".5", "5.", "01")],
    *[(Quantity(), bad) for bad in (0, "0.0000", "-0", Decimal("1E-5"), Decimal("1E+400"))],
    (Quantity(max=100), "100.01"),
    (Quantity(places=2), "1.005"),
    *[(Text(min=1, max=3), bad) for bad in ("", "  ", "abcd", 1, None, ["a"], "a\nb", "a\x7f", "\x85")],
    *[(Email(), bad) for bad in ("x", "a@b", "a@b.c\n@", "a b@c.de", "a@@b.de", 1, "ä@b.de", "a" * 260 + "@b.de")],
    *[(Instant(), bad) for bad in ("2026-01-31T14:30:00", "2026-01-31", "2026-02-30T00:00:00Z", 1, None)],
    *[(Instant(), bad) for bad in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "2026-01-31T24:00:00Z")],
    *[(Instant(), bad) for bad in ("2026-W05-6T00:00:00Z", "20260131T000000Z", "٢026-01-31T14:30:00Z")],
    *[(Day(), bad) for bad in ("2026-02-29", "20260131", "2026-1-1", "2026-01-31T00:00:00Z", 20260131)],
    *[(Key(), bad) for bad in (True, "1", 1.0, Decimal("1.5"), Decimal("1E+30"), 0, -1, 2**63, None)],
    *[(Flag(), bad) for bad in (0, 1, "true", None)],
    (Choice(["a"]), "A"),
    (Choice(["a"]), ["a"]),
    *[(Attributes(), bad) for bad in ([], {"a": {}}, {"": 1}, {"a": []}, {"a": "\x00"}, {"a": 2**64})],
    (Attributes(), {"a": Decimal("1E+999999")}),
    (Attributes(max=1), {"a": 1, "b": 2}),
    (ListOf(Key(), max=1), [1, 2]),
    (ListOf(Key(), min=1), []),
    (ListOf(Key()), "12"),
]


@pytest.mark.parametrize(("field", "value", "expected"), GOOD)
def test_good(field: Any, value: Any, expected: Any) -> None:
    assert load(field, value) == expected


@pytest.mark.parametrize(("field", "value"), BAD)
def test_bad(field: Any, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        load(field, value)
    assert list(caught.value.messages) == ["it"]


def test_a_query_holds_texts() -> None:
    assert load(Key(), "12", QuerySchema) == 12
    assert load(Whole(max=5), "0", QuerySchema) == 0
    assert load(Flag(), "true", QuerySchema) is True
    for bad in ("٣", "1.0", "+1", "1_0", "9" * 30, " 1"):
        with pytest.raises(ValidationError):
            load(Key(), bad, QuerySchema)
    with pytest.raises(ValidationError):
        load(Flag(), "yes", QuerySchema)


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError, match="Unknown field"):
        Schema.from_dict({"it": Key()})().load({"it": 1, "is_admin": True})


_FIELDS = [
    *[Amount(), Amount(max=100), Amount(max=1, min=0), Quantity(), Quantity(min=-10), Quantity(places=0)],
    *[Quantity(max=250), Quantity(places=2, max=1000), Amount(min=-50, allow_zero=True)],
    *[
        Text(),
        Text(min=1),
        Text(min=3, max=8),
        Text(lines=True),
        Text(pattern="[A-Z]{3}"),
        Email(),
        Instant(),
        Day(),
    ],
]


def _text_schema(field: Any) -> dict[str, Any]:
    schema = field.json_schema()
    return schema if "pattern" in schema else schema["anyOf"][0]


@pytest.mark.parametrize("field", _FIELDS, ids=lambda field: repr(field.json_schema())[:80])
def test_whatever_the_pattern_allows_is_taken(field: Any) -> None:
    schema = _text_schema(field)
    longest = schema.get("maxLength", 1000)

    @settings(max_examples=150, deadline=None)
    @given(st.from_regex(re.compile(schema["pattern"]), fullmatch=True))
    def check(value: str) -> None:
        # `$` of JSON Schema is the very end; Python's also comes before a last line break.
        if len(value) <= longest and not value.endswith("\n"):
            load(field, value)

    check()


@pytest.mark.parametrize("field", _FIELDS[:9], ids=lambda field: repr(field.json_schema())[:80])
def test_whole_numbers_within_the_bounds_are_taken(field: Any) -> None:
    whole = field.json_schema()["anyOf"][1]
    for value in {whole["minimum"], whole["maximum"], (whole["minimum"] + whole["maximum"]) // 2} - {0}:
        assert load(field, value) == value
    for value in (whole["minimum"] - 1, whole["maximum"] + 1):
        with pytest.raises(ValidationError):
            load(field, value)
