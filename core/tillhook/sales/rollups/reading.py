"""Reading totals: the rollups, and what they do not have yet, in one statement.

One statement sees one snapshot: nothing is missing and nothing is there twice, whoever counts meanwhile and whether or
not the job runs. While the rollups are of another calendar than the settings' it finds nothing, and a second one sums
the journal: right at any time, and slow.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import Row, join, select
from sqlalchemy.orm import Session

from tillhook.access import require_warehouse, sees_all_sales, visible_warehouses
from tillhook.reference import Calendar
from tillhook.runtime import actor_of, snapshot_of
from tillhook.sales.models import SaleLine
from tillhook.sales.rollups.models import RollupProduct, UncountedSale
from tillhook.sales.rollups.statements import PARTS, Part, Scope, Span, of_product, statement

#: No document is older: the journal does not believe a clock that says so.
EARLIEST = date(1999, 12, 31)


class DayTotal(NamedTuple):
    """Sales of a day; the count is net of cancellations."""

    day: date
    sales_count: int
    quantity: Decimal
    amount: Decimal


class TenderTotal(NamedTuple):
    """What came in by a payment method, ``none`` where nothing was paid; each sale counts once."""

    method: str
    sales_count: int
    amount: Decimal


class TaxTotal(NamedTuple):
    """What was sold under a tax, ``None`` without one, at a rate (a fraction); ``gross`` is with the tax."""

    tax_id: int | None
    tax_rate: Decimal
    gross: Decimal
    tax: Decimal


class ProductTotal(NamedTuple):
    """What was sold of a product; revenue is after all discounts, without taxes that come on top."""

    product_id: int
    name: str
    quantity: Decimal
    revenue: Decimal


@dataclass(frozen=True)
class Totals:
    """The parts that were asked for, of one snapshot; rows without any figure are left out."""

    days: list[DayTotal] = field(default_factory=list)
    tenders: list[TenderTotal] = field(default_factory=list)
    taxes: list[TaxTotal] = field(default_factory=list)
    products: list[ProductTotal] = field(default_factory=list)


def visible_scope(session: Session, *, channel: str | None = None, warehouse_id: int | None = None) -> Scope:
    """Return what the actor may see: the own warehouses, and the own sales unless ``sales:sale:read_all`` is held.

    Raises:
        ValidationFailed, PermissionDenied: The warehouse is unknown, or not the actor's.
    """
    seller = None if sees_all_sales(session) else actor_of(session).user_id
    if warehouse_id is not None:
        require_warehouse(session, warehouse_id)
        return Scope(channel=channel, warehouses=(warehouse_id,), seller=seller)
    visible = visible_warehouses(session)
    return Scope(channel=channel, warehouses=None if visible is None else tuple(sorted(visible)), seller=seller)


def totals(session: Session, scope: Scope, first: date, last: date, parts: Collection[str], *, top: int = 10) -> Totals:
    """Return totals of the business days from ``first`` to ``last``, all parts of the same moment.

    The tenders' counts add up to the sales, and their amounts to the days' and the cash rounding.

    Args:
        parts: Some of ``days``, ``tenders``, ``taxes``, ``products``.
        top: How many products, those of the most revenue first, equals by name.
    """
    found = _read(session, scope, first, last, {part: PARTS[part] for part in parts}, top)
    return Totals(
        days=[
            DayTotal(date.fromordinal(row.key), int(row.number), row.first, row.second) for row in found.get("days", ())
        ],
        tenders=[TenderTotal(row.label, int(row.number), row.second) for row in found.get("tenders", ())],
        taxes=[TaxTotal(row.key or None, row.rate, row.first, row.second) for row in found.get("taxes", ())],
        products=[ProductTotal(row.key, row.label, row.first, row.second) for row in found.get("products", ())],
    )


def totals_by_day(session: Session, scope: Scope, first: date, last: date) -> list[DayTotal]:
    """Return the totals of each day on which there was something."""
    return totals(session, scope, first, last, ("days",)).days


def totals_by_tender(session: Session, scope: Scope, first: date, last: date) -> list[TenderTotal]:
    """Return the totals of each payment method."""
    return totals(session, scope, first, last, ("tenders",)).tenders


def totals_by_tax(session: Session, scope: Scope, first: date, last: date) -> list[TaxTotal]:
    """Return the totals of each tax and rate."""
    return totals(session, scope, first, last, ("taxes",)).taxes


def totals_by_product(session: Session, scope: Scope, first: date, last: date, *, top: int) -> list[ProductTotal]:
    """Return the totals of the ``top`` products."""
    return totals(session, scope, first, last, ("products",), top=top).products


def days_of_product(
    session: Session, scope: Scope, product_id: int, first: date, last: date
) -> list[tuple[date, Decimal, Decimal]]:
    """Return quantity and revenue of a product by day."""
    found = _read(session, scope, first, last, {"product": of_product(product_id)}, 0)
    return [(date.fromordinal(row.key), row.first, row.second) for row in found.get("product", ())]


def was_sold(session: Session, product_id: int) -> bool:
    """Say whether the journal names a product."""
    counted = select(RollupProduct.product_id).where(RollupProduct.product_id == product_id)
    line = join(UncountedSale, SaleLine, SaleLine.sale_id == UncountedSale.sale_id)
    uncounted = select(SaleLine.id).select_from(line).where(SaleLine.product_id == product_id)
    return any(session.scalar(each.limit(1)) is not None for each in (counted, uncounted))


def _read(
    session: Session, scope: Scope, first: date, last: date, parts: Mapping[str, Part], top: int
) -> dict[str, list[Row[Any]]]:
    """Return the rows of the parts, by part, from the rollups or, while those are of another calendar, the journal."""
    snapshot = snapshot_of(session)
    calendar = Calendar.of(snapshot)
    first, last = max(first, EARLIEST), min(last, calendar.today())
    if last < first:
        return {}
    span = Span(calendar, first, last)
    if scope.seller is not None and scope.warehouses is None:
        scope = replace(scope, warehouses=tuple(snapshot.warehouses))
    rows = session.execute(statement(scope, span, parts, top, is_counted=True)).all()
    if not rows:
        rows = session.execute(statement(scope, span, parts, top, is_counted=False)).all()
    by_part = attrgetter("part")
    return {part: list(group) for part, group in groupby(sorted(rows, key=by_part), by_part)}
