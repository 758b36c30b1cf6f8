"""Bodies, queries and answers of the counter."""

from typing import Any

from marshmallow import fields, post_load

from tillhook.http import Amount, Key, ListOf, Nested, Quantity, QuerySchema, Schema, Text, Whole
from tillhook.quantities import ZERO
from tillhook.sales import MAX_NUMBER, ClientInstant, ExternalId, TenderIn


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
    source_device = Text(min=1, max=128, load_default="web")
    device_number = Whole(min=1, max=MAX_NUMBER, allow_none=True, load_default=None)
    client_timestamp = ClientInstant(allow_none=True, load_default=None)

    @post_load(pass_original=True)
    def keep_body(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> dict[str, Any]:
        return data | {"payload": original}


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
    is_low_stock = fields.Boolean()
    lot = fields.Nested(LotOut, allow_none=True)
    quantity = fields.String()
    unit_price = fields.String(allow_none=True)
    total = fields.String(allow_none=True)
    is_printed_price = fields.Boolean()
    item = fields.Nested(ScannedItemOut)
    understood = fields.Nested(UnderstoodOut)
