"""The upkeep of the catalogue: making, changing, approving and importing products, and what they refer to."""

from tillhook.catalogue.answers import product_answer, product_answers
from tillhook.catalogue.commands import NewProduct, NewVariant, SavedProduct
from tillhook.catalogue.import_result import ImportFailed, ImportResult
from tillhook.catalogue.importing import Import, finish_import, import_products
from tillhook.catalogue.inline import create_inline_product, inline_item, lock_prices, remember_price
from tillhook.catalogue.products import create_product, update_product

__all__ = [
    "Import",
    "ImportFailed",
    "ImportResult",
    "NewProduct",
    "NewVariant",
    "SavedProduct",
    "create_inline_product",
    "create_product",
    "finish_import",
    "import_products",
    "inline_item",
    "lock_prices",
    "product_answer",
    "product_answers",
    "remember_price",
    "update_product",
]
