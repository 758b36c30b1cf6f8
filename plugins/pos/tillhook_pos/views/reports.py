"""The dashboard and the sales report: what was sold at the counter, by the business's days.

Both are of the warehouses that the actor sees, and of the actor's own sales unless ``sales:sale:read_all`` is held.
"""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tillhook.db import among, format_instant, utc_now
from tillhook.errors import ValidationFailed
from tillhook.ledger import StockAlert
from tillhook.quantities import ZERO, divide, format_money, format_quantity, round_half_up
from tillhook.reference import Calendar
from tillhook.runtime import snapshot_of
from tillhook.sales import DayTotal, TenderTotal, totals, totals_by_day, visible_scope
from tillhook_pos.documents import CHANNEL

#: Products of a report.
TOP = 10


def dashboard(session: Session, warehouse_id: int | None) -> dict[str, Any]:
    """Return what was sold today and in this week, which began on Monday, and how many products are low.

    Args:
        warehouse_id: ``None`` for all that the actor sees.

    Raises:
        ValidationFailed, PermissionDenied: The warehouse is unknown, or not the actor's.
    """
    scope = visible_scope(session, channel=CHANNEL, warehouse_id=warehouse_id)
    now = utc_now()
    today = Calendar.of(snapshot_of(session)).day_of(now)
    days = totals_by_day(session, scope, today - timedelta(days=today.weekday()), today)
    places = snapshot_of(session).warehouses if scope.warehouses is None else scope.warehouses
    alerts = select(func.count()).where(StockAlert.status == "open", among(StockAlert.warehouse_id, [*places]))
    return {
        "today": _sold([each for each in days if each.day == today]),
        "this_week": _sold(days),
        "low_stock_alerts": session.scalar(alerts),
        "last_updated": format_instant(now),
    }


def sales_report(session: Session, first: date, last: date, warehouse_id: int | None) -> dict[str, Any]:
    """Return the sales of the days from ``first`` to ``last``.

    ``daily_sales`` has the days on which there was something, ``top_products`` the ten of the most revenue, equals by
    name. The tenders' counts add up to the transactions, and their amounts to the total and the cash rounding.

    Raises:
        ValidationFailed: 422: the last day is before the first, or there is no such warehouse.
        PermissionDenied: 403: the warehouse is somebody else's.
    """
    if last < first:
        raise ValidationFailed.at("date_to", "Before date_from.")
    scope = visible_scope(session, channel=CHANNEL, warehouse_id=warehouse_id)
    found = totals(session, scope, first, last, ("days", "tenders", "products"), top=TOP)
    days = sorted(found.days)
    tenders = sorted(found.tenders, key=lambda each: (-each.amount, each.method))
    return {
        "period": {"date_from": first.isoformat(), "date_to": last.isoformat()},
        "summary": _summary(session, days, tenders),
        "payment_breakdown": [
            {"payment_method": each.method, "count": each.sales_count, "amount": format_money(each.amount)}
            for each in tenders
        ],
        "top_products": [
            {
                "product_id": each.product_id,
                "product_name": each.name,
                "total_quantity": format_quantity(each.quantity),
                "total_revenue": format_money(each.revenue),
            }
            for each in sorted(found.products, key=lambda each: (-each.revenue, each.name, each.product_id))
        ],
        "daily_sales": [
            {"day": each.day.isoformat(), "count": each.sales_count, "amount": format_money(each.amount)}
            for each in days
        ],
    }


def _sold(days: list[DayTotal]) -> dict[str, Any]:
    return {
        "sales_count": sum(each.sales_count for each in days),
        "sales_amount": format_money(sum((each.amount for each in days), ZERO)),
    }


def _summary(session: Session, days: list[DayTotal], tenders: list[TenderTotal]) -> dict[str, Any]:
    amount = sum((each.amount for each in days), ZERO)
    paid = sum((each.amount for each in tenders), ZERO)
    count = sum(each.sales_count for each in days)
    places = snapshot_of(session).setting("currency_places")
    average = round_half_up(divide(amount, Decimal(count)), places) if count > 0 else ZERO
    return {
        "total_sales": format_money(amount),
        "total_transactions": count,
        "total_items_sold": format_quantity(sum((each.quantity for each in days), ZERO)),
        "average_transaction": format_money(average),
        "cash_rounding": format_money(paid - amount),
    }
