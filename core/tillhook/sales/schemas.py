"""Bodies, queries and answers of the sales routes."""

import uuid
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema
from marshmallow.validate import OneOf

from tillhook.catalogue.schemas import InlineProductIn
from tillhook.http import (
    Amount,
    Attributes,
    Choice,
    Day,
    Flag,
    Instant,
    Key,
    ListOf,
    ListQuery,
    Nested,
    Ordering,
    Quantity,
    QuerySchema,
    Schema,
    Text,
)
from tillhook.quantities import ZERO
from tillhook.sales.commands import ReturnCommand, ReturnItem, SaleCommand, SaleItem, Tender

#: The most sales that one ``/sales/sync`` takes.
MAX_SYNC = 5_000
#: The most lines of one document; a wholesaler's invoice may well have more than 500.
MAX_LINES = 1_000
_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


class ExternalId(Text):
    """A UUID, in lower case."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max=36, pattern=_UUID, **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        return str(uuid.UUID(super()._deserialize(value, attr, data, **kwargs)))


class SaleItemIn(Schema):
    product_id = Key(load_default=None)
    product_data = Nested(InlineProductIn, load_default=None)
    variant_id = Key(allow_none=True, load_default=None)
    quantity = Quantity(required=True)
    unit_price = Amount(allow_none=True, load_default=None)
    discount_per_item = Amount(load_default=ZERO)
    batch_number = Text(min=1, max=80, allow_none=True, load_default=None)
    expiry_date = Day(allow_none=True, load_default=None)

    @validates_schema
    def one_product(self, data: Mapping[str, Any], **_: Any) -> None:
        if (data["product_id"] is None) == (data["product_data"] is None):
            raise ValidationError("Give either product_id or product_data.", "product_id")
        if data["product_data"] is not None and data["variant_id"] is not None:
            raise ValidationError("Not together with product_data.", "variant_id")

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> SaleItem:
        return SaleItem(**data)


class TenderIn(Schema):
    method = Text(min=1, max=40, required=True)
    amount = Amount(required=True)
    reference = Text(max=120, load_default="")

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> Tender:
        return Tender(**data)


class SaleIn(Schema):
    external_id = ExternalId(allow_none=True, load_default=None)
    channel = Text(min=1, max=40, load_default="pos")
    source_device = Text(min=1, max=128, load_default="web")
    device_number = Key(allow_none=True, load_default=None)
    client_timestamp = Instant(allow_none=True, load_default=None)
    warehouse = Key(allow_none=True, load_default=None)
    customer_id = Key(allow_none=True, load_default=None)
    customer_name = Text(max=200, load_default="")
    customer_phone = Text(max=40, load_default="")
    customer_email = Text(max=254, load_default="")
    payment_method = Text(min=1, max=40, allow_none=True, load_default=None)
    payment_reference = Text(max=120, load_default="")
    payments = ListOf(Nested(TenderIn), max=20, allow_none=True, load_default=None)
    discount_amount = Amount(load_default=ZERO)
    notes = Text(max=2000, lines=True, load_default="")
    items = ListOf(Nested(SaleItemIn), required=True, min=1, max=MAX_LINES)

    @post_load(pass_original=True)
    def command(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> SaleCommand:
        method, reference = data.pop("payment_method"), data.pop("payment_reference")
        # ``payments`` goes before ``payment_method``, which a client may send along as the main one.
        payments = tuple(data.pop("payments") or ())
        if not payments and (method or reference):
            payments = (Tender(method=method or "cash", reference=reference),)
        return SaleCommand(**data | {"items": tuple(data["items"])}, payments=payments, payload=original)


class AnySale(Attributes):
    """A sale in a batch: looked at one by one, so that a bad one does not refuse the others."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> Any:
        return value


class SyncIn(Schema):
    sales = ListOf(AnySale(allow_none=True), required=True, min=1, max=MAX_SYNC)


class CancelIn(Schema):
    reason = Text(min=1, max=500, required=True)


class ReturnLineIn(Schema):
    line_id = Key(required=True)
    quantity = Quantity(required=True)
    restock = Flag(load_default=True)

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> ReturnItem:
        return ReturnItem(**data)


class ReturnIn(Schema):
    external_id = ExternalId(allow_none=True, load_default=None)
    client_timestamp = Instant(allow_none=True, load_default=None)
    lines = ListOf(Nested(ReturnLineIn), required=True, min=1, max=MAX_LINES)
    reason = Text(max=500, load_default="")
    refund = Text(min=1, max=40, allow_none=True, load_default=None)

    @post_load(pass_original=True)
    def command(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> ReturnCommand:
        return ReturnCommand(**data | {"lines": tuple(data["lines"])}, payload=original)


class SaleQuery(ListQuery):
    warehouse = Key()
    channel = Text(min=1, max=40)
    payment_method = Text(min=1, max=40)
    is_cancelled = Flag()
    customer = Key()
    date_from = Day()
    date_to = Day()
    ordering = Ordering("created_at", "total_amount", "sale_date")


class AnalyticsQuery(QuerySchema):
    product_id = Key(required=True)
    start_date = Day()
    end_date = Day()
    period = Choice(["daily", "weekly", "monthly"], load_default="daily")


class ExceptionQuery(ListQuery):
    status = Choice(["open", "waiting", "accepted", "discarded"])
    ordering = Ordering("created_at")


class SaleItemOut(Schema):
    """A line; ``variant`` is null for a product that is sold without naming one."""

    id = fields.Integer()
    product = fields.Integer()
    product_name = fields.String()
    variant = fields.Integer(allow_none=True)
    variant_details = fields.String()
    quantity = fields.String()
    unit_price = fields.String()
    discount_per_item = fields.String()
    discount_share = fields.String()
    tax_rate = fields.String()
    tax_inclusive = fields.Boolean()
    tax_amount = fields.String()
    total_price = fields.String()
    batch_number = fields.String(allow_none=True)
    expiry_date = fields.String(allow_none=True)
    returned_quantity = fields.String()
    origin_line = fields.Integer(allow_none=True)
    restock = fields.Boolean(allow_none=True)
    flags = fields.List(fields.String())


class PaymentOut(Schema):
    """A tender; ``amount`` is what was handed over, ``change`` what was given back."""

    method = fields.String()
    amount = fields.String()
    change = fields.String()
    reference = fields.String()


class SaleOut(Schema):
    """A document of the journal; ``origin`` is the sale that a return or a cancellation undoes."""

    id = fields.Integer()
    kind = fields.String(validate=OneOf(["sale", "return", "cancellation"]))
    origin = fields.Integer(allow_none=True)
    external_id = fields.String(allow_none=True)
    sale_number = fields.String()
    channel = fields.String()
    seller = fields.Integer(allow_none=True)
    seller_name = fields.String()
    warehouse = fields.Integer()
    warehouse_name = fields.String()
    customer_id = fields.Integer(allow_none=True)
    customer_name = fields.String()
    customer_phone = fields.String()
    customer_email = fields.String()
    currency = fields.String()
    subtotal = fields.String()
    tax_amount = fields.String()
    discount_amount = fields.String()
    total_amount = fields.String()
    cash_rounding = fields.String()
    amount_due = fields.String()
    payment_method = fields.String(allow_none=True)
    payment_reference = fields.String()
    payments = fields.List(fields.Nested(PaymentOut))
    change_due = fields.String()
    source_device = fields.String()
    device_number = fields.Integer(allow_none=True)
    is_offline = fields.Boolean()
    clock_suspect = fields.Boolean()
    client_timestamp = fields.String(allow_none=True)
    sale_date = fields.String()
    created_at = fields.String()
    synced_at = fields.String(allow_none=True)
    notes = fields.String()
    reason = fields.String()
    is_cancelled = fields.Boolean()
    cancelled_reason = fields.String(allow_none=True)
    items = fields.List(fields.Nested(SaleItemOut))


class SalesOut(Schema):
    """A page of documents of the journal."""

    items = fields.List(fields.Nested(SaleOut))
    next_cursor = fields.String(allow_none=True)
