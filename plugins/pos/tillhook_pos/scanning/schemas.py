"""Bodies, queries and answers of the counter."""

from marshmallow import fields

from tillhook.http import Key, Quantity, QuerySchema, Schema, Text
from tillhook.sales import ExternalId


class ScanQuery(QuerySchema):
    warehouse = Key(load_default=None)


class SellIn(Schema):
    warehouse = Key(allow_none=True, load_default=None)
    quantity = Quantity(allow_none=True, load_default=None)
    payment_method = Text(min=1, max=40, load_default="cash")
    external_id = ExternalId(allow_none=True, load_default=None)


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
    """The lot that is sold first."""

    batch_number = fields.String()
    expiry_date = fields.String(allow_none=True)
    available = fields.String()


class ScanOut(Schema):
    """What a code stands for; ``kind`` is ean8, upca, ean13, gtin14, free or sku."""

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
