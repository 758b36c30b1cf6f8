"""The sales journal: the one path by which any channel sells, returns or cancels."""

from tillhook.sales.analytics import day_start
from tillhook.sales.answers import PaymentOut, QuoteOut, SaleItemOut, SaleOut
from tillhook.sales.calendar import business_day
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
from tillhook.sales.drafts import DraftLine, Payment, PostedSale, PriceRequest, SaleDraft, TaxRequest
from tillhook.sales.models import Sale, SaleDevice, SaleDeviceGap, SaleException, SaleLine, SalePayment
from tillhook.sales.offline import missing_numbers, post_sale, post_sales
from tillhook.sales.outcomes import Outcome
from tillhook.sales.posting import Quote, QuoteLine, default_warehouse, quote
from tillhook.sales.queries import find_repeated, get_sale, sales_by_id, visible_sales
from tillhook.sales.returns import cancel_sale, lock_family, return_goods
from tillhook.sales.routes import sale_reply
from tillhook.sales.schemas import MAX_LINES, ClientInstant, ExternalId, SaleIn, SaleItemIn, TenderIn
from tillhook.sales.sender import by_device, device_of

__all__ = [
    "MAX_LINES",
    "MAX_NUMBER",
    "NO_DEVICE",
    "ClientInstant",
    "DraftLine",
    "ExternalId",
    "Outcome",
    "Payment",
    "PaymentOut",
    "PostedSale",
    "PriceRequest",
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
    "TaxRequest",
    "Tender",
    "TenderIn",
    "business_day",
    "by_device",
    "cancel_sale",
    "day_start",
    "default_warehouse",
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
    "visible_sales",
]
