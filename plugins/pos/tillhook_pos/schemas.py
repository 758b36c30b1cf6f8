"""Bodies, queries and answers of the counter."""

from tillhook.http import Flag, Key, Quantity, QuerySchema, Schema, Text
from tillhook.sales import ExternalId


class ScanQuery(QuerySchema):
    warehouse = Key(load_default=None)


class SellIn(Schema):
    warehouse = Key(allow_none=True, load_default=None)
    quantity = Quantity(allow_none=True, load_default=None)
    payment_method = Text(min=1, max=40, load_default="cash")
    external_id = ExternalId(allow_none=True, load_default=None)


class ScanOut(Schema):
    code = Text()
    kind = Text()
    product_id = Key()
    product_name = Text()
    variant_id = Key(allow_none=True)
    variant_details = Text()
    sku = Text()
    price = Text()
    quantity = Text()
    stock = Text(allow_none=True)
    is_low_stock = Flag()
    warehouse_id = Key()
    lot = Text(allow_none=True)
