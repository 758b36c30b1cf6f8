"""Sales that come to something else than their clients reckoned: the variance report."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from tillhook.access import in_warehouse
from tillhook.http import Answer, Call, Day, Key, ListQuery, Ordering, Routes, Text, narrowed, out, page, page_of
from tillhook.reference import Calendar
from tillhook.runtime import snapshot_of
from tillhook.sales.models import DIFFERS, Sale, SaleSent
from tillhook.sales.queries import visible_sales

routes = Routes("/sales")


class VarianceQuery(ListQuery):
    warehouse = Key()
    channel = Text(min=1, max=40)
    seller = Key()
    source_device = Text(min=1, max=128)
    date_from = Day()
    date_to = Day()
    ordering = Ordering("sale_date")


class VarianceOut(Answer):
    """A document and what its client said that it comes to; ``difference`` is what was sent less what was posted."""

    sale = out.Key("id")
    sale_number = out.Text()
    kind = out.Text(choices=("sale", "return", "exchange"))
    channel = out.Text()
    warehouse = out.Key("warehouse_id")
    seller = out.Key("seller_id", allow_none=True)
    seller_name = out.Text()
    source_device = out.Text()
    is_offline = out.Flag()
    sale_date = out.Moment()
    currency = out.Text()
    sent_subtotal = out.Money(allow_none=True)
    sent_tax_amount = out.Money(allow_none=True)
    sent_total_amount = out.Money(allow_none=True)
    subtotal = out.Money()
    tax_amount = out.Money()
    total_amount = out.Money()
    difference = out.Money(
        lambda row: None if row.sent_total_amount is None else row.sent_total_amount - row.total_amount,
        allow_none=True,
    )


@routes.get("/variances", permission="sales:sale:read_all", query=VarianceQuery, answer=page_of(VarianceOut))
def variances(call: Call) -> dict[str, Any]:
    """List sales whose clients reckoned other totals than were posted, the last ones first."""
    return VarianceOut.page(*list_variances(call.session, call.query))


def list_variances(session: Session, query: Mapping[str, Any]) -> tuple[list[Any], str | None]:
    """Return a page of the documents that differ and that the actor may see, and the cursor of the next."""
    calendar = Calendar.of(snapshot_of(session))
    filters = {
        "warehouse": in_warehouse(session, Sale.warehouse_id),
        "channel": Sale.channel,
        "seller": Sale.seller_id,
        "source_device": Sale.source_device,
        "search": Sale.sale_number,
        "date_from": lambda day: Sale.sale_date >= calendar.start(day),
        "date_to": lambda day: Sale.sale_date < calendar.end(day),
    }
    sent = [
        column.label(f"sent_{column.name}")
        for column in (SaleSent.subtotal, SaleSent.tax_amount, SaleSent.total_amount)
    ]
    statement = (
        narrowed(visible_sales(session), query, filters)
        .join(SaleSent, SaleSent.sale_id == Sale.id)
        .where(DIFFERS)
        .with_only_columns(*Sale.__table__.columns, *sent)
    )
    return page(session, statement, ordering={"id": SaleSent.sale_id, "sale_date": Sale.sale_date}, query=query)
