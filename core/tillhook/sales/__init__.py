"""The sales journal: the one path by which any channel sells, returns or cancels."""

from tillhook.sales.batch import Outcome, default_warehouse
from tillhook.sales.commands import (
    MAX_NUMBER,
    NO_DEVICE,
    ReturnCommand,
    ReturnItem,
    SaleCommand,
    SaleItem,
    SaleReturn,
    Tender,
    fingerprint,
)
from tillhook.sales.devices import missing_numbers
from tillhook.sales.drafts import DraftLine, PostedSale, PriceRequest, SaleDraft, TaxRequest
from tillhook.sales.journal import post_sale, post_sales
from tillhook.sales.models import Sale, SaleException, SaleLine, SalePayment
from tillhook.sales.queries import find_repeated, get_sale, sales_by_id, visible_sales
from tillhook.sales.returning import lock_family
from tillhook.sales.reversals import cancel_sale, return_goods
from tillhook.sales.rollups import (
    DayTotal,
    ProductTotal,
    Scope,
    TaxTotal,
    TenderTotal,
    Totals,
    totals,
    totals_by_day,
    totals_by_product,
    totals_by_tax,
    totals_by_tender,
    visible_scope,
)
from tillhook.sales.routes import by_device, sale_reply
from tillhook.sales.schemas import MAX_LINES, ClientInstant, ExternalId, SaleIn, SaleItemIn, SaleOut, TenderIn
from tillhook.sales.sums import GROSS, NET, TaxSum, TenderSum, sums_by_tax, sums_by_tender

__all__ = [
    "GROSS",
    "MAX_LINES",
    "MAX_NUMBER",
    "NET",
    "NO_DEVICE",
    "ClientInstant",
    "DayTotal",
    "DraftLine",
    "ExternalId",
    "Outcome",
    "PostedSale",
    "PriceRequest",
    "ProductTotal",
    "ReturnCommand",
    "ReturnItem",
    "Sale",
    "SaleCommand",
    "SaleDraft",
    "SaleException",
    "SaleIn",
    "SaleItem",
    "SaleItemIn",
    "SaleLine",
    "SaleOut",
    "SalePayment",
    "SaleReturn",
    "Scope",
    "TaxRequest",
    "TaxSum",
    "TaxTotal",
    "Tender",
    "TenderIn",
    "TenderSum",
    "TenderTotal",
    "Totals",
    "by_device",
    "cancel_sale",
    "default_warehouse",
    "find_repeated",
    "fingerprint",
    "get_sale",
    "lock_family",
    "missing_numbers",
    "post_sale",
    "post_sales",
    "return_goods",
    "sale_reply",
    "sales_by_id",
    "sums_by_tax",
    "sums_by_tender",
    "totals",
    "totals_by_day",
    "totals_by_product",
    "totals_by_tax",
    "totals_by_tender",
    "visible_sales",
    "visible_scope",
]
