"""How a product sells, over days, weeks or months."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from tillhook.errors import NotFound, ValidationFailed
from tillhook.products.models import Product
from tillhook.products.search import is_hidden
from tillhook.quantities import ZERO, divide, round_half_up
from tillhook.reference import Calendar
from tillhook.runtime import actor_of, snapshot_of
from tillhook.sales.answers import PeriodOut, ProductAnalyticsOut, SoldProductOut
from tillhook.sales.rollups import days_of_product, visible_scope

_DEFAULT_DAYS = 30


def product_analytics(
    session: Session, product_id: int, start: date | None, end: date | None, period: str
) -> dict[str, Any]:
    """Return what was sold of a product, returns and cancellations taken off, by period.

    Revenue is what lines cost after all discounts, without taxes that come on top. Days are the business's. Each
    period is named by its first day; the last ``_DEFAULT_DAYS`` days when nothing is said.

    Raises:
        NotFound: 404: no such product. ValidationFailed: 422: the end is before the start.
    """
    product = session.get(Product, product_id)
    if product is None or is_hidden(
        actor_of(session), product.status, product.owner_id, was_approved=product.approved_terms is not None
    ):
        raise NotFound("There is no such product.", code="unknown-product")
    today = Calendar.of(snapshot_of(session)).today()
    last = end or today
    first = start or min(last, today) - timedelta(days=_DEFAULT_DAYS - 1)
    if last < first:
        raise ValidationFailed.at("end_date", "Before start_date.")
    periods: dict[date, tuple[Decimal, Decimal]] = {}
    for day, quantity, revenue in days_of_product(session, visible_scope(session), product_id, first, last):
        key = _first_day(day, period)
        old_quantity, old_revenue = periods.get(key, (ZERO, ZERO))
        periods[key] = (old_quantity + quantity, old_revenue + revenue)
    total_quantity = sum((quantity for quantity, _ in periods.values()), ZERO)
    total_revenue = sum((revenue for _, revenue in periods.values()), ZERO)
    average = round_half_up(divide(total_revenue, total_quantity), 2) if total_quantity else ZERO
    return ProductAnalyticsOut.of(
        None,
        product=SoldProductOut.of(product),
        period=period,
        start_date=first,
        end_date=last,
        total_quantity_sold=total_quantity,
        total_revenue=total_revenue,
        average_unit_price=average,
        period_breakdown=[
            PeriodOut.of(None, period=key, quantity=quantity, revenue=revenue)
            for key, (quantity, revenue) in sorted(periods.items())
        ],
    )


def _first_day(day: date, period: str) -> date:
    if period == "weekly":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "monthly" else day
