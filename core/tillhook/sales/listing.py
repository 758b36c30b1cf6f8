"""The list of sales."""

from typing import Any

from sqlalchemy import exists
from sqlalchemy.orm import Session, aliased

from tillhook.access import in_warehouse
from tillhook.db import containing
from tillhook.http import narrowed, page
from tillhook.reference import Calendar
from tillhook.runtime import snapshot_of
from tillhook.sales.models import Sale, SalePayment
from tillhook.sales.queries import sales_by_id, visible_sales


def list_sales(session: Session, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return sales and exchanges that the actor may see, cancelled ones too, newest first unless ordered otherwise."""
    cancellation = aliased(Sale)
    cancelled = exists().where(cancellation.origin_id == Sale.id, cancellation.kind == "cancellation")
    calendar = Calendar.of(snapshot_of(session))
    filters = {
        "warehouse": in_warehouse(session, Sale.warehouse_id),
        "channel": Sale.channel,
        "customer": Sale.customer_id,
        "payment_method": lambda name: exists().where(SalePayment.sale_id == Sale.id, SalePayment.method == name),
        "is_cancelled": lambda wanted: cancelled if wanted else ~cancelled,
        "date_from": lambda day: Sale.sale_date >= calendar.start(day),
        "date_to": lambda day: Sale.sale_date < calendar.end(day),
        "search": lambda text: containing(text, Sale.sale_number, Sale.customer_name, Sale.customer_phone),
    }
    statement = narrowed(visible_sales(session).where(Sale.kind.in_(("sale", "exchange"))), query, filters)
    ordering = {
        "id": Sale.id,
        "created_at": Sale.created_at,
        "total_amount": Sale.total_amount,
        "sale_date": Sale.sale_date,
    }
    rows, cursor = page(session, statement.with_only_columns(Sale.id), ordering=ordering, query=query)
    found = sales_by_id(session, rows)
    return [found[sale_id] for sale_id in rows], cursor
