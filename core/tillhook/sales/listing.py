"""The list of sales and of what takes them back, which costs about the same however many there are.

What many sales have in common says little: such a list is walked in its order, and a page is full soon. What few have
in common is looked up by itself and then put in order. Which of the two a filter is, is tried out and not left to the
database: SQLite has no statistics, and PostgreSQL's do not say how filters go together, or that all of what is asked
for is long ago.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, literal_column, or_, select, true, tuple_
from sqlalchemy.orm import Session, aliased

from tillhook.db import among
from tillhook.http import page
from tillhook.ledger.models import Lot, StockMovement
from tillhook.products.models import Variant
from tillhook.reference import Calendar
from tillhook.runtime import snapshot_of
from tillhook.sales.models import IS_BACK, IS_SOLD, Sale, SaleLine, SalePayment
from tillhook.sales.queries import sales_by_id
from tillhook.sales.rollups import visible_scope
from tillhook.sales.searching import found_keys, has_number, is_found

#: Up to that many sales are few; and up to that many so few that no other filter is tried.
_FEW, _VERY_FEW = 5_000, 200

_SOLD, _BACK = frozenset({"sale", "exchange"}), frozenset({"return", "cancellation"})

_CANCELLATION, _PAYMENT, _EARLIER = aliased(Sale), aliased(SalePayment), aliased(SalePayment)
_LINE, _LINE_BEFORE = aliased(SaleLine), aliased(SaleLine)
_MOVED, _MOVED_BEFORE = aliased(StockMovement), aliased(StockMovement)
# What last took a document back, or else that document; and any that did.
_LAST, _ANY_BACK = aliased(Sale), aliased(Sale)


@dataclass(frozen=True, kw_only=True)
class _Filter:
    """What the sales of a list have in common.

    Args:
        condition: Says it of a row of ``sale``, in a form that no index answers.
        indexed: Says it so that an index answers it: of the row of ``beside`` with the sale's ``key``, if there is one.
            ``None`` when only a look at each sale can tell.
        order: The order in which that index has the sales.
        once: Of several such rows beside one sale, says it of the first only.
        is_first: Begin with it, however many sales it may be.
    """

    condition: ColumnElement[bool]
    indexed: Any
    order: str = ""
    beside: Any = None
    once: Any = field(default_factory=true)
    # By a factory: on a class, the attribute itself would be asked for its value.
    key: Any = field(default_factory=lambda: Sale.id)
    is_first: bool = False


def list_sales(session: Session, query: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return documents that the actor may see: without a ``kind`` sales and exchanges, cancelled ones too.

    A number finds any document, and with ``origin`` it is all that takes that one back. The newest first unless
    ordered otherwise: last recorded, or with ``date_from`` or ``date_to`` last sold; with ``updated_after`` it is what
    changed first.
    """
    query = {**query, "ordering": query["ordering"] or _usual_order(query)}
    order = query["ordering"].removeprefix("-").replace("created_at", "id")
    filters = _filters(session, query, order)
    first = next((each for each in filters if each.order == order), None)
    if order == "id" and "sale" not in _kinds(query):
        first = None  # their own index has fewer
    begin = _begin(session, filters, first)
    key = begin.key if begin is not None and begin is first and begin.beside is not None else Sale.id
    # Keys are given when sales are recorded.
    ordering = {"id": key, "created_at": key, "updated_at": _LAST.created_at}
    ordering |= {"total_amount": Sale.total_amount, "sale_date": Sale.sale_date}
    # By its name, for conditions have further tables, which joins could begin with as well.
    statement = select(Sale.id).select_from(Sale).where(*(each.condition for each in filters if each is not begin))
    if _is_of_changes(query, order):
        statement = statement.join(_LAST, _is_last(begins=begin is not None and begin.key is _LAST.id))
    if begin is not None:
        statement = statement.where(begin.indexed)
        if begin.beside is not None:
            statement = statement.join(begin.beside, begin.key == Sale.id).where(begin.once)
        if begin is not first:
            # Else SQLite would rather walk an index in this order.
            ordering = {name: func.coalesce(column, column) for name, column in ordering.items()}
    kinds = _of_kinds(query)
    apart = [kinds] if begin is not None else _apart(query, order, kinds)
    rows, cursor = page(session, statement, ordering=ordering, query=query, apart=apart)
    found = sales_by_id(session, rows)
    return [found[sale_id] for sale_id in rows], cursor


def _usual_order(query: Mapping[str, Any]) -> str:
    if query.get("updated_after") is not None:
        return "updated_at"
    return "-sale_date" if query.get("date_from") is not None or query.get("date_to") is not None else "-id"


def _is_of_changes(query: Mapping[str, Any], order: str) -> bool:
    return order == "updated_at" or query.get("updated_after") is not None


def _is_last(*, begins: bool) -> ColumnElement[bool]:
    """Return the condition that ``_LAST`` is what last took a document back, or else the document.

    Args:
        begins: The database is to begin with ``_LAST``, and not with the document.
    """
    if begins:
        later = tuple_(_ANY_BACK.created_at, _ANY_BACK.id) > tuple_(_LAST.created_at, _LAST.id)
        # PostgreSQL sees that this is mostly so, and therefore stops when a page is full.
        newer = exists().where(_ANY_BACK.origin_id == Sale.id, or_(_LAST.id == Sale.id, later))
        return and_(Sale.id.in_((_LAST.id, _LAST.origin_id)), ~newer)
    newest = (
        select(_ANY_BACK.id)
        .where(_ANY_BACK.origin_id == Sale.id)
        .order_by(_ANY_BACK.created_at.desc(), _ANY_BACK.id.desc())
        .limit(1)
        .correlate(Sale)
        .scalar_subquery()
    )
    return _LAST.id == func.coalesce(newest, Sale.id)


def _kinds(query: Mapping[str, Any]) -> frozenset[str]:
    """Return which kinds of documents are asked for."""
    kinds: frozenset[str] | None = query.get("kind")
    if kinds is not None:
        return kinds
    return _SOLD if query.get("origin") is None else _SOLD | _BACK


def _of_kinds(query: Mapping[str, Any]) -> ColumnElement[bool]:
    """Return the condition that a document is of the kinds that are asked for, or nearly."""
    if not _kinds(query) <= _SOLD:
        return true()  # some of them are a filter, see below
    return or_(IS_SOLD, has_number(query["search"])) if query.get("kind") is None and query["search"] else IS_SOLD


def _apart(query: Mapping[str, Any], order: str, kinds: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    """Return ``kinds`` as conditions of which each document meets one, and for each of which an index has the order."""
    if order == "total_amount" and kinds is not IS_SOLD:
        return [IS_BACK] if _kinds(query) <= _BACK else [IS_SOLD, and_(IS_BACK, kinds)]
    if order == "id" and "sale" not in _kinds(query):
        return [_taking_back([kind]) for kind in sorted(_kinds(query))]
    return [kinds]


def _begin(session: Session, filters: list[_Filter], first: _Filter | None) -> _Filter | None:
    """Return what to begin with: a filter that few sales meet, about the fewest, else ``first``, the order's own."""
    if filters == [first]:
        return first
    for each in filters:
        if each.is_first:
            return each
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


def _filters(session: Session, query: Mapping[str, Any], order: str) -> list[_Filter]:
    """Return what the query and the actor's sight ask for, what few sales may meet first."""
    scope = visible_scope(session, channel=query.get("channel"), warehouse_id=query.get("warehouse"))
    found = []
    if query.get("origin") is not None:
        found.append(_equal(Sale.origin_id, query["origin"], order=""))
    if query.get("batch") is not None:
        found.append(_of_batch(session, query["batch"], query.get("product")))
    elif query.get("product") is not None:
        found.append(_of_product(query["product"]))
    if query["search"]:
        keys = found_keys(session, query["search"], _FEW)
        indexed = None if keys is None else among(Sale.id, keys)
        found.append(_Filter(condition=is_found(query["search"]), indexed=indexed))
    if query.get("customer") is not None:
        found.append(_equal(Sale.customer_id, query["customer"]))
    if query.get("seller") is not None:
        found.append(_equal(Sale.seller_id, query["seller"]))
    if query.get("device") is not None:
        found.append(_equal(Sale.source_device, query["device"]))
    if _kinds(query) not in (_SOLD, _SOLD | _BACK):
        found.append(_of_some_kinds(_kinds(query)))
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
    if _is_of_changes(query, order):
        found.append(_changed_after(query.get("updated_after")))
    return found


def _equal(column: Any, value: int | str, *, order: str = "id") -> _Filter:
    return _Filter(condition=_hidden(column == value), indexed=column == value, order=order)


def _changed_after(moment: datetime | None) -> _Filter:
    if moment is None:
        return _Filter(condition=true(), indexed=true(), order="updated_at", key=_LAST.id)
    changed = _LAST.created_at > moment
    return _Filter(condition=_hidden(changed), indexed=changed, order="updated_at", key=_LAST.id)


def _of_some_kinds(kinds: frozenset[str]) -> _Filter:
    indexed = None if "sale" in kinds else _taking_back(sorted(kinds))
    return _Filter(condition=_hidden(Sale.kind.in_(sorted(kinds))), indexed=indexed)


def _taking_back(kinds: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition of an index that has only what takes something back."""
    return and_(Sale.kind.in_(kinds), Sale.origin_id.is_not(None))


def _of_product(product_id: int) -> _Filter:
    key, is_one = _LINE.sale_id, _LINE.product_id == product_id
    earlier = exists().where(
        _LINE_BEFORE.sale_id == key, _LINE_BEFORE.id < _LINE.id, _hidden(_LINE_BEFORE.product_id == product_id)
    )
    # As a value, for PostgreSQL would rather read all lines than look into each sale.
    some = select(func.min(_LINE.id)).where(key == Sale.id, _hidden(is_one)).correlate(Sale).scalar_subquery()
    return _Filter(condition=some.is_not(None), indexed=is_one, order="id", beside=_LINE, once=~earlier, key=key)


def _of_batch(session: Session, batch: str, product_id: int | None) -> _Filter:
    """Return what says that a document moved goods of the lots of that number, of one product or of any."""
    lots = select(Lot.id).where(Lot.batch_number == batch)
    if product_id is not None:
        lots = lots.join(Variant, Variant.id == Lot.variant_id).where(Variant.product_id == product_id)
    keys = list(session.scalars(lots))
    is_one = and_(among(_MOVED.lot_id, keys), _MOVED.lot_id != literal_column("0"))
    earlier = exists().where(
        _MOVED_BEFORE.document_type == _MOVED.document_type,
        _MOVED_BEFORE.document_id == _MOVED.document_id,
        _MOVED_BEFORE.id < _MOVED.id,
        among(_MOVED_BEFORE.lot_id + 0, keys),
    )
    once = and_(_hidden(_MOVED.document_type == Sale.kind), ~earlier)
    return _Filter(condition=true(), indexed=is_one, beside=_MOVED, once=once, key=_MOVED.document_id, is_first=True)


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
