"""What is owed on vouchers, and what must be true of them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, case, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from tillhook.db import Exact
from tillhook.hooks import Difference, Invariant
from tillhook.quantities import ZERO, format_money
from tillhook.reference import Calendar
from tillhook.reporting import Column, Parameter, Report
from tillhook.runtime import snapshot_of
from tillhook.sales import Sale, SalePayment
from tillhook_vouchers import permissions
from tillhook_vouchers.books import METHOD, today
from tillhook_vouchers.models import PAYMENTS, Voucher, VoucherEntry

#: Sums of a period, by the kinds of entries that are in them, and the sign by which they are positive.
_FLOWS: dict[str, tuple[tuple[str, ...], int]] = {
    "issued": (("issued", "refunded"), 1),
    "redeemed": (("redeemed",), -1),
    "given_back": (("given_back",), 1),
    "expired": (("expired", "reinstated"), -1),
    "voided": (("voided",), -1),
}
_FIGURES = ("outstanding", "overdrawn", *_FLOWS)


def liabilities(session: Session, as_of: date | None, start: date | None) -> dict[str, Any]:
    """Return what is owed at the end of a day, by currency and kind, and what happened from ``start`` to then.

    Args:
        as_of: Today for ``None``.
        start: The first day of the period; ``None`` for all time.
    """
    day = as_of or today(session)
    calendar = Calendar.of(snapshot_of(session))
    until = VoucherEntry.occurred_at < calendar.end(day)
    balance = func.sum(VoucherEntry.amount)
    each = (
        select(VoucherEntry.voucher_id, balance.label("balance")).where(until).group_by(VoucherEntry.voucher_id)
    ).subquery()
    owed = (
        select(
            Voucher.currency,
            Voucher.kind,
            func.count(case((each.c.balance > 0, 1))).label("count"),
            func.sum(case((each.c.balance > 0, each.c.balance))).label("outstanding"),
            func.sum(case((each.c.balance < 0, -each.c.balance))).label("overdrawn"),
        )
        .join(each, each.c.voucher_id == Voucher.id)
        .group_by(Voucher.currency, Voucher.kind)
        .order_by(Voucher.currency, Voucher.kind)
    )
    rows = {(row.currency, row.kind): dict(row._mapping) for row in session.execute(owed)}
    flows = (
        select(Voucher.currency, Voucher.kind, VoucherEntry.kind.label("entry"), balance.label("amount"))
        .join(Voucher, Voucher.id == VoucherEntry.voucher_id)
        .where(until, *(() if start is None else (VoucherEntry.occurred_at >= calendar.start(start),)))
        .group_by(Voucher.currency, Voucher.kind, VoucherEntry.kind)
    )
    for row in session.execute(flows):
        for name, (kinds, sign) in _FLOWS.items():
            if row.entry in kinds:
                found = rows[row.currency, row.kind]
                found[name] = found.get(name, ZERO) + sign * row.amount
    items = [{name: row.get(name) or ZERO for name in _FIGURES} | _names(row) for row in rows.values()]
    return {"as_of": day, "start_date": start, "items": items}


def _names(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("currency", "kind", "count")}


def _report_rows(session: Session, parameters: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    found = liabilities(session, parameters["as_of"], parameters["start_date"])
    for row in found["items"]:
        yield [row[column.name] for column in _COLUMNS]


_COLUMNS = (
    Column(name="currency", title="Currency"),
    Column(name="kind", title="Kind"),
    Column(name="count", title="Vouchers", kind="integer", total=True),
    *(Column(name=name, title=name.replace("_", " ").capitalize(), kind="money", total=True) for name in _FIGURES),
)
REPORT = Report(
    name="voucher-liabilities",
    title="Owed on vouchers",
    permission=permissions.LIST,
    columns=_COLUMNS,
    rows=_report_rows,
    parameters=(
        Parameter(name="as_of", title="At the end of", kind="date"),
        Parameter(name="start_date", title="What happened from", kind="date"),
    ),
    summary="What is owed on gift cards and store credit, and what was issued, redeemed and expired.",
)


_ENTERED = (
    select(func.coalesce(func.sum(VoucherEntry.amount), 0))
    .where(VoucherEntry.voucher_id == Voucher.id)
    .scalar_subquery()
)


def _balances(connection: Connection) -> Iterator[Difference]:
    wrong = select(Voucher.id, Voucher.balance, _ENTERED.label("entered")).where(Voucher.balance != _ENTERED)
    for row in connection.execute(wrong.order_by(Voucher.id)):
        yield _difference("vouchers.balances", f"voucher {row.id}", row.entered, row.balance)


def _repair_balances(session: Session) -> None:
    """Set the balances of vouchers to what their entries come to."""
    is_wrong = Voucher.balance != _ENTERED
    # Locked first, and added up by the next statement: whoever enters something holds the voucher's lock.
    session.execute(select(Voucher.id).where(is_wrong).order_by(Voucher.id).with_for_update())
    session.execute(
        update(Voucher).where(is_wrong).values(balance=_ENTERED).execution_options(synchronize_session=False)
    )


def _overdrawn(connection: Connection) -> Iterator[Difference]:
    offline = exists().where(VoucherEntry.voucher_id == Voucher.id, VoucherEntry.is_offline)
    overdrawn = select(Voucher.id, Voucher.balance).where(Voucher.balance < 0, ~offline).order_by(Voucher.id)
    for row in connection.execute(overdrawn):
        yield _difference("vouchers.overdrawn", f"voucher {row.id}, never used offline", ZERO, row.balance)


def _payments(connection: Connection) -> Iterator[Difference]:
    """Find documents whose payments by voucher are not what was entered for them.

    Before the first voucher the shop may have had a method of its own of that name.
    """
    first = select(func.min(Voucher.issued_at)).scalar_subquery()
    paid = (
        select(
            SalePayment.sale_id.label("id"),
            func.sum(SalePayment.amount - SalePayment.change, type_=Exact).label("amount"),
        )
        .where(SalePayment.method == METHOD)
        .group_by(SalePayment.sale_id)
        .subquery()
    )
    entered = (
        select(VoucherEntry.document_id.label("id"), func.sum(-VoucherEntry.amount).label("amount"))
        .where(VoucherEntry.kind.in_(PAYMENTS))
        .group_by(VoucherEntry.document_id)
        .subquery()
    )
    sale = aliased(Sale)
    wrong = (
        select(sale.sale_number, paid.c.amount.label("paid"), entered.c.amount.label("entered"))
        .outerjoin(paid, paid.c.id == sale.id)
        .outerjoin(entered, entered.c.id == sale.id)
        .where(
            sale.created_at >= first,
            or_(paid.c.id.is_not(None), entered.c.id.is_not(None)),
            func.coalesce(paid.c.amount, 0) != func.coalesce(entered.c.amount, 0),
        )
        .order_by(sale.id)
    )
    for row in connection.execute(wrong):
        yield _difference("vouchers.payments", f"sale {row.sale_number}", row.paid or ZERO, row.entered or ZERO)


def _difference(invariant: str, subject: str, expected: Decimal, actual: Decimal) -> Difference:
    return Difference(
        invariant=invariant, subject=subject, expected=format_money(expected), actual=format_money(actual)
    )


INVARIANTS = (
    Invariant(
        name="vouchers.balances",
        check=_balances,
        title="Balances of vouchers are the sums of their entries",
        repair=_repair_balances,
    ),
    Invariant(name="vouchers.overdrawn", check=_overdrawn, title="Only what was sold offline overdraws a voucher"),
    Invariant(name="vouchers.payments", check=_payments, title="Payments by voucher are entered on the vouchers"),
)
