"""Bodies, queries and answers of the routes about refused sales and devices' numbers."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import OneOf

from tillhook.http import (
    Amount,
    Choice,
    Instant,
    Key,
    ListOf,
    ListQuery,
    Nested,
    Ordering,
    Quantity,
    Schema,
    Text,
    Whole,
    at_most_one,
)
from tillhook.sales.commands import MAX_NUMBER
from tillhook.sales.schemas import MAX_LINES, SaleOut, TenderIn


class PriceChange(Schema):
    """The price charged for the item at ``position``, from 0."""

    position = Whole(max=MAX_LINES - 1, required=True)
    unit_price = Amount(required=True)


class ProductChange(Schema):
    """What the item at ``position``, from 0, really was."""

    position = Whole(max=MAX_LINES - 1, required=True)
    product_id = Key(required=True)
    variant_id = Key(allow_none=True, load_default=None)


class QuantityChange(Schema):
    """How much was sold of the item at ``position``, from 0."""

    position = Whole(max=MAX_LINES - 1, required=True)
    quantity = Quantity(required=True)


class AcceptIn(Schema):
    """Why a refused sale is taken, and what is to be changed of it first; what is left out stays as it was sent."""

    together = (at_most_one("payments", "payment_method"),)

    reason = Text(min=1, max=500, required=True)
    warehouse = Key()
    client_timestamp = Instant(allow_none=True)
    customer_id = Key(allow_none=True)
    customer_name = Text(max=200)
    customer_phone = Text(max=40)
    customer_email = Text(max=254)
    discount_amount = Amount()
    payment_method = Text(min=1, max=40)
    payments = ListOf(Nested(TenderIn), min=1, max=20)
    prices = ListOf(Nested(PriceChange), max=MAX_LINES, load_default=list)
    products = ListOf(Nested(ProductChange), max=MAX_LINES, load_default=list)
    quantities = ListOf(Nested(QuantityChange), max=MAX_LINES, load_default=list)
    #: Members of the body that the server does not know and that are to be passed over.
    ignore = ListOf(Text(min=1, max=120), max=50, load_default=list)

    @validates_schema
    def one_payment(self, data: Mapping[str, Any], **_: Any) -> None:
        if "payments" in data and "payment_method" in data:
            raise ValidationError("Not together with payments.", "payment_method")


class DiscardIn(Schema):
    """Why a refused sale is not taken."""

    reason = Text(min=1, max=500, required=True)


class ExceptionQuery(ListQuery):
    status = Choice(["open", "waiting", "accepted", "discarded"])
    source_device = Text(min=1, max=128)
    code = Text(min=1, max=80)
    warehouse = Key()
    ordering = Ordering("created_at", "last_seen_at")


class WriteOffIn(Schema):
    """Missing numbers, ``first`` to ``last``, that nobody is to wait for any more."""

    first = Whole(min=1, max=MAX_NUMBER, required=True)
    last = Whole(min=1, max=MAX_NUMBER, required=True)
    reason = Text(min=1, max=500, required=True)

    @validates_schema
    def in_order(self, data: Mapping[str, Any], **_: Any) -> None:
        if data["first"] > data["last"]:
            raise ValidationError("Must not be less than first.", "last")


class DeviceQuery(ListQuery):
    warehouse = Key()
    ordering = Ordering("name", "last_seen_at", default="name")


class SaleExceptionOut(Schema):
    """A refused sale. ``sale_id`` is the document that came of it, ``sale`` shows it when it has just been accepted."""

    id = fields.Integer()
    external_id = fields.String(allow_none=True)
    channel = fields.String()
    source_device = fields.String()
    seller = fields.Integer(allow_none=True)
    warehouse = fields.Integer(allow_none=True)
    code = fields.String()
    detail = fields.String()
    payload = fields.Dict()
    attempts = fields.Integer()
    status = fields.String(validate=OneOf(["open", "waiting", "accepted", "discarded"]))
    sale_id = fields.Integer(allow_none=True)
    resolution = fields.String()
    resolved_by = fields.Integer(allow_none=True)
    resolved_at = fields.String(allow_none=True)
    created_at = fields.String()
    last_seen_at = fields.String()


class AcceptedOut(SaleExceptionOut):
    """An accepted one, with the sale that came of it."""

    sale = fields.Nested(SaleOut)


class SaleExceptionsOut(Schema):
    """A page of refused sales."""

    items = fields.List(fields.Nested(SaleExceptionOut))
    next_cursor = fields.String(allow_none=True)


class DeviceOut(Schema):
    """A device that counts its sales; ``missing`` are ranges, first and last number of each."""

    id = fields.Integer()
    name = fields.String()
    last_number = fields.Integer()
    missing = fields.List(fields.List(fields.Integer()))
    warehouse = fields.Integer(allow_none=True)
    seller = fields.Integer(allow_none=True)
    last_seen_at = fields.String()


class DevicesOut(Schema):
    """A page of devices."""

    items = fields.List(fields.Nested(DeviceOut))
    next_cursor = fields.String(allow_none=True)


class SyncResultOut(Schema):
    """What became of one sale; ``error`` is a problem document."""

    external_id = fields.Raw(allow_none=True)
    status = fields.String(validate=OneOf(["created", "duplicate", "rejected"]))
    sale = fields.Nested(SaleOut)
    error = fields.Dict()


class MissingOut(Schema):
    """A device of the batch: its highest number that came, and those below it that did not."""

    source_device = fields.String()
    last_number = fields.Integer()
    ranges = fields.List(fields.List(fields.Integer()))


class ReusedOut(Schema):
    """A new sale with the running number of an earlier one, both of which are kept."""

    source_device = fields.String()
    number = fields.Integer()
    sale_id = fields.Integer()
    same_as = fields.Integer()


class SyncOut(Schema):
    """The outcomes in the order sent, and what the server knows of the devices' running numbers."""

    results = fields.List(fields.Nested(SyncResultOut))
    missing = fields.List(fields.Nested(MissingOut))
    reused = fields.List(fields.Nested(ReusedOut))
