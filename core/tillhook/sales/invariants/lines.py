"""Prices, discounts and taxes of lines, computed again as the totals engine computes them.

What is plainly right, a line without an order discount whose tax is rounded by itself, is recognised in the database,
by whole numbers; of the rest each document goes through the engine.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, and_, case, false, func, or_, select, type_coerce
from sqlalchemy.orm import aliased

from tillhook.hooks import Difference
from tillhook.quantities import SCALE, ZERO
from tillhook.sales.invariants.differences import of_decimals, of_rule
from tillhook.sales.models import Sale, SaleLine
from tillhook.sales.totals import NOTHING, LineInput, LineTotals, compute, refund

#: Rows that are in memory at a time.
_CHUNK = 2_000
#: Factors up to here are multiplied in 64 bits: 100,000 pieces, and a price of 100,000.00.
_LARGEST = 10**9
_PARTS = ("total_price", "discount_share", "tax_amount")


def sold_lines(connection: Connection) -> Iterator[Difference]:
    """Find lines of sales and exchanges that do not cost what their quantity, price, discount and tax make."""
    rows = connection.execute(_suspects().execution_options(yield_per=_CHUNK))
    for _, group in groupby(rows, key=lambda row: row.sale_id):
        yield from _of_document(list(group))


def returned_lines(connection: Connection) -> Iterator[Difference]:
    """Find lines of which more or less was given back than all that came back of them makes."""
    for row in connection.execute(_RETURNED.execution_options(yield_per=_CHUNK)):
        if not 0 < row.back_quantity <= row.quantity:
            continue  # told by "returns"
        is_whole = row.back_quantity == row.quantity
        if not is_whole and not row.places == row.least_places == row.most_places:
            # Each was rounded as amounts were then, and the next one's amounts made up for it.
            continue
        expected = refund(
            LineTotals(row.total_price, row.discount_share, row.tax_amount),
            tax_inclusive=row.tax_inclusive,
            sold_quantity=row.quantity,
            returned=NOTHING,
            returned_quantity=ZERO,
            quantity=row.back_quantity,
            places=row.places,
        )
        subject = f"sale {row.sale_number}, line {row.line_number}: given back"
        for part, actual in zip(_PARTS, (row.back_price, row.back_share, row.back_tax), strict=True):
            if getattr(expected, part) != actual:
                yield of_decimals("returned lines", f"{subject} of {part}", getattr(expected, part), actual)


def lines_as_sold(connection: Connection) -> Iterator[Difference]:
    """Find lines that came back as something else than what was sold, and those of the wrong kind of document."""
    for query, rule, actual in (
        (_UNLIKE, "as it was sold", "otherwise"),
        (_NOT_CANCELLED, "all of the sale's line", "otherwise"),
        (_MISPLACED, "sold in a sale, back in a return", "otherwise"),
    ):
        for row in connection.execute(query):
            yield of_rule("lines as sold", f"sale {row.sale_number}, line {row.line_number}", rule, actual)


def _of_document(rows: list[Any]) -> Iterator[Difference]:
    first = rows[0]
    inputs = [
        LineInput(row.quantity, row.unit_price, row.discount_per_item, row.tax_rate, row.tax_inclusive) for row in rows
    ]
    discount = sum((row.discount_share for row in rows), ZERO)
    try:
        totals = compute(inputs, discount=discount, places=first.currency_places, rounding=first.tax_rounding)
    except ValueError as error:
        yield of_rule("sale lines", f"sale {first.sale_number}", "amounts that can be", str(error))
        return
    for row, line in zip(rows, totals.lines, strict=True):
        for part in _PARTS:
            expected, actual = getattr(line, part), getattr(row, part)
            if expected != actual:
                subject = f"sale {row.sale_number}, line {row.line_number}: {part}"
                yield of_decimals("sale lines", subject, expected, actual)


def _suspects() -> Select[*tuple[Any, ...]]:
    """Return the query of the documents that are not plainly right, with the lines that they sell."""
    sale_ids = (
        select(SaleLine.sale_id)
        .join(Sale, Sale.id == SaleLine.sale_id)
        .where(_is_sold(), ~_is_plainly_right())
        .scalar_subquery()
    )
    return (
        select(
            SaleLine.sale_id,
            SaleLine.line_number,
            SaleLine.quantity,
            SaleLine.unit_price,
            SaleLine.discount_per_item,
            SaleLine.tax_rate,
            SaleLine.tax_inclusive,
            SaleLine.total_price,
            SaleLine.discount_share,
            SaleLine.tax_amount,
            Sale.sale_number,
            Sale.currency_places,
            Sale.tax_rounding,
        )
        .join(Sale, Sale.id == SaleLine.sale_id)
        .where(_is_sold(), SaleLine.sale_id.in_(sale_ids))
        .order_by(SaleLine.sale_id, SaleLine.line_number)
    )


def _is_sold() -> ColumnElement[bool]:
    return and_(Sale.kind.in_(("sale", "exchange")), SaleLine.quantity > 0)


def _is_plainly_right() -> ColumnElement[bool]:
    """Return the condition that a line's amounts are right by arithmetic of whole numbers; false when in doubt."""
    quantity, rate, total, tax = map(
        _units, (SaleLine.quantity, SaleLine.tax_rate, SaleLine.total_price, SaleLine.tax_amount)
    )
    price = _units(SaleLine.unit_price) - _units(SaleLine.discount_per_item)
    step = case({places: 10 ** (4 - places) for places in range(5)}, value=Sale.currency_places)
    is_small = and_(
        quantity.between(1, _LARGEST),
        price.between(0, _LARGEST),
        rate.between(0, SCALE),
        total.between(0, _LARGEST * _LARGEST // SCALE),
    )
    of_total = case((SaleLine.tax_inclusive, SCALE + rate), else_=SCALE)
    is_right = and_(
        total == _rounded(quantity * price, SCALE * step) * step,
        tax == _rounded(total * rate, of_total * step) * step,
    )
    # Of an AND, PostgreSQL may compute what overflows before it looks whether it would.
    return case((and_(Sale.tax_rounding == "line", SaleLine.discount_share == 0, is_small), is_right), else_=false())


def _units(column: Any) -> ColumnElement[int]:
    return type_coerce(column, BigInteger)


def _rounded(dividend: ColumnElement[int], divisor: ColumnElement[int]) -> ColumnElement[int]:
    """Return the quotient of whole numbers that are not negative, halves rounded up."""
    return (2 * dividend + divisor) // (2 * divisor)


_origin, _origin_sale = aliased(SaleLine), aliased(Sale)
_RETURNED = (
    select(
        _origin_sale.sale_number,
        _origin.line_number,
        _origin.quantity,
        _origin.total_price,
        _origin.discount_share,
        _origin.tax_amount,
        _origin.tax_inclusive,
        _origin_sale.currency_places.label("places"),
        func.min(Sale.currency_places).label("least_places"),
        func.max(Sale.currency_places).label("most_places"),
        (-func.sum(SaleLine.quantity)).label("back_quantity"),
        (-func.sum(SaleLine.total_price)).label("back_price"),
        (-func.sum(SaleLine.discount_share)).label("back_share"),
        (-func.sum(SaleLine.tax_amount)).label("back_tax"),
    )
    .join(Sale, and_(Sale.id == SaleLine.sale_id, Sale.kind.in_(("return", "exchange"))))
    .join(_origin, _origin.id == SaleLine.origin_line_id)
    .join(_origin_sale, _origin_sale.id == _origin.sale_id)
    .group_by(_origin.id, _origin_sale.id)
    .order_by(_origin.id)
)
_back = select(Sale.sale_number, SaleLine.line_number).join(Sale, Sale.id == SaleLine.sale_id)
_AS_SOLD = (
    "product_id",
    "variant_id",
    "unit_price",
    "discount_per_item",
    "tax_id",
    "tax_rate",
    "tax_inclusive",
)
_UNLIKE = _back.join(_origin, _origin.id == SaleLine.origin_line_id).where(
    or_(*(getattr(SaleLine, name).is_distinct_from(getattr(_origin, name)) for name in _AS_SOLD))
)
_NOT_CANCELLED = _back.join(_origin, _origin.id == SaleLine.origin_line_id).where(
    Sale.kind == "cancellation",
    or_(
        _origin.sale_id != Sale.origin_id,
        *(getattr(SaleLine, name) != -getattr(_origin, name) for name in ("quantity", *_PARTS)),
    ),
)
_MISPLACED = _back.where(
    or_(
        SaleLine.origin_line_id.is_(None) != (SaleLine.quantity > 0),
        and_(Sale.kind == "sale", SaleLine.quantity < 0),
        and_(Sale.kind.in_(("return", "cancellation")), SaleLine.quantity > 0),
    )
)
