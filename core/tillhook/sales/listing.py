"""The list of sales, which costs about the same however many there are.

What many sales have in common says little: such a list is walked in its order, and a page is full soon. What few have
in common is looked up by itself and then put in order. Which of the two a filter is, is tried out and not left to the
database: SQLite has no statistics, and PostgreSQL's do not say how filters go together, or that all of what is asked
for is long ago.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
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

#: Up to that many sales are few.
_FEW = 5_000

_CANCELLATION, _PAYMENT, _EARLIER = aliased(Sale), aliased(SalePayment), aliased(SalePayment)


@dataclass(frozen=True, kw_only=True)
class _Filter:
    """What the sales of a list have in common.

    Args:
        condition: Says it of a row of ``sale``, and gives the database nothing to begin with.
        keys: Selects the sales' keys by an index.
        order: Of lists in this order an index begins with it: by ``indexed``, or by ``key`` of the row ``beside`` it.
    """

    condition: ColumnElement[bool]
    keys: Any
    order: str = ""
    indexed: Any = None
    beside: Any = None
    key: Any = None


def list_sales(session: Session, query: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return sales and exchanges that the actor may see, cancelled ones too.

    The newest first unless ordered otherwise: last recorded, or with ``date_from`` or ``date_to`` last sold.
    """
    is_dated = query.get("date_from") is not None or query.get("date_to") is not None
    query = {**query, "ordering": query["ordering"] or ("-sale_date" if is_dated else "-id")}
    ordering: dict[str, Any] = {
        "id": Sale.id,
        # Keys are given when sales are recorded.
        "created_at": Sale.id,
        "total_amount": Sale.total_amount,
        "sale_date": Sale.sale_date,
    }
    order = query["ordering"].removeprefix("-").replace("created_at", "id")
    statement = select(Sale.id).where(IS_SOLD)
    filters = _filters(session, query)
    first = next((each for each in filters if each.order == order), None)
    begin = _begin(session, filters, first)
    if begin is not None and begin is first:
        filters.remove(first)
        statement = statement.where(first.indexed)
        if first.beside is not None:
            statement = statement.join(first.beside, first.key == Sale.id)
            ordering |= {"id": first.key, "created_at": first.key}
    elif begin is not None:
        statement = statement.where(among(Sale.id, set(session.scalars(begin.keys))))
        # SQLite would rather walk an index in this order until it meets them.
        ordering = {name: func.coalesce(column, column) for name, column in ordering.items()}
    statement = statement.where(*(each.condition for each in filters))
    rows, cursor = page(session, statement, ordering=ordering, query=query)
    found = sales_by_id(session, rows)
    return [found[sale_id] for sale_id in rows], cursor


def _begin(session: Session, filters: list[_Filter], first: _Filter | None) -> _Filter | None:
    """Return what to begin with: what few sales meet, the fewest, or else ``first``, by which the order's index begins."""
    if filters == [first]:
        return first
    counts = [(_count(session, each.keys), each) for each in filters if each.keys is not None]
    least, fewest = min(counts, key=itemgetter(0), default=(_FEW + 1, None))
    return fewest if least <= _FEW else first


def _count(session: Session, keys: Any) -> int:
    """Return how many keys there are, those beyond ``_FEW`` as one."""
    return session.scalar(select(func.count()).select_from(keys.limit(_FEW + 1).subquery())) or 0


def _filters(session: Session, query: Mapping[str, Any]) -> list[_Filter]:
    """Return what the query and the actor's sight ask for, what few sales may meet first."""
    scope = visible_scope(session, channel=query.get("channel"), warehouse_id=query.get("warehouse"))
    found = []
    if query["search"]:
        keys = found_keys(session, query["search"], _FEW)
        looked_up = None if keys is None else _keys(among(Sale.id, keys))
        found.append(_Filter(condition=is_found(query["search"]), keys=looked_up))
    if query.get("customer") is not None:
        found.append(_equal(Sale.customer_id, query["customer"]))
    if query.get("is_cancelled") is not None:
        found.append(_cancelled() if query["is_cancelled"] else _not_cancelled())
    if query.get("payment_method") is not None:
        found.append(_paid_by(query["payment_method"]))
    if scope.channel is not None or scope.warehouses is not None:
        warehouses = sorted(snapshot_of(session).warehouses) if scope.warehouses is None else scope.warehouses
        found.append(_placed(warehouses, scope.channel))
    if scope.seller is not None:
        found.append(_equal(Sale.seller_id, scope.seller))
    if query.get("date_from") is not None or query.get("date_to") is not None:
        found.append(_dated(Calendar.of(snapshot_of(session)), query.get("date_from"), query.get("date_to")))
    return found


def _equal(column: Any, value: int) -> _Filter:
    indexed = column == value
    return _Filter(condition=_hidden(indexed), keys=_keys(indexed), order="id", indexed=indexed)


def _placed(warehouses: Collection[int], channel: str | None) -> _Filter:
    there = and_(Sale.warehouse_id.in_(warehouses), true() if channel is None else Sale.channel == channel)
    return _Filter(condition=_hidden(there), keys=_keys(there))


def _dated(calendar: Calendar, first: date | None, last: date | None) -> _Filter:
    begin = true() if first is None else Sale.sale_date >= calendar.start(first)
    end = true() if last is None else Sale.sale_date < calendar.end(last)
    indexed = and_(begin, end)
    return _Filter(condition=_hidden(indexed), keys=_keys(indexed), order="sale_date", indexed=indexed)


def _cancelled() -> _Filter:
    is_one, key = _CANCELLATION.kind == "cancellation", _CANCELLATION.origin_id
    return _Filter(
        condition=exists().where(key == Sale.id, is_one),
        keys=select(key).where(is_one),
        order="id",
        indexed=is_one,
        beside=_CANCELLATION,
        key=key,
    )


def _not_cancelled() -> _Filter:
    cancelled = exists().where(_CANCELLATION.origin_id == Sale.id, _CANCELLATION.kind == "cancellation")
    return _Filter(condition=~cancelled, keys=None)


def _paid_by(method: str) -> _Filter:
    key, is_one = _PAYMENT.sale_id, _PAYMENT.method == method
    # Two payments by one method are one sale.
    earlier = exists().where(_EARLIER.sale_id == key, _EARLIER.id < _PAYMENT.id, _hidden(_EARLIER.method == method))
    return _Filter(
        condition=exists().where(key == Sale.id, _hidden(is_one)),
        keys=select(key).where(is_one),
        order="id",
        indexed=and_(is_one, ~earlier),
        beside=_PAYMENT,
        key=key,
    )


def _keys(condition: ColumnElement[bool]) -> Any:
    return select(Sale.id).where(condition)


def _hidden(condition: Any) -> Any:
    """Return the condition in a form that no index answers; how often it is true, PostgreSQL sees all the same."""
    return condition.is_(true())
