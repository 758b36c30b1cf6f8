"""The catalogue: products, variants, barcodes, categories, units and taxes."""

from tillhook.catalogue.answers import product_answer, product_answers
from tillhook.catalogue.barcodes import ScannedCode, canonical, check_digit, find_code, find_codes, kind_of
from tillhook.catalogue.commands import NewProduct, NewVariant
from tillhook.catalogue.importing import ImportFailed, ImportResult, import_products
from tillhook.catalogue.inline import create_inline_product, remember_price
from tillhook.catalogue.models import Barcode, Category, Product, ProductImage, Tax, Unit, Variant
from tillhook.catalogue.products import create_product, update_product
from tillhook.catalogue.search import get_product, matches, product_query, visible_to

__all__ = [
    "Barcode",
    "Category",
    "ImportFailed",
    "ImportResult",
    "NewProduct",
    "NewVariant",
    "Product",
    "ProductImage",
    "ScannedCode",
    "Tax",
    "Unit",
    "Variant",
    "canonical",
    "check_digit",
    "create_inline_product",
    "create_product",
    "find_code",
    "find_codes",
    "get_product",
    "import_products",
    "kind_of",
    "matches",
    "product_answer",
    "product_answers",
    "product_query",
    "remember_price",
    "update_product",
    "visible_to",
]
