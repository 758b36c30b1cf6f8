"""The statement that reads totals: parts of unlike shape in rows of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    SQLColumnExpression,
    Text,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import join

from tillhook.db import Exact, among
from tillhook.products.models import Product
from tillhook.reference import Calendar
from tillhook.sales.models import Sale
from tillhook.sales.rollups.figures import DAYS, PRODUCTS, SELLER, TAXES, TENDERS, Rollup, day_of_sale, documents
from tillhook.sales.rollups.models import ALL, RollupCalendar, RollupProduct, UncountedSale
from tillhook.sales.rollups.periods import FRESH, LENGTHS, cover


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Whose sales: of a channel, of some warehouses, of a seller (0 the system); ``None`` for all."""

    channel: str | None = None
    warehouses: tuple[int, ...] | None = None
    seller: int | None = None


@dataclass(frozen=True)
class Span:
    """The days from ``first`` to ``last`` of a calendar."""

    calendar: Calendar
    first: date
    last: date

    def contains(self, day: SQLColumnExpression[int]) -> ColumnElement[bool]:
        """Return the condition that a day's number is of these days."""
        return day.between(self.first.toordinal(), self.last.toordinal())


@dataclass(frozen=True)
class Part:
    """Rows of a rollup by ``name``: which of its columns stand in which column of the statement."""

    rollup: Rollup
    name: str
    shown: Mapping[str, str]
    product_id: int | None = None


#: What all parts have; a ``label`` is text, ``key`` and ``number`` are whole numbers, the others exact.
COLUMNS = ("label", "key", "rate", "number", "first", "second")
PARTS = {
    "days": Part(DAYS, "day", {"key": "day", "number": "sales_count", "first": "quantity", "second": "amount"}),
    "tenders": Part(TENDERS, "method", {"label": "method", "number": "payment_count", "second": "amount"}),
    "taxes": Part(TAXES, "tax_id", {"key": "tax_id", "rate": "tax_rate", "first": "gross", "second": "tax"}),
    "products": Part(PRODUCTS, "product_id", {"key": "product_id", "first": "quantity", "second": "revenue"}),
}
_TYPES: dict[str, Any] = {"label": Text(), "key": BigInteger(), "number": BigInteger()}


def of_product(product_id: int) -> Part:
    """Return the part of one product's days."""
    return Part(PRODUCTS, "day", {"key": "day", "first": "quantity", "second": "revenue"}, product_id)


def statement(
    scope: Scope, span: Span, parts: Mapping[str, Part], top: int, *, is_counted: bool
) -> CompoundSelect[Any]:
    """Return the query of the parts: columns ``part`` and ``COLUMNS``.

    Args:
        is_counted: Whether it takes the rollups and what they do not have yet; it then has a row of the part
            ``counted``, and no row at all if the rollups are of another calendar. Otherwise it takes the journal.
    """
    of_calendar = exists().where(
        RollupCalendar.timezone == span.calendar.timezone,
        RollupCalendar.day_cutoff_hour == span.calendar.day_cutoff_hour,
    )
    document = _uncounted(scope, span, of_calendar) if is_counted else _journal(scope, span)
    answers = []
    for name, part in parts.items():
        rows: Any = _found(part, document)
        if is_counted:
            rows = union_all(_counted(part, scope, span).where(of_calendar), rows)
        answers.append(_answer(name, part, rows, top))
    if is_counted:
        answers.append(_shaped("counted", {}).where(of_calendar))
    return union_all(*answers)


def _uncounted(scope: Scope, span: Span, of_calendar: ColumnElement[bool]) -> CTE:
    """Return the documents that the rollups do not have. Nothing here lets the database begin with the sales."""
    day = day_of_sale(span.calendar, span.first, span.last)
    of = join(UncountedSale, Sale, Sale.id == UncountedSale.sale_id + 0)
    return documents(day, of_calendar, span.contains(day), *_limits(scope), of=of)


def _journal(scope: Scope, span: Span) -> CTE:
    day = day_of_sale(span.calendar, span.first, span.last)
    begin, end = span.calendar.start(span.first), span.calendar.end(span.last)
    return documents(day, Sale.sale_date >= begin, Sale.sale_date < end, *_limits(scope))


def _limits(scope: Scope) -> list[ColumnElement[bool]]:
    conditions: list[Any] = []
    if scope.channel is not None:
        conditions.append(Sale.channel == scope.channel)
    if scope.warehouses is not None:
        conditions.append(among(Sale.warehouse_id, scope.warehouses))
    if scope.seller is not None:
        conditions.append(scope.seller == SELLER)
    return conditions


def _counted(part: Part, scope: Scope, span: Span) -> Any:
    """Return what a rollup has of a part; of products, the sum and difference of periods."""
    columns = part.rollup.columns
    # Not by ``among``: SQLite takes it for 25 keys, and would rather read the whole table.
    places = columns["warehouse_id"].in_((ALL,) if scope.warehouses is None else scope.warehouses)
    mine: list[Any] = [places, columns["seller_id"] == (ALL if scope.seller is None else scope.seller)]
    if scope.channel is not None:
        mine.append(columns["channel"] == scope.channel)
    if part.rollup is not PRODUCTS:
        return select(*(columns[name] for name in part.shown.values())).where(span.contains(columns["day"]), *mine)
    if part.product_id is not None:
        # In so many words, for the index has these rows only.
        days = [RollupProduct.length <= literal_column("1"), RollupProduct.product_id == part.product_id]
        return select(RollupProduct.first_day.label("day"), RollupProduct.quantity, RollupProduct.revenue).where(
            span.contains(RollupProduct.first_day), *days, *mine
        )
    return _periods(span, mine)


def _periods(span: Span, mine: list[Any]) -> Any:
    """Return what was sold of products in a span: its fresh days, and the periods that make it up.

    They are always as many queries, one by length.
    """
    periods = cover(span.first, span.last)
    figures = (getattr(RollupProduct, name) for name in PRODUCTS.figures)
    fresh = RollupProduct.length == FRESH, span.contains(RollupProduct.first_day)
    queries = [select(RollupProduct.product_id, *figures).where(*fresh, *mine)]
    for length in LENGTHS:
        taken_off = [each.first_day for each in periods if each.length == length and each.sign < 0]
        sign = case((RollupProduct.first_day.in_(taken_off), -1), else_=1)
        sums = ((sign * getattr(RollupProduct, name)).label(name) for name in PRODUCTS.figures)
        wanted = RollupProduct.first_day.in_([each.first_day for each in periods if each.length == length])
        queries.append(select(RollupProduct.product_id, *sums).where(RollupProduct.length == length, wanted, *mine))
    return select(union_all(*queries).subquery())


def _found(part: Part, document: CTE) -> Select[Any]:
    """Return the same of documents."""
    each = part.rollup.each(document).subquery()
    query = select(*(each.c[name] for name in part.shown.values()))
    # Plus nothing: else the database would begin with all lines that this product ever had.
    return query if part.product_id is None else query.where(each.c.product_id + 0 == part.product_id)


def _answer(name: str, part: Part, rows: Any, top: int) -> Select[Any]:
    found = rows.subquery()
    names = [each for each in part.shown.values() if each not in part.rollup.figures]
    keys = [found.c[each] for each in names]
    sums = {each: func.sum(found.c[each]) for each in part.rollup.figures}
    shown = {place: sums[each] if each in sums else found.c[each] for place, each in part.shown.items()}
    if part is not PARTS["products"]:
        there = or_(*(each != 0 for each in sums.values()))
        return _shaped(name, shown).select_from(found).group_by(*keys).having(there)
    sold = _shaped(name, shown).select_from(found).group_by(*keys).subquery()
    best = (
        select(sold)
        .join(Product, Product.id == sold.c.key)
        .where(or_(sold.c.first > 0, sold.c.second > 0))
        .with_only_columns(*(Product.name.label("label") if each.name == "label" else each for each in sold.c))
        .order_by(sold.c.second.desc(), Product.name, Product.id)
        .limit(top)
        .subquery()
    )
    return select(best)


def _shaped(part: str, shown: Mapping[str, Any]) -> Select[Any]:
    """Return a query for the columns of all parts; what is not shown is null."""
    columns = []
    for name in COLUMNS:
        kind = _TYPES.get(name, Exact())
        value = shown[name] if name in shown else cast(literal_column("NULL"), kind)
        columns.append(type_coerce(value, kind).label(name))
    return select(literal(part, Text).label("part"), *columns)
