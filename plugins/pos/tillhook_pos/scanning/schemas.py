"""Bodies, queries and answers of the counter."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema

from tillhook.http import Amount, Key, ListOf, Nested, Quantity, QuerySchema, Schema, Text, Whole, exactly_one, given
from tillhook.quantities import ZERO
from tillhook.sales import (
    MAX_LINES,
    MAX_NUMBER,
    NO_DEVICE,
    ClientInstant,
    ExternalId,
    SaleIn,
    SaleItem,
    SaleItemIn,
    TenderIn,
)
from tillhook_pos.scanning.basket import Basket, ScannedItem

#: Element strings with what they say of a pallet are longer than any barcode of a shop.
_MAX_CODE = 400


class Code(Text):
    """What the scanner read, in which GS may separate fields."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min=1, max=_MAX_CODE, strip=False, **options)
        self._refused = re.compile(r"[\x00-\x1c\x1e\x1f\x7f-\x9f]")

    def _general_pattern(self) -> str:
        return "^[^\\x00-\\x1c\\x1e\\x1f\\x7f-\\x9f]*$"


class ScanQuery(QuerySchema):
    warehouse = Key(load_default=None)


class SellIn(Schema):
    warehouse = Key(allow_none=True, load_default=None)
    quantity = Quantity(allow_none=True, load_default=None)
    unit_price = Amount(allow_none=True, load_default=None)
    discount_per_item = Amount(load_default=ZERO)
    discount_amount = Amount(load_default=ZERO)
    payment_method = Text(min=1, max=40, load_default="cash")
    payments = ListOf(Nested(TenderIn), max=20, allow_none=True, load_default=None)
    customer_id = Key(allow_none=True, load_default=None)
    customer_name = Text(max=200, load_default="")
    customer_phone = Text(max=40, load_default="")
    customer_email = Text(max=254, load_default="")
    notes = Text(max=2000, lines=True, load_default="")
    external_id = ExternalId(allow_none=True, load_default=None)
    source_device = Text(min=1, max=128, load_default=NO_DEVICE)
    device_number = Whole(min=1, max=MAX_NUMBER, allow_none=True, load_default=None)
    client_timestamp = ClientInstant(allow_none=True, load_default=None)

    @post_load(pass_original=True)
    def keep_body(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> dict[str, Any]:
        return data | {"payload": original}


class BasketItemIn(SaleItemIn):
    """A line by its ``code`` as scanned, or as in a sale.

    By code ``quantity`` counts packages of what the code stands for, and may be left out: one, or what the label says.
    """

    together = (
        exactly_one("code", "product_id", "product_data"),
        {"anyOf": [given("product_id"), {"properties": {"variant_id": {"type": "null"}}}]},
        {"anyOf": [given("code"), given("quantity")]},
    )

    class Meta(SaleItemIn.Meta):
        exclude = ("product",)

    code = Code(load_default=None)
    quantity = Quantity(allow_none=True, load_default=None)

    @validates_schema
    def one_product(self, data: Mapping[str, Any], **_: Any) -> None:
        if sum(data[name] is not None for name in ("code", "product_id", "product_data")) != 1:
            raise ValidationError("Give either code, product_id or product_data.", "code")
        if data["product_id"] is None and data["variant_id"] is not None:
            raise ValidationError("Only together with product_id.", "variant_id")
        if data["code"] is None and data["quantity"] is None:
            raise ValidationError("Required, unless a code is scanned.", "quantity")

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> SaleItem | ScannedItem:
        if data["code"] is None:
            return SaleItem(**{name: value for name, value in data.items() if name != "code"})
        named = ("product_id", "product_data", "variant_id")
        return ScannedItem(**{name: value for name, value in data.items() if name not in named})


class BasketIn(SaleIn):
    """A sale at the counter, as ``POST /sales`` takes it but for the channel, which it is by being here."""

    class Meta(SaleIn.Meta):
        exclude = ("channel",)

    items = ListOf(Nested(BasketItemIn), load_default=list, max=MAX_LINES)

    @post_load(pass_original=True)
    def command(self, data: dict[str, Any], original: dict[str, Any], **options: Any) -> Basket:
        items = tuple(data["items"])
        return Basket(items, super().command(data | {"items": ()}, original, **options))


class ScannedProductOut(Schema):
    """The product that a code stands for."""

    id = fields.Integer()
    name = fields.String()
    sku = fields.String()
    price_mode = fields.String()
    tracking = fields.String()


class ScannedVariantOut(Schema):
    """The variant that a code stands for."""

    id = fields.Integer()
    name = fields.String()


class LotOut(Schema):
    """The lot that the code says, else the one that is sold first."""

    batch_number = fields.String()
    expiry_date = fields.String(allow_none=True)
    available = fields.String()
    expired = fields.String()
    is_expired = fields.Boolean()


class ElementOut(Schema):
    """An element string of GS1."""

    ai = fields.String()
    title = fields.String()
    value = fields.String()


class UnderstoodOut(Schema):
    """What the code says by itself; what it does not say is left out."""

    code = fields.String()
    kind = fields.String()
    pattern = fields.String()
    gtin = fields.String()
    item = fields.String()
    price = fields.String()
    currency = fields.String()
    quantity = fields.String()
    count = fields.Integer()
    batch_number = fields.String()
    expiry_date = fields.String()
    best_before = fields.String()
    serial = fields.String()
    sscc = fields.String()
    elements = fields.List(fields.Nested(ElementOut))


class ScannedItemOut(Schema):
    """The line, as the body of a sale takes it."""

    product_id = fields.Integer()
    variant_id = fields.Integer()
    quantity = fields.String()
    unit_price = fields.String()
    batch_number = fields.String()
    expiry_date = fields.String()


class ScanOut(Schema):
    """What a code stands for; ``kind`` is ean8, upca, upce, ean13, gtin14, free, sku, embedded or gs1."""

    code = fields.String()
    kind = fields.String()
    product = fields.Nested(ScannedProductOut)
    variant = fields.Nested(ScannedVariantOut, allow_none=True)
    price = fields.String(allow_none=True)
    pack_quantity = fields.String()
    pack_price = fields.String(allow_none=True)
    warehouse = fields.Integer()
    stock = fields.String(allow_none=True)
    expired = fields.String(allow_none=True)
    is_low_stock = fields.Boolean()
    lot = fields.Nested(LotOut, allow_none=True)
    quantity = fields.String()
    unit_price = fields.String(allow_none=True)
    total = fields.String(allow_none=True)
    is_printed_price = fields.Boolean()
    item = fields.Nested(ScannedItemOut)
    understood = fields.Nested(UnderstoodOut)
