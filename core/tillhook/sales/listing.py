"""Lists of sales and of refused sales."""

from datetime import timedelta
from typing import Any

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from tillhook.access import require_warehouse, sees_all_sales, warehouse_condition
from tillhook.db import format_instant
from tillhook.http import page
from tillhook.runtime import actor_of
from tillhook.sales.analytics import day_start
from tillhook.sales.models import Sale, SaleException, SalePayment
from tillhook.sales.queries import sales_by_id, visible_sales


def list_sales(session: Session, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return sales that the actor may see, cancelled ones too, newest first unless ordered otherwise."""
    statement = visible_sales(session).where(Sale.kind == "sale")
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
    if "date_from" in query:
        statement = statement.where(Sale.sale_date >= day_start(session, query["date_from"]))
    if "date_to" in query:
        statement = statement.where(Sale.sale_date < day_start(session, query["date_to"] + timedelta(days=1)))
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


def list_exceptions(session: Session, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return refused sales with their payloads; sellers see their own."""
    statement = select(SaleException)
    actor = actor_of(session)
    if not sees_all_sales(actor):
        statement = statement.where(SaleException.seller_id == actor.user_id)
    elif actor.warehouse_ids is not None:
        statement = statement.where(warehouse_condition(session, SaleException.warehouse_id))
    if "status" in query:
        statement = statement.where(SaleException.status == query["status"])
    ordering = {"id": SaleException.id, "created_at": SaleException.created_at}
    rows, cursor = page(session, statement, ordering=ordering, query=query)
    return [_show_exception(row) for row in rows], cursor


def _matches(search: str) -> Any:
    term = search.lower()
    columns = (Sale.sale_number, Sale.customer_name, Sale.customer_phone)
    return or_(*(func.lower(column).contains(term, autoescape=True) for column in columns))


def _show_exception(row: SaleException) -> dict[str, Any]:
    return {
        "id": row.id,
        "external_id": row.external_id,
        "channel": row.channel,
        "source_device": row.source_device,
        "seller": row.seller_id,
        "warehouse": row.warehouse_id,
        "code": row.code,
        "detail": row.detail,
        "payload": row.payload,
        "attempts": row.attempts,
        "status": row.status,
        "created_at": format_instant(row.created_at),
        "last_seen_at": format_instant(row.last_seen_at),
    }
