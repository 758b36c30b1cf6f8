"""The list of sales."""

from typing import Any

from sqlalchemy import exists, or_
from sqlalchemy.orm import Session, aliased

from tillhook.access import require_warehouse
from tillhook.db import fold, folded
from tillhook.http import page
from tillhook.reference import Calendar
from tillhook.runtime import snapshot_of
from tillhook.sales.models import Sale, SalePayment
from tillhook.sales.queries import sales_by_id, visible_sales


def list_sales(session: Session, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return sales and exchanges that the actor may see, cancelled ones too, newest first unless ordered otherwise."""
    statement = visible_sales(session).where(Sale.kind.in_(("sale", "exchange")))
    if "warehouse" in query:
        require_warehouse(session, query["warehouse"])
        statement = statement.where(Sale.warehouse_id == query["warehouse"])
    if "channel" in query:
        statement = statement.where(Sale.channel == query["channel"])
    if "customer" in query:
        statement = statement.where(Sale.customer_id == query["customer"])
    if "payment_method" in query:
        statement = statement.where(
            exists().where(SalePayment.sale_id == Sale.id, SalePayment.method == query["payment_method"])
        )
    if "is_cancelled" in query:
        cancellation = aliased(Sale)
        cancelled = exists().where(cancellation.origin_id == Sale.id, cancellation.kind == "cancellation")
        statement = statement.where(cancelled if query["is_cancelled"] else ~cancelled)
    calendar = Calendar.of(snapshot_of(session))
    if "date_from" in query:
        statement = statement.where(Sale.sale_date >= calendar.start(query["date_from"]))
    if "date_to" in query:
        statement = statement.where(Sale.sale_date < calendar.end(query["date_to"]))
    if query["search"]:
        statement = statement.where(_matches(query["search"]))
    ordering = {
        "id": Sale.id,
        "created_at": Sale.created_at,
        "total_amount": Sale.total_amount,
        "sale_date": Sale.sale_date,
    }
    rows, cursor = page(session, statement.with_only_columns(Sale.id), ordering=ordering, query=query)
    found = sales_by_id(session, rows)
    return [found[sale_id] for sale_id in rows], cursor


def _matches(search: str) -> Any:
    columns = (Sale.sale_number, Sale.customer_name, Sale.customer_phone)
    return or_(*(folded(column).contains(fold(search), autoescape=True) for column in columns))
