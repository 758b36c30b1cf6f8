"""Bodies, queries and answers of the routes about batches of devices, exceptions and devices' numbers."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, validates_schema

from tillhook.http import (
    Amount,
    Answer,
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
    out,
)
from tillhook.sales.answers import SaleOut
from tillhook.sales.commands import MAX_NUMBER
from tillhook.sales.exceptions.states import STATES
from tillhook.sales.schemas import MAX_LINES, TenderIn


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
    status = Choice(list(STATES))
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


class Ranges(out.Field):
    """Ascending ranges of whole numbers, first and last of each."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}}


class SaleExceptionOut(Answer):
    """A refused sale; ``sale_id`` is the document that came of it."""

    id = out.Key()
    external_id = out.Text(allow_none=True)
    channel = out.Text()
    source_device = out.Text()
    seller = out.Key("seller_id", allow_none=True)
    warehouse = out.Key("warehouse_id", allow_none=True)
    code = out.Text()
    detail = out.Text()
    payload = out.Json(type="object")
    attempts = out.Count()
    status = out.Text(choices=STATES)
    sale_id = out.Key(allow_none=True)
    resolution = out.Text()
    resolved_by = out.Key(allow_none=True)
    resolved_at = out.Moment(allow_none=True)
    created_at = out.Moment()
    last_seen_at = out.Moment()


class AcceptedOut(SaleExceptionOut):
    """An accepted one, with the sale that came of it."""

    sale = out.One(SaleOut)


class DeviceOut(Answer):
    """A device that counts its sales, and what is missing of them."""

    id = out.Key()
    name = out.Text()
    last_number = out.Count()
    missing = Ranges()
    warehouse = out.Key("warehouse_id", allow_none=True)
    seller = out.Key("seller_id", allow_none=True)
    last_seen_at = out.Moment()


class SyncResultOut(Answer):
    """What became of one sale; ``error`` is a problem document."""

    external_id = out.Json(allow_none=True)
    status = out.Text(choices=("created", "duplicate", "rejected"))
    sale = out.One(SaleOut, optional=True)
    error = out.Json(type="object", optional=True)


class MissingOut(Answer):
    """A device of the batch: its highest number that came, and those below it that did not."""

    source_device = out.Text("name")
    last_number = out.Count()
    ranges = Ranges()


class ReusedOut(Answer):
    """A new sale with the running number of an earlier one; both are posted."""

    source_device = out.Text()
    number = out.Count("device_number")
    sale_id = out.Key()
    same_as = out.Key()


class SyncOut(Answer):
    """The outcomes in the order sent, and what the server knows of the devices' running numbers."""

    results = out.Many(SyncResultOut)
    missing = out.Many(MissingOut)
    reused = out.Many(ReusedOut)
