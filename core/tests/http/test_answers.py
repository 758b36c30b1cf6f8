"""An answer's fields are written once: the dict that is sent, and what OpenAPI says of it."""

from collections import OrderedDict
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from tillhook.hooks import PUBLIC
from tillhook.http import Answer, Routes, out, page_of
from tillhook.quantities import MAX_UNITS, format_money, format_quantity, from_units
from tillhook.server import openapi

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class LineOut(Answer):
    """A line."""

    product = out.Key("product_id")
    quantity = out.Qty()
    total = out.Money(source=lambda line: line["price"] * line["quantity"])


class NoteOut(Answer):
    text = out.Text()


class OrderOut(Answer):
    """An order."""

    id = out.Key()
    kind = out.Text(choices=("order", "offer"))
    customer = out.Text(allow_none=True)
    price = out.Money()
    rebate = out.Money(allow_none=True)
    due_on = out.Date()
    placed_at = out.Moment()
    sent_at = out.Moment(allow_none=True)
    is_open = out.Flag()
    pages = out.Count()
    tags = out.Many(out.Text())
    weights = out.Many(out.Qty(allow_none=True))
    attributes = out.Json(type="object")
    note = out.One(NoteOut, allow_none=True)
    lines = out.Many(LineOut)
    warehouse_name = out.Text()
    margin = out.Money(optional=True, allow_none=True)


class RowOut(Answer):
    units = True
    price = out.Money()
    quantity = out.Qty(allow_none=True)


def _order(**changes: Any) -> SimpleNamespace:
    values: dict[str, Any] = {
        "id": 7,
        "kind": "order",
        "customer": None,
        "price": Decimal("12.5000"),
        "rebate": Decimal("-0.125"),
        "due_on": date(2026, 1, 3),
        "placed_at": MOMENT,
        "sent_at": None,
        "is_open": 1,
        "pages": 2,
        "tags": ("a", "b"),
        "weights": (Decimal("1.50"), None),
        "attributes": {"size": 2},
        "note": SimpleNamespace(text="Soon."),
        "lines": [{"product_id": 3, "quantity": Decimal(2), "price": Decimal("1.5")}],
        "margin": Decimal(3),
    }
    return SimpleNamespace(**values | changes)


SHOWN = {
    "id": 7,
    "kind": "order",
    "customer": None,
    "price": "12.50",
    "rebate": "-0.125",
    "due_on": "2026-01-03",
    "placed_at": "2026-01-02T03:04:05.000000Z",
    "sent_at": None,
    "is_open": True,
    "pages": 2,
    "tags": ["a", "b"],
    "weights": ["1.5", None],
    "attributes": {"size": 2},
    "note": {"text": "Soon."},
    "lines": [{"product": 3, "quantity": "2", "total": "3.00"}],
    "warehouse_name": "Main",
}


def test_an_object_is_shown_field_by_field() -> None:
    shown = OrderOut.of(_order(), warehouse_name="Main")
    assert shown == SHOWN
    assert list(shown) == list(SHOWN)
    assert shown["is_open"] is True


def test_a_mapping_is_shown_by_its_keys() -> None:
    values = vars(_order())
    for mapping in (values, OrderedDict(values)):
        assert OrderOut.of(mapping, warehouse_name="Main") == SHOWN


def test_what_is_given_comes_before_what_the_thing_has() -> None:
    shown = OrderOut.of(_order(), warehouse_name="East", price=Decimal(1), lines=[{"product": 9}], note=None)
    assert (shown["price"], shown["lines"], shown["note"]) == ("1.00", [{"product": 9}], None)
    assert list(shown) == list(SHOWN)
    assert NoteOut.of(None, text="All given.") == {"text": "All given."}


def test_an_optional_value_is_shown_only_when_given() -> None:
    assert "margin" not in OrderOut.of(_order(), warehouse_name="Main")
    assert OrderOut.of(_order(), warehouse_name="Main", margin=Decimal(2))["margin"] == "2.00"
    assert OrderOut.of(_order(), warehouse_name="Main", margin=None)["margin"] is None


def test_what_is_missing_or_unknown_is_an_error() -> None:
    with pytest.raises(AttributeError, match="warehouse_name"):
        OrderOut.of(_order())
    with pytest.raises(KeyError, match="text"):
        NoteOut.of({})
    with pytest.raises(TypeError, match="NoteOut has no field txt"):
        NoteOut.of(None, txt="")


@pytest.mark.parametrize("units", [0, 1, -1, 99, 100, 5_000, 10_000, -12_500, 120_000, 123_456, -MAX_UNITS, MAX_UNITS])
def test_units_are_shown_as_their_decimals_are(units: int) -> None:
    value = from_units(units)
    assert RowOut.of({"price": units, "quantity": units}) == {
        "price": format_money(value),
        "quantity": format_quantity(value),
    }


def test_a_subclass_adds_fields() -> None:
    class LongNoteOut(NoteOut):
        length = out.Count(lambda note: len(note.text))

    assert LongNoteOut.of(SimpleNamespace(text="four")) == {"text": "four", "length": 4}


def test_moments_and_days_as_either_driver_gives_them() -> None:
    class TimesOut(Answer):
        at = out.Moment()
        on = out.Date()

    shown = {"at": "2026-01-02T03:04:05.000000Z", "on": "2026-01-03"}
    assert TimesOut.of({"at": "2026-01-02T03:04:05.000000Z", "on": "2026-01-03"}) == shown
    assert TimesOut.of({"at": "2026-01-02T04:04:05+01:00", "on": date(2026, 1, 3)}) == shown


def test_openapi_says_what_is_sent() -> None:
    routes = Routes()
    routes.get("/orders", permission=PUBLIC, answer=page_of(OrderOut))(list)
    components = openapi.Document(routes.all()).to_dict()["components"]["schemas"]
    by_name = {name.rpartition(".")[2]: (name, schema) for name, schema in components.items()}
    assert {"OrderOut", "OrderPage", "LineOut", "NoteOut"} <= set(by_name)

    _, order = by_name["OrderOut"]
    said = order["properties"]
    assert set(order["required"]) == set(said) - {"margin"} == set(SHOWN)
    assert said["id"] == {"type": "integer"}
    assert said["kind"] == {"type": "string", "enum": ["order", "offer"]}
    assert said["price"]["type"] == "string"
    assert {"type": "null"} in said["rebate"]["anyOf"]
    assert said["placed_at"] == {"type": "string", "format": "date-time"}
    assert said["sent_at"] == {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
    assert said["due_on"] == {"type": "string", "format": "date"}
    assert said["attributes"] == {"type": "object"}

    page = {"$ref": f"#/components/schemas/{by_name['OrderPage'][0]}", "components": {"schemas": components}}
    answer = {"items": [SHOWN, SHOWN | {"note": None, "margin": "1.00"}], "next_cursor": None, "count": 2}
    validator = Draft202012Validator(page)
    assert [error.message for error in validator.iter_errors(answer)] == []
    wrong = answer | {"items": [SHOWN | {"price": 12.5}, SHOWN | {"surplus": 1}, {"id": 1}]}
    assert not validator.is_valid(wrong)


def test_a_page_is_made_once() -> None:
    assert page_of(NoteOut) is page_of(NoteOut)
