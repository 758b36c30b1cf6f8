"""The columns of an import: their titles, and what their cells may say."""

import re
from typing import Any

from marshmallow import ValidationError, post_load

from tillhook.catalogue.schemas import MAX_NAME, MAX_SKU, PRICE_MODES, TRACKING
from tillhook.db import fold
from tillhook.http import Amount, Attributes, Choice, Day, Quantity, QuerySchema, Text
from tillhook.products.barcodes import clean_code

#: How the name of a column begins that holds one attribute, such as ``attribute:colour``.
ATTRIBUTE = "attribute:"
#: Our name of a column, and the titles by which people call it.
TITLES = {
    "sku": (
        "sku",
        "code",
        "product code",
        "item code",
        "stock code",
        "stockcode",
        "article",
        "article number",
    ),
    "parent_sku": ("parent sku", "parent", "variant of"),
    "name": ("name", "product", "product name", "title", "item"),
    "variant_name": ("variant name", "variant"),
    "barcode": ("barcode", "barcodes", "ean", "ean13", "upc", "gtin"),
    "category": ("category", "group", "department"),
    "unit": ("unit", "uom", "unit of measure"),
    "tax": ("tax", "vat", "tax name"),
    "price": ("price", "unit price", "selling price", "sale price"),
    "list_price": ("list price", "rrp", "msrp"),
    "cost_price": ("cost price", "cost", "unit cost", "purchase price"),
    "description": ("description", "details"),
    "tracking": ("tracking",),
    "price_mode": ("price mode",),
    "low_stock_threshold": (
        "low stock threshold",
        "threshold",
        "reorder level",
        "reorder point",
        "minimum stock",
    ),
    "stock": ("stock", "opening stock", "inventory", "quantity", "qty", "on hand"),
    "warehouse": ("warehouse", "shop", "store", "location"),
    "batch_number": ("batch number", "batch", "lot", "lot number"),
    "expiry_date": ("expiry date", "expiry", "expires", "best before"),
    f"{ATTRIBUTE}colour": ("colour", "color"),
    f"{ATTRIBUTE}size": ("size",),
    f"{ATTRIBUTE}material": ("material",),
}
_BY_TITLE = {title: name for name, titles in TITLES.items() for title in titles}
_DECIMAL_COMMA = re.compile(r"(\d+),(\d{1,2}|\d{4})", re.ASCII)
_SEPARATORS = re.compile(r"[|;]")


class ImportRow(QuerySchema):
    """One row; an empty cell is absent."""

    sku = Text(min=1, max=MAX_SKU, required=True)
    parent_sku = Text(min=1, max=MAX_SKU)
    name = Text(min=1, max=MAX_NAME)
    variant_name = Text(min=1, max=MAX_NAME)
    barcode = Text(max=1000, load_default="")
    category = Text(min=1, max=MAX_NAME)
    unit = Text(min=1, max=20)
    tax = Text(min=1, max=80)
    price = Amount()
    list_price = Amount()
    cost_price = Amount()
    description = Text(max=10_000, lines=True)
    tracking = Choice(TRACKING)
    price_mode = Choice(PRICE_MODES)
    low_stock_threshold = Quantity(allow_zero=True)
    stock = Quantity(allow_zero=True)
    warehouse = Text(min=1, max=120)
    batch_number = Text(min=1, max=80)
    expiry_date = Day()
    attributes = Attributes()

    @post_load
    def split(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        codes = [code for code in _SEPARATORS.split(data.pop("barcode")) if code.strip()]
        try:
            return data | {"barcodes": list(dict.fromkeys(clean_code(code) for code in codes))}
        except ValueError as error:
            raise ValidationError(str(error), "barcode") from error


def column_of(title: str) -> str | None:
    """Return our name of a column with this title, ``None`` for an unknown one."""
    plain = fold(title).strip()
    if plain.startswith(ATTRIBUTE):
        name = plain.removeprefix(ATTRIBUTE).strip()
        return f"{ATTRIBUTE}{name}" if name else None
    return _BY_TITLE.get(" ".join(plain.replace("_", " ").replace("-", " ").split()))


def is_known(title: str) -> bool:
    """Say whether a column with this title is one of ours."""
    return column_of(title) is not None


def decimal_text(cell: str) -> str:
    """Return the cell with a point for a decimal comma.

    ``1,234`` stays, and is refused: nobody knows whether it is more than a thousand.
    """
    match = _DECIMAL_COMMA.fullmatch(cell)
    return f"{match[1]}.{match[2]}" if match else cell
