"""The sales journal: the one path by which any channel sells, returns or cancels."""

from tillhook.sales.answers import PaymentOut, QuoteOut, SaleItemOut, SaleOut
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
from tillhook.sales.drafts import DraftLine, Payment, PostedSale, PriceRequest, SaleDraft, TaxRequest, TenderDraft
from tillhook.sales.models import Sale, SaleDevice, SaleDeviceGap, SaleException, SaleLine, SalePayment
from tillhook.sales.offline import missing_numbers, post_sale, post_sales
from tillhook.sales.outcomes import Outcome
from tillhook.sales.posting import Quote, QuoteLine, quote
from tillhook.sales.queries import find_repeated, get_sale, sales_by_id, visible_sales
from tillhook.sales.returns import cancel_sale, lock_family, return_goods
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
from tillhook.sales.routes import sale_reply
from tillhook.sales.schemas import MAX_LINES, ClientInstant, ExternalId, SaleIn, SaleItemIn, TenderIn
from tillhook.sales.sender import by_device, device_of
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
    "Payment",
    "PaymentOut",
    "PostedSale",
    "PriceRequest",
    "ProductTotal",
    "Quote",
    "QuoteLine",
    "QuoteOut",
    "ReturnCommand",
    "ReturnItem",
    "Sale",
    "SaleCommand",
    "SaleDevice",
    "SaleDeviceGap",
    "SaleDraft",
    "SaleException",
    "SaleIn",
    "SaleItem",
    "SaleItemIn",
    "SaleItemOut",
    "SaleLine",
    "SaleOut",
    "SalePayment",
    "SaleReturn",
    "Scope",
    "TaxRequest",
    "TaxSum",
    "TaxTotal",
    "Tender",
    "TenderDraft",
    "TenderIn",
    "TenderSum",
    "TenderTotal",
    "Totals",
    "by_device",
    "cancel_sale",
    "device_of",
    "find_repeated",
    "fingerprint",
    "get_sale",
    "lock_family",
    "missing_numbers",
    "post_sale",
    "post_sales",
    "quote",
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
