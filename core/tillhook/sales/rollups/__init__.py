"""Totals per business day of every channel: what is read instead of the journal.

What counts as what is said in :mod:`tillhook.sales.rollups.figures`.
"""

from tillhook.sales.rollups.reading import (
    DayTotal,
    ProductTotal,
    TaxTotal,
    TenderTotal,
    Totals,
    days_of_product,
    totals,
    totals_by_day,
    totals_by_product,
    totals_by_tax,
    totals_by_tender,
    visible_scope,
    was_sold,
)
from tillhook.sales.rollups.statements import Scope

__all__ = [
    "DayTotal",
    "ProductTotal",
    "Scope",
    "TaxTotal",
    "TenderTotal",
    "Totals",
    "days_of_product",
    "totals",
    "totals_by_day",
    "totals_by_product",
    "totals_by_tax",
    "totals_by_tender",
    "visible_scope",
    "was_sold",
]
