"""What chosen documents add up to, for who reports on them: payments by method, taxes by rate.

Amounts have the sign of the journal: what was paid back is negative.
"""

from collections.abc import Collection
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import ColumnElement, case, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from tillhook.db import Exact, among
from tillhook.sales.models import Sale, SaleLine, SalePayment

#: What a line costs with its taxes, after all discounts.
GROSS: ColumnElement[Decimal] = type_coerce(
    SaleLine.total_price - SaleLine.discount_share + case((SaleLine.tax_inclusive, 0), else_=SaleLine.tax_amount),
    Exact(),
)
#: What a payment brought in: what was handed over less the change.
NET: ColumnElement[Decimal] = type_coerce(SalePayment.amount - SalePayment.change, Exact())


class TenderSum(NamedTuple):
    """Payments by a method: what came in, the change of it, what was paid back (positive), and what remains.

    ``number`` is of payments that came in, and of every payment of a sale.
    """

    method: str
    number: int
    amount_in: Decimal
    change: Decimal
    refunded: Decimal
    net: Decimal


class TaxSum(NamedTuple):
    """Lines taxed at a rate (a fraction); ``gross`` is with the tax."""

    rate: Decimal
    gross: Decimal
    tax: Decimal


def sums_by_tender(session: Session, sale_ids: Collection[int]) -> list[TenderSum]:
    """Return the payments of documents, in order of their methods' names."""
    amount = SalePayment.amount
    statement = (
        select(
            SalePayment.method,
            func.count(case((or_(amount > 0, Sale.kind == "sale"), 1))),
            func.sum(case((amount > 0, amount), else_=0)),
            func.sum(SalePayment.change),
            func.sum(case((amount < 0, -amount), else_=0)),
            func.sum(NET),
        )
        .join(Sale, Sale.id == SalePayment.sale_id)
        .where(among(SalePayment.sale_id, sale_ids))
        .group_by(SalePayment.method)
        .order_by(SalePayment.method)
    )
    return [TenderSum(*row) for row in session.execute(statement)]


def sums_by_tax(session: Session, sale_ids: Collection[int]) -> list[TaxSum]:
    """Return the lines of documents by tax rate, the lowest first."""
    statement = (
        select(SaleLine.tax_rate, func.sum(GROSS), func.sum(SaleLine.tax_amount))
        .where(among(SaleLine.sale_id, sale_ids))
        .group_by(SaleLine.tax_rate)
        .order_by(SaleLine.tax_rate)
    )
    return [TaxSum(*row) for row in session.execute(statement)]
