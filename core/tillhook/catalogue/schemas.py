"""Bodies and queries of the catalogue's routes."""

from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, post_load

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
STOCK_MODES = ("set", "add", "ignore")
STATUSES = ("pending", "published", "rejected", "archived")
MAX_NAME = 200
MAX_SKU = 64


class KeyOrName(StrictField):
    """The key of a category, unit or tax, or its name."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> int | str:
        if isinstance(value, int | Decimal):
            return int(Key().deserialize(value))
        if not isinstance(value, str):
            raise ValidationError("Neither an id, such as 12, nor a name.")
        return str(Text(min=1, max=MAX_NAME).deserialize(value))

    def json_schema(self) -> dict[str, Any]:
        key = {"type": "integer", "minimum": 1, "maximum": MAX_KEY}
        return {"anyOf": [key, Text(min=1, max=MAX_NAME).json_schema()]}


class AbsentText(Text):
    """A text that may be absent, which an empty one is too: loaded as ``None``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_none=True, **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        return super()._deserialize(value, attr, data, **kwargs) or None


def _barcode(**options: Any) -> Text:
    return Text(min=1, max=MAX_LENGTH, **options)


class VariantIn(Schema):
    """A variant to make."""

    sku = AbsentText(max=MAX_SKU, load_default=None)
    name = Text(max=MAX_NAME, load_default="")
    barcode = AbsentText(max=MAX_LENGTH, load_default=None)
    attributes = Attributes(load_default=dict)
    price = Amount(allow_none=True, load_default=None)
    cost_price = Amount(allow_none=True, load_default=None)

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> NewVariant:
        return NewVariant(**data)


class VariantPatch(Schema):
    """What to change of a variant."""

    sku = AbsentText(max=MAX_SKU)
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
    barcode = AbsentText(max=MAX_LENGTH)
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
    """A product made at the till: untracked, at an open price, whatever ``is_volatile`` says.

    ``unit_price`` is its price, which a line may leave out then.
    """

    name = Text(min=1, max=MAX_NAME, required=True)
    sku = Text(min=1, max=MAX_SKU, allow_none=True, load_default=None)
    category = KeyOrName(allow_none=True, load_default=None)
    unit = KeyOrName(allow_none=True, load_default=None)
    tax = KeyOrName(allow_none=True, load_default=None)
    description = Text(max=10_000, lines=True, load_default="")
    tracking = Choice(("none",), load_default="none")
    is_volatile = Flag(allow_none=True, load_default=None)
    unit_price = Amount(allow_none=True, load_default=None)


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
    """The fields beside the uploaded ``file``; in the address too, for clients that find that easier.

    ``stock_mode`` says what the stock of known products means: ``set`` counts, ``add`` receives, ``ignore`` leaves it.
    Without ``create_units`` an unknown unit is an error.
    """

    dry_run = Flag(load_default=False)
    warehouse = Key(load_default=None)
    stock_mode = Choice(STOCK_MODES, load_default=None)
    create_units = Flag(load_default=False)


class ImageForm(QuerySchema):
    """The fields beside the uploaded ``file``; the first picture is at position 1."""

    position = Whole(min=1, max=1000, load_default=None)


class ImagePatch(Schema):
    """Where a picture is to be among the others; the first is at position 1, and is the main one."""

    position = Whole(min=1, max=1000, required=True)


class ImageOrderIn(Schema):
    """All pictures of a product, in their order."""

    ids = ListOf(Key(), max=1000, required=True)


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
