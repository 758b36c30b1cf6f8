"""Bodies, queries and answers of the routes about batches of devices, exceptions and devices' numbers."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, validates_schema

from tillhook.http import (
    Amount,
    Answer,
    Choice,
    Day,
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
    given,
    out,
)
from tillhook.sales.answers import SaleOut, WarningOut
from tillhook.sales.commands import MAX_NUMBER
from tillhook.sales.exceptions.states import STATES, UNSETTLED
from tillhook.sales.schemas import MAX_LINES, TenderIn

#: The most exceptions that one call settles.
MAX_SETTLED = 200
#: What says which exceptions to settle.
_WHICH = ("ids", "code", "seller", "source_device", "warehouse", "status", "date_from", "date_to")


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
    #: Members of the body that are to be passed over, such as one that cannot be read.
    ignore = ListOf(Text(min=1, max=120), max=50, load_default=list)

    @validates_schema
    def one_payment(self, data: Mapping[str, Any], **_: Any) -> None:
        if "payments" in data and "payment_method" in data:
            raise ValidationError("Not together with payments.", "payment_method")


class DiscardIn(Schema):
    """Why a refused sale is not taken."""

    reason = Text(min=1, max=500, required=True)


class SettleManyIn(Schema):
    """Which exceptions to settle, by their keys or by what they have in common, and why.

    Open ones, unless ``status`` or ``ids`` say otherwise. ``after`` goes on where the call before stopped.
    """

    together = ({"anyOf": [given(name) for name in _WHICH]},)

    reason = Text(min=1, max=500, required=True)
    ids = ListOf(Key(), min=1, max=MAX_SETTLED)
    code = Text(min=1, max=80)
    seller = Key()
    source_device = Text(min=1, max=128)
    warehouse = Key()
    status = Choice(list(UNSETTLED))
    date_from = Day()
    date_to = Day()
    after = Key()
    limit = Whole(min=1, max=MAX_SETTLED, load_default=MAX_SETTLED)

    @validates_schema
    def something(self, data: Mapping[str, Any], **_: Any) -> None:
        if not any(name in data for name in _WHICH):
            raise ValidationError(f"Say which: {', '.join(_WHICH)}.", "ids")


class ExceptionQuery(ListQuery):
    status = Choice(list(STATES))
    source_device = Text(min=1, max=128)
    seller = Key()
    code = Text(min=1, max=80)
    warehouse = Key()
    date_from = Day()
    date_to = Day()
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


class SettledOut(Answer):
    """What became of one of many; ``error`` is a problem document, and says why it is as it was, or is not there."""

    id = out.Key()
    status = out.Text(choices=(*STATES, "unknown"))
    sale_id = out.Key(allow_none=True)
    error = out.Json(type="object", optional=True)


class SettledManyOut(Answer):
    """Each on its own, by their keys; ``next_after`` is the last one's key when more match."""

    results = out.Many(SettledOut)
    next_after = out.Key(allow_none=True)


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
    """What became of one sale; ``error`` is a problem document, ``warnings`` say what was sent and not used."""

    external_id = out.Json(allow_none=True)
    status = out.Text(choices=("created", "duplicate", "rejected"))
    warnings = out.Many(WarningOut)
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
