"""Bodies, queries and answers of till sessions."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields

from tillhook.http import (
    Amount,
    Answer,
    Attributes,
    Choice,
    Day,
    Flag,
    Key,
    ListQuery,
    Ordering,
    QuerySchema,
    Schema,
    Text,
    out,
)
from tillhook.quantities import parse

#: More of one denomination has nobody counted.
_MAX_PIECES = 10_000_000
_DENOMINATION = r"^([1-9][0-9]{0,10}(\.[0-9]{1,4})?|0\.([1-9][0-9]{0,3}|0[1-9][0-9]{0,2}|00[1-9][0-9]?|000[1-9]))$"
#: A till's name is what its sales carry in ``source_device``.
_MAX_NAME = 128


class Counts(Attributes):
    """Pieces by denomination, ``{"50": 2, "0.05": 10}``, loaded with denominations as ``Decimal``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max=60, **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise ValidationError("Not an object.")
        if len(value) > self.max:
            raise ValidationError(f"More than {self.max} entries.")
        counts: dict[Decimal, int] = {}
        for name, pieces in value.items():
            denomination = _denomination(name)
            if denomination in counts:
                raise ValidationError({name: ["This denomination is there twice."]})
            counts[denomination] = _pieces(name, pieces)
        return counts

    def json_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "maxProperties": self.max,
            "propertyNames": {"maxLength": 40, "pattern": _DENOMINATION},
            "additionalProperties": {"type": "integer", "minimum": 0, "maximum": _MAX_PIECES},
        }


def _denomination(name: str) -> Decimal:
    try:
        denomination = parse(name)
    except ValueError as error:
        raise ValidationError({name[:60]: [str(error)]}) from None
    if denomination <= 0:
        raise ValidationError({name: ["A denomination is more than zero."]})
    return denomination


def _pieces(name: str, value: Any) -> int:
    if isinstance(value, Decimal) and value.adjusted() < 19 and value == int(value):
        value = int(value)  # JSON Schema calls 1.0 an integer too
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValidationError({name: ["Not a whole number."]})
    if not 0 <= value <= _MAX_PIECES:
        raise ValidationError({name: [f"Must be from 0 to {_MAX_PIECES}."]})
    return value


class OpenIn(Schema):
    till = Text(min=1, max=_MAX_NAME, allow_none=True, load_default=None)
    warehouse = Key(allow_none=True, load_default=None)
    opening_float = Amount(load_default=Decimal(0))
    notes = Text(max=1000, lines=True, load_default="")


class CashIn(Schema):
    direction = Choice(("in", "out"), required=True)
    amount = Amount(allow_zero=False, required=True)
    reason = Text(min=1, max=200, required=True)


class CloseIn(Schema):
    counted_cash = Amount(allow_none=True, load_default=None)
    counts = Counts(allow_none=True, load_default=None)
    blind = Flag(allow_none=True, load_default=None)
    notes = Text(max=1000, lines=True, load_default="")


class SessionQuery(ListQuery):
    till = Text(min=1, max=_MAX_NAME)
    warehouse = Key()
    status = Choice(("open", "closed"))
    date_from = Day()
    date_to = Day()
    ordering = Ordering("opened_at", "closed_at")


class ReportQuery(QuerySchema):
    format = Choice(("json", "text"), load_default="json")


class SessionOut(Schema):
    """A till session; what was expected and counted is ``null`` until it is closed."""

    id = fields.Integer()
    till = fields.String()
    warehouse = fields.Integer()
    warehouse_name = fields.String()
    status = fields.String()
    opened_by = fields.Integer(allow_none=True)
    opened_by_name = fields.String()
    opened_at = fields.String()
    opening_float = fields.String()
    closed_by = fields.Integer(allow_none=True)
    closed_by_name = fields.String(allow_none=True)
    closed_at = fields.String(allow_none=True)
    expected_cash = fields.String(allow_none=True)
    counted_cash = fields.String(allow_none=True)
    over_short = fields.String(allow_none=True)
    counts = fields.Dict(allow_none=True)
    z_number = fields.Integer(allow_none=True)
    notes = fields.String()


class SessionsOut(Schema):
    items = fields.List(fields.Nested(SessionOut))
    next_cursor = fields.String(allow_none=True)
    count = fields.Integer()


class CashOut(Schema):
    """Cash that was put into a drawer or taken out of it."""

    id = fields.Integer()
    session = fields.Integer()
    direction = fields.String()
    amount = fields.String()
    reason = fields.String()
    created_by = fields.Integer(allow_none=True)
    created_at = fields.String()


class ReportOut(Answer):
    """An X or a Z report; without the right to see what must be in the drawer, its amounts are ``null``."""

    kind = out.Text(choices=("X", "Z"))
    number = out.Count(allow_none=True)
    session = out.Key()
    till = out.Text()
    warehouse = out.Key()
    warehouse_name = out.Text()
    firm = out.Json(type="object")
    currency = out.Text()
    currency_places = out.Count()
    timezone = out.Text()
    opened_by = out.Key(allow_none=True)
    opened_by_name = out.Text()
    opened_at = out.Moment()
    closed_by = out.Key(allow_none=True)
    closed_by_name = out.Text(allow_none=True)
    closed_at = out.Moment(allow_none=True)
    notes = out.Text()
    opening_float = out.Text()
    cash_in = out.Json(type="object")
    cash_out = out.Json(type="object")
    sales = out.Json(type="object")
    returns = out.Json(type="object")
    exchanges = out.Json(type="object")
    cancellations = out.Json(type="object")
    net_total = out.Text(allow_none=True)
    tax_total = out.Text(allow_none=True)
    first_sale_number = out.Text(allow_none=True)
    last_sale_number = out.Text(allow_none=True)
    tenders = out.Json(type="array")
    taxes = out.Json(type="array")
    categories = out.Json(type="array")
    sellers = out.Json(type="array")
    discounts = out.Json(type="object")
    cash_rounding = out.Text(allow_none=True)
    expected_cash = out.Text(allow_none=True)
    counted_cash = out.Text(allow_none=True)
    over_short = out.Text(allow_none=True)
    counts = out.Json(allow_none=True)
    is_blind = out.Flag()
    parked_sales = out.Count()
    refused_sales = out.Count()
    late = out.Json(type="object")
    other_currencies = out.Json(type="array")
