"""What a document counts, and how its figures are summed.

One rule for every figure: a document counts on the business day of its ``sale_date``, with its sign. Sales and
exchanges count 1, cancellations -1, returns 0. What is taken back is taken off the figures of the seller who had sold
it, whoever took it back; an exchange is its own seller's. Revenue of a product is what its lines cost after all
discounts, without taxes that come on top. A sale that was paid by several methods counts once, at the one that paid
most of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import aliased

from tillhook.db import Base, day_number
from tillhook.reference import Calendar
from tillhook.sales.models import Sale, SaleLine, SalePayment
from tillhook.sales.rollups.models import ALL, RollupDay, RollupProduct, RollupTax, RollupTender
from tillhook.sales.sums import GROSS, NET

#: The "method" of documents that nothing was paid for.
UNPAID = "none"

_NOTHING = literal_column("0", BigInteger)
_ORIGIN = aliased(Sale)
#: Whose figures a document is in.
SELLER = func.coalesce(case((_ORIGIN.id.is_(None), Sale.seller_id), else_=_ORIGIN.seller_id), 0)
_REVENUE = SaleLine.total_price - SaleLine.discount_share


def day_of_sale(calendar: Calendar, first: date, last: date) -> ColumnElement[int]:
    """Return the number of a sale's business day; it may be any day, but is right from ``first`` to ``last`` only."""
    *changes, shift = calendar.shifts(first, last)
    seconds: ColumnElement[int] = literal(shift.seconds)
    if changes:
        seconds = case(*((Sale.sale_date < each.until, each.seconds) for each in changes), else_=seconds)
    return day_number(Sale.sale_date, seconds)


def documents(day: ColumnElement[int], *conditions: ColumnElement[bool], of: Any = Sale) -> CTE:
    """Return the documents that meet the conditions: their day, whose figures they are in, and what they count.

    Args:
        of: What to select from: ``Sale``, or a join with it.
    """
    found = (
        select(
            Sale.id,
            day.label("day"),
            Sale.warehouse_id,
            SELLER.label("seller_id"),
            Sale.channel,
            case((Sale.kind == "return", 0), (Sale.kind == "cancellation", -1), else_=1).label("sign"),
            Sale.total_amount,
        )
        .select_from(of)
        .outerjoin(_ORIGIN, and_(_ORIGIN.id == Sale.origin_id, Sale.kind.in_(("return", "cancellation"))))
        .where(*conditions)
    )
    return found.cte("document").prefix_with("MATERIALIZED")


@dataclass(frozen=True)
class Rollup:
    """A table of figures: what names a row besides whose figures they are, and the figures of each document."""

    table: type[Base]
    names: tuple[str, ...]
    figures: tuple[str, ...]
    each: Callable[[CTE], Select[Any]]

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the primary key."""
        return tuple(key.name for key in self.table.__table__.primary_key)

    @property
    def columns(self) -> dict[str, ColumnElement[Any]]:
        return {each.name: each for each in self.table.__table__.columns}


def summed(rollup: Rollup, document: CTE, lengths: Iterable[int]) -> Select[Any]:
    """Return the rows of a table that documents make, in the table's order: its columns by their names."""
    each = rollup.each(document).subquery("each")
    widths = _one_column("width", range(3))
    rows: dict[str, ColumnElement[Any]] = {name: each.c[name] for name in each.c.keys()}  # noqa: SIM118 - its names, not its columns
    rows["warehouse_id"] = case((widths.c.width == 2, ALL), else_=each.c.warehouse_id)
    rows["seller_id"] = case((widths.c.width == 0, each.c.seller_id), else_=ALL)
    source: FromClause = each.join(widths, true())
    if rollup.table is RollupProduct:
        length = _one_column("length", lengths)
        source = source.join(length, true())
        rows |= {"length": length.c.length, "first_day": each.c.day - each.c.day % length.c.length}
    scoped = select(*(rows[name].label(name) for name in rollup.columns if name in rows)).select_from(source).subquery()
    keys = [scoped.c[name] for name in rollup.keys]
    sums = [func.sum(scoped.c[name]).label(name) for name in rollup.figures]
    return select(*keys, *sums).group_by(*keys).order_by(*keys)


def _one_column(name: str, numbers: Iterable[int]) -> CTE:
    # Not VALUES: SQLAlchemy compiles a statement that has them anew each time.
    return union_all(*(select(literal_column(str(each), BigInteger).label(name)) for each in numbers)).cte(f"{name}s")


def _owner(document: CTE) -> tuple[ColumnElement[Any], ...]:
    return tuple(document.c[name] for name in ("warehouse_id", "seller_id", "channel", "day"))


def _days(document: CTE) -> Select[Any]:
    sold = select(
        *_owner(document),
        document.c.sign.label("sales_count"),
        _NOTHING.label("quantity"),
        document.c.total_amount.label("amount"),
    )
    goods = select(*_owner(document), _NOTHING, SaleLine.quantity, _NOTHING).join(
        SaleLine, SaleLine.sale_id == document.c.id
    )
    return select(union_all(sold, goods).subquery())


def _tenders(document: CTE) -> Select[Any]:
    method = func.coalesce(SalePayment.method, UNPAID)
    amount = func.coalesce(func.sum(NET), 0)
    paid = (
        select(document.c.id, *_owner(document), document.c.sign, method.label("method"), amount.label("amount"))
        .outerjoin(SalePayment, SalePayment.sale_id == document.c.id)
        .group_by(document.c.id, *_owner(document), document.c.sign, method)
        .subquery("paid")
    )
    place = func.row_number().over(partition_by=paid.c.id, order_by=(func.abs(paid.c.amount).desc(), paid.c.method))
    return select(
        *(paid.c[name] for name in ("warehouse_id", "seller_id", "channel", "day", "method")),
        case((place == 1, paid.c.sign), else_=0).label("payment_count"),
        # One sum among them would make PostgreSQL add up all of them as numerics.
        cast(paid.c.amount, BigInteger).label("amount"),
    )


def _taxes(document: CTE) -> Select[Any]:
    return select(
        *_owner(document),
        func.coalesce(SaleLine.tax_id, 0).label("tax_id"),
        SaleLine.tax_rate,
        GROSS.label("gross"),
        SaleLine.tax_amount.label("tax"),
    ).join(SaleLine, SaleLine.sale_id == document.c.id)


def _products(document: CTE) -> Select[Any]:
    return select(*_owner(document), SaleLine.product_id, SaleLine.quantity, _REVENUE.label("revenue")).join(
        SaleLine, SaleLine.sale_id == document.c.id
    )


DAYS = Rollup(RollupDay, ("day",), ("sales_count", "quantity", "amount"), _days)
TENDERS = Rollup(RollupTender, ("method",), ("payment_count", "amount"), _tenders)
TAXES = Rollup(RollupTax, ("tax_id", "tax_rate"), ("gross", "tax"), _taxes)
PRODUCTS = Rollup(RollupProduct, ("product_id",), ("quantity", "revenue"), _products)
ROLLUPS = (DAYS, TENDERS, TAXES, PRODUCTS)
