"""Bodies, queries and answers of parked sales."""

from marshmallow import fields

from tillhook.http import Choice, Key, ListOf, ListQuery, Nested, Ordering, Schema, Text
from tillhook.sales import NO_DEVICE, SaleIn, SaleItemIn


class ParkedBody(SaleIn):
    """A sale with something to sell in it; goods that only come back are taken back at once."""

    items = ListOf(Nested(SaleItemIn), required=True, min=1)


class ParkIn(Schema):
    """A sale to put aside; ``body`` is what ``POST /api/sales`` will take."""

    label = Text(max=120, load_default="")
    warehouse = Key(allow_none=True, load_default=None)
    source_device = Text(min=1, max=128, load_default=NO_DEVICE)
    body = Nested(ParkedBody, required=True)


class DiscardIn(Schema):
    reason = Text(min=1, max=500, required=True)


class ParkedQuery(ListQuery):
    warehouse = Key()
    till = Text(min=1, max=160)
    status = Choice(["parked", "resumed", "discarded"], load_default="parked")
    ordering = Ordering("created_at", default="created_at")


class ParkedOut(Schema):
    """A parked sale; ``body`` is what POST /sales takes."""

    id = fields.Integer()
    label = fields.String()
    warehouse = fields.Integer()
    warehouse_name = fields.String()
    till = fields.String()
    seller = fields.Integer(allow_none=True)
    seller_name = fields.String()
    status = fields.String()
    reason = fields.String()
    body = fields.Dict()
    created_at = fields.String()
    ended_by = fields.Integer(allow_none=True)
    ended_at = fields.String(allow_none=True)


class ParkedListOut(Schema):
    """A page of parked sales, the oldest first unless ordered otherwise."""

    items = fields.List(fields.Nested(ParkedOut))
    next_cursor = fields.String(allow_none=True)
    count = fields.Integer()
