"""How a product sells, over days, weeks or months."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access import sees_all_sales, warehouse_condition
from tillhook.errors import NotFound, ValidationFailed
from tillhook.products.models import Product
from tillhook.products.search import is_hidden
from tillhook.quantities import ZERO, divide, round_half_up
from tillhook.runtime import actor_of, snapshot_of
from tillhook.sales.answers import PeriodOut, ProductAnalyticsOut, SoldProductOut
from tillhook.sales.calendar import business_day
from tillhook.sales.models import Sale, SaleLine

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
    if product is None or is_hidden(actor_of(session), product.status, product.owner_id):
        raise NotFound("There is no such product.", code="unknown-product")
    snapshot = snapshot_of(session)
    today = business_day(snapshot, datetime.now(ZoneInfo("UTC")))
    last = end or today
    first = start or min(last, today) - timedelta(days=_DEFAULT_DAYS - 1)
    if last < first:
        raise ValidationFailed.at("end_date", "Before start_date.")
    query = (
        select(Sale.sale_date, SaleLine.quantity, SaleLine.total_price, SaleLine.discount_share)
        .join(Sale, Sale.id == SaleLine.sale_id)
        .where(
            SaleLine.product_id == product_id,
            Sale.sale_date >= day_start(session, first),
            Sale.sale_date < day_start(session, last + timedelta(days=1)),
            warehouse_condition(session, Sale.warehouse_id),
        )
    )
    actor = actor_of(session)
    if not sees_all_sales(actor):
        query = query.where(Sale.seller_id == actor.user_id)
    periods: dict[date, tuple[Decimal, Decimal]] = {}
    for sold_at, quantity, price, share in session.execute(query):
        key = _first_day(business_day(snapshot, sold_at), period)
        old_quantity, old_revenue = periods.get(key, (ZERO, ZERO))
        periods[key] = (old_quantity + quantity, old_revenue + price - share)
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


def day_start(session: Session, day: date) -> datetime:
    """Return the moment at which a day of the business begins."""
    snapshot = snapshot_of(session)
    zone = ZoneInfo(snapshot.setting("timezone"))
    return datetime.combine(day, time(hour=snapshot.setting("day_cutoff_hour")), tzinfo=zone)


def _first_day(day: date, period: str) -> date:
    if period == "weekly":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "monthly" else day
