"""The list of sales, which costs about the same however many there are.

What many sales have in common says little: such a list is walked in its order, and a page is full soon. What few have
in common is looked up by itself and then put in order. Which of the two a filter is, is tried out and not left to the
database: SQLite has no statistics, and PostgreSQL's do not say how filters go together, or that all of what is asked
for is long ago.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select, true
from sqlalchemy.orm import Session, aliased

from tillhook.db import among
from tillhook.http import page
from tillhook.reference import Calendar
from tillhook.runtime import snapshot_of
from tillhook.sales.models import IS_SOLD, Sale, SalePayment
from tillhook.sales.queries import sales_by_id
from tillhook.sales.rollups import visible_scope
from tillhook.sales.searching import found_keys, is_found

#: Up to that many sales are few; and up to that many so few that no other filter is tried.
_FEW, _VERY_FEW = 5_000, 200

_CANCELLATION, _PAYMENT, _EARLIER = aliased(Sale), aliased(SalePayment), aliased(SalePayment)


@dataclass(frozen=True, kw_only=True)
class _Filter:
    """What the sales of a list have in common.

    Args:
        condition: Says it of a row of ``sale``, in a form that no index answers.
        indexed: Says it so that an index answers it: of the row of ``beside`` with the sale's ``key``, if there is one.
            ``None`` when only a look at each sale can tell.
        order: The order in which that index has the sales.
        once: Of several such rows beside one sale, says it of the first only.
    """

    condition: ColumnElement[bool]
    indexed: Any
    order: str = ""
    beside: Any = None
    once: Any = field(default_factory=true)
    # By a factory: on a class, the attribute itself would be asked for its value.
    key: Any = field(default_factory=lambda: Sale.id)


def list_sales(session: Session, query: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return sales and exchanges that the actor may see, cancelled ones too.

    The newest first unless ordered otherwise: last recorded, or with ``date_from`` or ``date_to`` last sold.
    """
    is_dated = query.get("date_from") is not None or query.get("date_to") is not None
    query = {**query, "ordering": query["ordering"] or ("-sale_date" if is_dated else "-id")}
    order = query["ordering"].removeprefix("-").replace("created_at", "id")
    filters = _filters(session, query)
    first = next((each for each in filters if each.order == order), None)
    begin = _begin(session, filters, first)
    key = begin.key if begin is not None and begin is first else Sale.id
    # Keys are given when sales are recorded.
    ordering = {"id": key, "created_at": key, "total_amount": Sale.total_amount, "sale_date": Sale.sale_date}
    statement = select(Sale.id).where(IS_SOLD, *(each.condition for each in filters if each is not begin))
    if begin is not None:
        statement = statement.where(begin.indexed)
        if begin.beside is not None:
            statement = statement.join(begin.beside, begin.key == Sale.id).where(begin.once)
        if begin is not first:
            # Else SQLite would rather walk an index in this order.
            ordering = {name: func.coalesce(column, column) for name, column in ordering.items()}
    rows, cursor = page(session, statement, ordering=ordering, query=query)
    found = sales_by_id(session, rows)
    return [found[sale_id] for sale_id in rows], cursor


def _begin(session: Session, filters: list[_Filter], first: _Filter | None) -> _Filter | None:
    """Return what to begin with: a filter that few sales meet, about the fewest, else ``first``, the order's own."""
    if filters == [first]:
        return first
    begin, least = first, _FEW + 1
    for each in filters:
        if each.indexed is None:
            continue
        keys = select(each.key).where(each.indexed).limit(_FEW + 1)
        count = session.scalar(select(func.count()).select_from(keys.subquery())) or 0
        if count < least:
            begin, least = each, count
        if count <= _VERY_FEW:
            break
    return begin


def _filters(session: Session, query: Mapping[str, Any]) -> list[_Filter]:
    """Return what the query and the actor's sight ask for, what few sales may meet first."""
    scope = visible_scope(session, channel=query.get("channel"), warehouse_id=query.get("warehouse"))
    found = []
    if query["search"]:
        keys = found_keys(session, query["search"], _FEW)
        indexed = None if keys is None else among(Sale.id, keys)
        found.append(_Filter(condition=is_found(query["search"]), indexed=indexed))
    if query.get("customer") is not None:
        found.append(_equal(Sale.customer_id, query["customer"]))
    if query.get("is_cancelled") is not None:
        found.append(_cancelled() if query["is_cancelled"] else _not_cancelled())
    if query.get("payment_method") is not None:
        found.append(_paid_by(query["payment_method"]))
    if scope.seller is not None:
        found.append(_equal(Sale.seller_id, scope.seller))
    if scope.channel is not None or scope.warehouses is not None:
        warehouses = sorted(snapshot_of(session).warehouses) if scope.warehouses is None else scope.warehouses
        there = and_(
            Sale.warehouse_id.in_(warehouses), true() if scope.channel is None else Sale.channel == scope.channel
        )
        # Few sell elsewhere than where they work now.
        says_little = scope.seller is not None and "channel" not in query and "warehouse" not in query
        found.append(_Filter(condition=_hidden(there), indexed=None if says_little else there))
    if query.get("date_from") is not None or query.get("date_to") is not None:
        found.append(_dated(Calendar.of(snapshot_of(session)), query.get("date_from"), query.get("date_to")))
    return found


def _equal(column: Any, value: int) -> _Filter:
    return _Filter(condition=_hidden(column == value), indexed=column == value, order="id")


def _dated(calendar: Calendar, first: date | None, last: date | None) -> _Filter:
    begin = true() if first is None else Sale.sale_date >= calendar.start(first)
    end = true() if last is None else Sale.sale_date < calendar.end(last)
    return _Filter(condition=_hidden(and_(begin, end)), indexed=and_(begin, end), order="sale_date")


def _cancelled() -> _Filter:
    is_one, key = _CANCELLATION.kind == "cancellation", _CANCELLATION.origin_id
    condition = exists().where(key == Sale.id, is_one)
    return _Filter(condition=condition, indexed=is_one, order="id", beside=_CANCELLATION, key=key)


def _not_cancelled() -> _Filter:
    cancelled = exists().where(_CANCELLATION.origin_id == Sale.id, _CANCELLATION.kind == "cancellation")
    return _Filter(condition=~cancelled, indexed=None)


def _paid_by(method: str) -> _Filter:
    key, is_one = _PAYMENT.sale_id, _PAYMENT.method == method
    # Two payments by one method are one sale.
    earlier = exists().where(_EARLIER.sale_id == key, _EARLIER.id < _PAYMENT.id, _hidden(_EARLIER.method == method))
    condition = exists().where(key == Sale.id, _hidden(is_one))
    return _Filter(condition=condition, indexed=is_one, order="id", beside=_PAYMENT, once=~earlier, key=key)


def _hidden(condition: Any) -> Any:
    """Return the condition in a form that no index answers; how often it is true, PostgreSQL sees all the same."""
    return condition.is_(true())
