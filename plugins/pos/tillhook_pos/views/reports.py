"""The dashboard and the sales report: what was sold at the counter, by the business's days.

Both are of the warehouses that the actor sees, and of the actor's own sales unless ``sales:sale:read_all`` is held.
What counts as what is said in :mod:`tillhook_pos.views.statements`.
"""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from tillhook.access import require_warehouse, sees_all_sales, visible_warehouses
from tillhook.db import format_instant, utc_now
from tillhook.errors import ValidationFailed
from tillhook.quantities import ZERO, divide, format_money, format_quantity, from_units, round_half_up
from tillhook.runtime import actor_of, snapshot_of
from tillhook_pos.views import statements
from tillhook_pos.views.days import Calendar, cover

#: No document is older: the journal does not believe a clock that says so.
_EARLIEST = date(1999, 12, 31)
_ALERTS = "SELECT COUNT(*) FROM stock_alert WHERE status = 'open' AND warehouse_id {warehouses}"


def dashboard(session: Session, warehouse_id: int | None) -> dict[str, Any]:
    """Return what was sold today and in this week, which began on Monday, and how many products are low.

    Args:
        warehouse_id: ``None`` for all that the actor sees.

    Raises:
        ValidationFailed, PermissionDenied: The warehouse is unknown, or not the actor's.
    """
    scope = _scope(session, warehouse_id)
    now = utc_now()
    today = Calendar.of(session).day_of(now)
    monday = today - timedelta(days=today.weekday())
    days = _read(session, scope, monday, today, ("days",)).get("days", [])
    alerts = statements.run(session.connection(), _ALERTS, among={"warehouses": scope.places(session)})
    return {
        "today": _sold([row for row in days if row.name == today.isoformat()]),
        "this_week": _sold(days),
        "low_stock_alerts": alerts[0][0],
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
    scope = _scope(session, warehouse_id)
    today = Calendar.of(session).day_of(utc_now())
    parts = _read(session, scope, max(first, _EARLIEST), min(last, today), ("days", "tenders", "products"))
    days = sorted(_there(parts.get("days", [])), key=attrgetter("name"))
    tenders = sorted(_there(parts.get("tenders", [])), key=lambda row: (-row.amount, row.name))
    return {
        "period": {"date_from": first.isoformat(), "date_to": last.isoformat()},
        "summary": _summary(session, days, tenders),
        "payment_breakdown": [
            {"payment_method": row.name, "count": int(row.number), "amount": _money(row.amount)} for row in tenders
        ],
        "top_products": [
            {
                "product_id": row.product_id,
                "product_name": row.name,
                "total_quantity": format_quantity(from_units(int(row.quantity))),
                "total_revenue": _money(row.amount),
            }
            for row in sorted(parts.get("products", []), key=lambda row: (-row.amount, row.name, row.product_id))
        ],
        "daily_sales": [{"day": row.name, "count": int(row.number), "amount": _money(row.amount)} for row in days],
    }


@dataclass(frozen=True, slots=True)
class _Scope:
    """Whose sales; ``None`` for everybody's, and for every warehouse's."""

    warehouses: tuple[int, ...] | None
    seller: int | None

    def places(self, session: Session) -> tuple[int, ...]:
        """Return the warehouses one by one."""
        return tuple(snapshot_of(session).warehouses) if self.warehouses is None else self.warehouses

    def kept_places(self, session: Session) -> tuple[int, ...]:
        """Return under which warehouses the totals have it."""
        return (statements.ALL,) if self.warehouses is None and self.seller is None else self.places(session)


def _scope(session: Session, warehouse_id: int | None) -> _Scope:
    seller = None if sees_all_sales(session) else actor_of(session).user_id
    if warehouse_id is not None:
        require_warehouse(session, warehouse_id)
        return _Scope((warehouse_id,), seller)
    visible = visible_warehouses(session)
    return _Scope(None if visible is None else tuple(sorted(visible)), seller)


def _read(
    session: Session, scope: _Scope, first: date, last: date, parts: tuple[str, ...]
) -> dict[str, list[Row[Any]]]:
    """Return the rows of the parts, by part, from totals or, while those are of another calendar, from the journal."""
    if last < first:
        return {}
    calendar = Calendar.of(session)
    query: dict[str, Any] = {
        "days": (calendar, first, last),
        "among": {"warehouses": scope.warehouses or (), "kept_warehouses": scope.kept_places(session)},
        "seller": scope.seller,
        "kept_seller": statements.ALL if scope.seller is None else scope.seller,
        "timezone": calendar.timezone,
        "hour": calendar.day_cutoff_hour,
        "start": format_instant(calendar.start(first)),
        "stop": format_instant(calendar.start(last + timedelta(days=1))),
        "periods": json.dumps([period._asdict() for period in cover(first, last)]),
    }
    limits = {"warehouses": scope.warehouses is not None, "seller": scope.seller is not None}
    source = statements.source_of_view(is_kept=True, **limits)
    rows = statements.run(session.connection(), statements.from_totals(parts), source=source, **query)
    if not rows:
        source = statements.source_of_view(is_kept=False, **limits)
        rows = statements.run(session.connection(), statements.from_journal(parts), source=source, **query)
    by_part = attrgetter("part")
    return {part: list(group) for part, group in groupby(sorted(rows, key=by_part), by_part)}


def _there(rows: list[Row[Any]]) -> list[Row[Any]]:
    """Return the rows that say anything."""
    return [row for row in rows if row.number or row.quantity or row.amount]


def _sold(days: list[Row[Any]]) -> dict[str, Any]:
    return {
        "sales_count": int(sum(row.number for row in days)),
        "sales_amount": _money(sum(row.amount for row in days)),
    }


def _summary(session: Session, days: list[Row[Any]], tenders: list[Row[Any]]) -> dict[str, Any]:
    amount = from_units(int(sum(row.amount for row in days)))
    paid = from_units(int(sum(row.amount for row in tenders)))
    count = int(sum(row.number for row in days))
    places = snapshot_of(session).setting("currency_places")
    average = round_half_up(divide(amount, Decimal(count)), places) if count > 0 else ZERO
    return {
        "total_sales": format_money(amount),
        "total_transactions": count,
        "total_items_sold": format_quantity(from_units(int(sum(row.quantity for row in days)))),
        "average_transaction": format_money(average),
        "cash_rounding": format_money(paid - amount),
    }


def _money(units: Any) -> str:
    return format_money(from_units(int(units)))
