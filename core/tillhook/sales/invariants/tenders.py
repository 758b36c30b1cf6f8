"""What was paid by each means of payment, what of it was given back, and the change."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, or_, select
from sqlalchemy.orm import aliased

from tillhook.hooks import Difference, PaymentMethod
from tillhook.quantities import ZERO
from tillhook.runtime import runtime_of
from tillhook.sales.invariants.differences import of_decimals, of_rule
from tillhook.sales.models import Sale, SalePayment

#: Money of all methods that count as cash is one: it lies in one drawer.
_CASH = "cash of any kind"
_MONEY = func.sum(SalePayment.amount - SalePayment.change)


def payments(connection: Connection) -> Iterator[Difference]:
    """Find payments of the wrong sign, and change of what gives none or more of it than was handed over."""
    methods = _methods(connection)
    # Of a method that went with its module nobody knows whether it gave change.
    without = [name for name, method in methods.items() if not method.gives_change]
    comes_in = or_(Sale.kind == "sale", and_(Sale.kind == "exchange", Sale.total_amount > 0))
    wrong = or_(
        and_(comes_in, SalePayment.amount < 0),
        and_(~comes_in, SalePayment.amount > 0),
        SalePayment.change < 0,
        and_(SalePayment.change > 0, SalePayment.change > SalePayment.amount),
        and_(SalePayment.change > 0, SalePayment.method.in_(without)),
    )
    statement = select(Sale.sale_number, SalePayment.method).join(Sale, Sale.id == SalePayment.sale_id)
    for row in connection.execute(statement.where(wrong)):
        subject = f"sale {row.sale_number}, {row.method}"
        yield of_rule("tenders", subject, "an amount and a change that can be", "otherwise")


def refunds(connection: Connection) -> Iterator[Difference]:
    """Find tenders by which more went back than came in, over a sale and all that was taken back of it.

    By methods that take refunds, such as a voucher, anything may go back.
    """
    methods = _methods(connection)
    cash = [name for name, method in methods.items() if method.counts_as_cash]
    free = [name for name, method in methods.items() if method.takes_refunds]
    for row in connection.execute(_by_tender(cash).where(SalePayment.method.not_in(free)).having(_MONEY < 0)):
        yield of_decimals("refunds", f"sale {row.sale_number}: left of {row.tender}", ZERO, row.money)
    for row in connection.execute(_CANCELLED):
        yield of_decimals("refunds", f"cancelled sale {row.sale_number}: left of its money", ZERO, row.money)


def _methods(connection: Connection) -> dict[str, PaymentMethod]:
    return runtime_of(connection).snapshots.current(connection).payment_methods


def _by_tender(cash: list[str]) -> Select[*tuple[Any, ...]]:
    """Return the query of the money of each family of documents, by tender."""
    root, child, member = aliased(Sale), aliased(Sale), aliased(Sale)
    taken_back = select(child.origin_id).where(child.origin_id.is_not(None))
    family = (
        select(root.id.label("id"), root.sale_number.label("sale_number"))
        .where(root.origin_id.is_(None), root.id.in_(taken_back))
        .cte("family", recursive=True)
    )
    family = family.union_all(select(member.id, family.c.sale_number).join(family, member.origin_id == family.c.id))
    tender = case((SalePayment.method.in_(cash), _CASH), else_=SalePayment.method).label("tender")
    return (
        select(family.c.sale_number, tender, _MONEY.label("money"))
        .join(SalePayment, SalePayment.sale_id == family.c.id)
        .group_by(family.c.sale_number, tender)
        .order_by(family.c.sale_number)
    )


_sale, _cancellation = aliased(Sale), aliased(Sale)
_CANCELLED = (
    select(_sale.sale_number, _MONEY.label("money"))
    .join(_cancellation, and_(_cancellation.origin_id == _sale.id, _cancellation.kind == "cancellation"))
    .join(SalePayment, or_(SalePayment.sale_id == _sale.id, SalePayment.sale_id == _cancellation.id))
    .group_by(_sale.sale_number)
    .having(_MONEY != 0)
    .order_by(_sale.sale_number)
)
