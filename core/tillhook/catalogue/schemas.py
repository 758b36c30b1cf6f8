"""Bodies and queries of the catalogue's routes, and what their answers hold."""

from decimal import Decimal
from typing import Any

from marshmallow import fields, post_load

from tillhook.catalogue.commands import NewProduct, NewVariant
from tillhook.http import (
    Amount,
    Attributes,
    Choice,
    Flag,
    Key,
    ListOf,
    ListQuery,
    Nested,
    Ordering,
    Quantity,
    QuerySchema,
    Schema,
    Text,
    Whole,
)
from tillhook.http.schemas import MAX_KEY, StrictField
from tillhook.products.barcodes import MAX_LENGTH

TRACKING = ("none", "quantity", "lot")
PRICE_MODES = ("list", "bounded", "open")
STATUSES = ("pending", "published", "rejected", "archived")
MAX_NAME = 200
MAX_SKU = 64


class KeyOrName(StrictField):
    """The key of a category, unit or tax, or its name."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> int | str:
        if isinstance(value, int):
            return int(Key().deserialize(value))
        return str(Text(min=1, max=MAX_NAME).deserialize(value))

    def json_schema(self) -> dict[str, Any]:
        key = {"type": "integer", "minimum": 1, "maximum": MAX_KEY}
        return {"anyOf": [key, Text(min=1, max=MAX_NAME).json_schema()]}


def _barcode(**options: Any) -> Text:
    return Text(min=1, max=MAX_LENGTH, **options)


class VariantIn(Schema):
    """A variant to make."""

    sku = Text(min=1, max=MAX_SKU, allow_none=True, load_default=None)
    name = Text(max=MAX_NAME, load_default="")
    barcode = _barcode(allow_none=True, load_default=None)
    attributes = Attributes(load_default=dict)
    price = Amount(allow_none=True, load_default=None)
    cost_price = Amount(allow_none=True, load_default=None)

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> NewVariant:
        return NewVariant(**data)


class VariantPatch(Schema):
    """What to change of a variant."""

    sku = Text(min=1, max=MAX_SKU, allow_none=True)
    name = Text(max=MAX_NAME)
    attributes = Attributes()
    price = Amount(allow_none=True)
    cost_price = Amount(allow_none=True)
    is_active = Flag()


class _ProductFields(Schema):
    """The fields of a product, none of them required; what is absent is not loaded."""

    name = Text(min=1, max=MAX_NAME)
    sku = Text(min=1, max=MAX_SKU)
    price = Amount()
    barcode = _barcode(allow_none=True)
    barcodes = ListOf(_barcode(), max=50)
    category = KeyOrName(allow_none=True)
    unit = KeyOrName(allow_none=True)
    tax = KeyOrName(allow_none=True)
    list_price = Amount(allow_none=True)
    cost_price = Amount(allow_none=True)
    description = Text(max=10_000, lines=True)
    attributes = Attributes()
    tracking = Choice(TRACKING)
    price_mode = Choice(PRICE_MODES)
    low_stock_threshold = Quantity(allow_zero=True, allow_none=True)


class ProductIn(_ProductFields):
    """A product to make."""

    name = Text(min=1, max=MAX_NAME, required=True)
    sku = Text(min=1, max=MAX_SKU, required=True)
    price = Amount(required=True)
    variants = ListOf(Nested(VariantIn), max=200)

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> NewProduct:
        for name in ("barcodes", "variants"):
            data[name] = tuple(data.get(name, ()))
        return NewProduct(**data)


class ProductPatch(_ProductFields):
    """What to change of a product."""


class ProductPut(_ProductFields):
    """A product as it shall be; what is left out goes back to its default, a hidden cost stays."""

    name = Text(min=1, max=MAX_NAME, required=True)
    sku = Text(min=1, max=MAX_SKU, required=True)
    price = Amount(required=True)
    category = KeyOrName(allow_none=True, load_default=None)
    unit = KeyOrName(allow_none=True, load_default=None)
    tax = KeyOrName(allow_none=True, load_default=None)
    list_price = Amount(allow_none=True, load_default=None)
    description = Text(max=10_000, lines=True, load_default="")
    attributes = Attributes(load_default=dict)
    tracking = Choice(TRACKING, load_default="quantity")
    price_mode = Choice(PRICE_MODES, load_default="bounded")
    low_stock_threshold = Quantity(allow_zero=True, allow_none=True, load_default=None)


class InlineProductIn(Schema):
    """A product made at the till: untracked, at an open price."""

    name = Text(min=1, max=MAX_NAME, required=True)
    sku = Text(min=1, max=MAX_SKU, allow_none=True, load_default=None)
    category = KeyOrName(allow_none=True, load_default=None)
    unit = KeyOrName(allow_none=True, load_default=None)
    tax = KeyOrName(allow_none=True, load_default=None)
    description = Text(max=10_000, lines=True, load_default="")
    tracking = Choice(("none",), load_default="none")


class ProductQuery(ListQuery):
    """Which products to list."""

    category = Text(max=MAX_NAME, min=1, load_default=None)
    status = Choice(STATUSES, load_default=None)
    barcode = _barcode(load_default=None)
    sku = Text(min=1, max=MAX_SKU, load_default=None)
    tracked = Flag(load_default=None)
    ordering = Ordering("name", "price", "created_at", "sku")


class LowStockQuery(ListQuery):
    """Below which threshold; by default each product's own."""

    threshold = Quantity(allow_zero=True, load_default=None)
    ordering = Ordering("name", "inventory", default="id")


class InventoryIn(Schema):
    """What is on hand; ``null`` stops tracking."""

    inventory = Quantity(allow_zero=True, allow_none=True, required=True)
    warehouse = Key(allow_none=True, load_default=None)
    variant_id = Key(allow_none=True, load_default=None)
    expected = Quantity(allow_zero=True, allow_none=True, load_default=None)


class RejectIn(Schema):
    """Why a product is rejected."""

    reason = Text(min=1, max=1000, lines=True, required=True)


class BarcodeIn(Schema):
    """A barcode to add; ``pack_quantity`` stock units are in the package."""

    code = _barcode(required=True)
    variant_id = Key(allow_none=True, load_default=None)
    pack_quantity = Quantity(load_default=Decimal(1))


class ImportForm(QuerySchema):
    """The fields beside the uploaded ``file``."""

    dry_run = Flag(load_default=False)
    warehouse = Key(load_default=None)


class ImportQuery(QuerySchema):
    """The same in the address, for clients that find that easier."""

    dry_run = Flag(load_default=False)
    warehouse = Key(load_default=None)


class ImageForm(QuerySchema):
    """The fields beside the uploaded ``file``; the first picture is at position 1."""

    position = Whole(min=1, max=1000, load_default=None)


class CategoryIn(Schema):
    """A category to make."""

    name = Text(min=1, max=MAX_NAME, required=True)
    parent_id = Key(allow_none=True, load_default=None)


class CategoryPatch(Schema):
    """What to change of a category."""

    name = Text(min=1, max=MAX_NAME)
    parent_id = Key(allow_none=True)


class UnitIn(Schema):
    """A unit of measure to make; ``precision`` is its digits after the point."""

    code = Text(min=1, max=20, required=True)
    name = Text(min=1, max=80, load_default=None)
    precision = Whole(min=0, max=4, load_default=0)

    @post_load
    def named(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return data | {"name": data["name"] or data["code"]}


class UnitPatch(Schema):
    """What to change of a unit."""

    code = Text(min=1, max=20)
    name = Text(min=1, max=80)
    precision = Whole(min=0, max=4)


class TaxIn(Schema):
    """A tax to make; ``rate`` is a fraction, 0.2 for 20 %."""

    name = Text(min=1, max=80, required=True)
    rate = Quantity(max=1, allow_zero=True, required=True)
    is_inclusive = Flag(load_default=False)
    is_default = Flag(load_default=False)
    is_active = Flag(load_default=True)


class TaxPatch(Schema):
    """What to change of a tax."""

    name = Text(min=1, max=80)
    rate = Quantity(max=1, allow_zero=True)
    is_inclusive = Flag()
    is_default = Flag()
    is_active = Flag()


def amount(**options: Any) -> fields.String:
    """Return the field of an amount in an answer: a string with two places at least."""
    return fields.String(metadata={"examples": ["25.00"]}, **options)


class CategoryOut(Schema):
    """A category."""

    id = fields.Integer()
    name = fields.String()
    parent_id = fields.Integer(allow_none=True)


class UnitOut(Schema):
    """A unit of measure."""

    id = fields.Integer()
    code = fields.String()
    name = fields.String()
    precision = fields.Integer()


class TaxOut(Schema):
    """A tax; ``rate`` is a fraction."""

    id = fields.Integer()
    name = fields.String()
    rate = fields.String()
    is_inclusive = fields.Boolean()
    is_default = fields.Boolean()
    is_active = fields.Boolean()


class VariantOut(Schema):
    """A variant; ``price`` is its own, else the product's."""

    id = fields.Integer()
    sku = fields.String(allow_none=True)
    name = fields.String()
    barcode = fields.String(allow_none=True)
    barcodes = fields.List(fields.String())
    attributes = fields.Dict()
    price = amount()
    cost_price = amount(allow_none=True)
    is_active = fields.Boolean()


class BarcodeOut(Schema):
    """A barcode; ``kind`` is ean8, upca, ean13, gtin14 or free."""

    id = fields.Integer()
    code = fields.String()
    kind = fields.String()
    variant_id = fields.Integer()
    pack_quantity = fields.String()


class ImageOut(Schema):
    """A picture of a product."""

    id = fields.Integer()
    position = fields.Integer()
    url = fields.String()
    sha256 = fields.String()
    content_type = fields.String()
    size = fields.Integer()
    width = fields.Integer()
    height = fields.Integer()


class ProductOut(Schema):
    """A product; ``cost_price`` is absent without ``catalogue:cost:read``."""

    id = fields.Integer()
    name = fields.String()
    sku = fields.String()
    barcode = fields.String(allow_none=True)
    barcodes = fields.List(fields.String())
    price = amount()
    cost_price = amount(allow_none=True)
    list_price = amount(allow_none=True)
    last_price = amount(allow_none=True)
    category = fields.String(allow_none=True)
    category_id = fields.Integer(allow_none=True)
    unit = fields.String()
    tax = fields.String(allow_none=True)
    tax_id = fields.Integer(allow_none=True)
    description = fields.String()
    attributes = fields.Dict()
    status = fields.String()
    reject_reason = fields.String()
    owner_id = fields.Integer(allow_none=True)
    tracking = fields.String()
    price_mode = fields.String()
    low_stock_threshold = fields.String(allow_none=True)
    inventory = fields.String(allow_none=True)
    default_variant_id = fields.Integer(allow_none=True)
    variants = fields.List(fields.Nested(VariantOut))
    images = fields.List(fields.Nested(ImageOut))
    created_at = fields.String()
    updated_at = fields.String()


class ProductsOut(Schema):
    """One page of products."""

    items = fields.List(fields.Nested(ProductOut))
    next_cursor = fields.String(allow_none=True)


class LowStockOut(ProductsOut):
    """One page of products that are low; ``count`` is all of them."""

    count = fields.Integer()


class RowMessage(Schema):
    """What an import says of one row; the header is row 1."""

    row = fields.Integer()
    column = fields.String(allow_none=True)
    message = fields.String()


class ImportOut(Schema):
    """What an import did, or with ``dry_run`` would do."""

    dry_run = fields.Boolean()
    valid = fields.Boolean()
    rows = fields.Integer()
    created = fields.Integer()
    updated = fields.Integer()
    unchanged = fields.Integer()
    categories_created = fields.Integer()
    stock_lines = fields.Integer()
    encoding = fields.String(allow_none=True)
    errors = fields.List(fields.Nested(RowMessage))
    warnings = fields.List(fields.Nested(RowMessage))


def list_of(schema: type[Schema]) -> type[Schema]:
    """Return the schema of ``{"items": [...]}`` of a short list that is never paged."""
    members = {"items": fields.List(fields.Nested(schema)), "next_cursor": fields.String(allow_none=True)}
    return type(f"{schema.__name__.removesuffix('Out')}ListOut", (Schema,), members)
