"""What the catalogue consists of: products, variants, barcodes, categories, units and taxes, and finding them."""

from tillhook.products.barcodes import ScannedCode, canonical, check_digit, find_code, find_codes, kind_of
from tillhook.products.events import hides
from tillhook.products.missing import Refusal, not_approved, why_not_for_sale, why_not_there
from tillhook.products.models import Barcode, Category, Product, ProductImage, Tax, Unit, Variant
from tillhook.products.search import get_product, is_hidden, matches, product_query, sees_all, visible_to

__all__ = [
    "Barcode",
    "Category",
    "Product",
    "ProductImage",
    "Refusal",
    "ScannedCode",
    "Tax",
    "Unit",
    "Variant",
    "canonical",
    "check_digit",
    "find_code",
    "find_codes",
    "get_product",
    "hides",
    "is_hidden",
    "kind_of",
    "matches",
    "not_approved",
    "product_query",
    "sees_all",
    "visible_to",
    "why_not_for_sale",
    "why_not_there",
]
