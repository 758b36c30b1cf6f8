"""Bodies, queries and answers of till sessions."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields

from tillhook.http import Amount, Attributes, Choice, Day, Flag, Key, ListQuery, Ordering, QuerySchema, Schema, Text
from tillhook.quantities import parse

#: More of one denomination has nobody counted.
_MAX_PIECES = 10_000_000
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
            "propertyNames": {"maxLength": 40, "pattern": r"^[0-9]{1,11}(\.[0-9]{1,4})?$"},
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


class CashOut(Schema):
    """Cash that was put into a drawer or taken out of it."""

    id = fields.Integer()
    session = fields.Integer()
    direction = fields.String()
    amount = fields.String()
    reason = fields.String()
    created_by = fields.Integer(allow_none=True)
    created_at = fields.String()
