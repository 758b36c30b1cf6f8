"""What must be true of till sessions: whole series of Z reports, each of which says what its documents say."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Select, Text, and_, cast, func, literal, not_, or_, select
from sqlalchemy.orm import aliased, join, outerjoin

from tillhook.hooks import Difference, Invariant
from tillhook.numbering import NumberSeries
from tillhook.quantities import ZERO
from tillhook.sales import NET, Sale, SalePayment
from tillhook_pos.documents import CHANNEL, PERSONAL
from tillhook_pos.models import CashMovement, CounterDocument, Till, TillSession
from tillhook_pos.sessions.drawers import OUTSIDE
from tillhook_pos.sessions.report import KINDS

_DOCUMENTS = join(CounterDocument, Sale, Sale.id == CounterDocument.sale_id)
#: Whose figures a document is in: a session, and there those of a currency, late or not.
_GROUP = (CounterDocument.session_id, Sale.currency, CounterDocument.is_late)


def _z_numbers(connection: Connection) -> Iterator[Difference]:
    count, first, last = (each(TillSession.z_number) for each in (func.count, func.min, func.max))
    series = literal("pos-z:") + cast(Till.id, Text)
    statement = (
        select(
            Till.name, count.label("number"), first.label("first"), last.label("last"), NumberSeries.last.label("given")
        )
        .join(TillSession, and_(TillSession.till_id == Till.id, TillSession.z_number.is_not(None)))
        .outerjoin(NumberSeries, NumberSeries.name == series)
        .group_by(Till.id, Till.name, NumberSeries.last)
        .having(or_(count != last, first != 1, func.coalesce(NumberSeries.last, 0) != last))
        .order_by(Till.name)
    )
    for row in connection.execute(statement):
        yield Difference(
            invariant="Z numbers",
            subject=f"till {row.name}",
            expected=f"1 to {row.given}",
            actual=f"{row.number} from {row.first} to {row.last}",
        )


def _claimed(connection: Connection) -> Iterator[Difference]:
    is_late = Sale.sale_date < TillSession.opened_at
    is_its_drawer = CounterDocument.till.in_((Till.name, literal(PERSONAL) + cast(TillSession.opened_by, Text)))
    claimed = (
        select(
            Sale.sale_number,
            CounterDocument.session_id,
            CounterDocument.till,
            CounterDocument.is_late,
            Sale.warehouse_id,
            TillSession.warehouse_id.label("session_warehouse"),
            TillSession.closed_at,
        )
        .select_from(_DOCUMENTS)
        .outerjoin(TillSession, TillSession.id == CounterDocument.session_id)
        .outerjoin(Till, Till.id == TillSession.till_id)
        .where(CounterDocument.session_id.is_not(None), CounterDocument.session_id != OUTSIDE)
        .where(
            or_(
                TillSession.id.is_(None),
                TillSession.closed_at.is_(None),
                TillSession.warehouse_id != Sale.warehouse_id,
                CounterDocument.is_late != is_late,
                not_(is_its_drawer),
            )
        )
        .order_by(Sale.sale_number)
    )
    for row in connection.execute(claimed):
        late = ", late" if row.is_late else ""
        yield Difference(
            invariant="documents of sessions",
            subject=f"sale {row.sale_number}",
            expected=f"a closed session of {row.till} in warehouse {row.warehouse_id}, late if it was before",
            actual=f"session {row.session_id} of warehouse {row.session_warehouse}, closed {row.closed_at}{late}",
        )
    notes = outerjoin(CounterDocument, Sale, Sale.id == CounterDocument.sale_id)
    lost = select(CounterDocument.sale_id).select_from(notes).where(Sale.id.is_(None))
    for key in connection.scalars(lost.order_by(CounterDocument.sale_id)):
        yield Difference(invariant="documents of sessions", subject=f"sale {key}", expected="there", actual="lost")
    noted = select(CounterDocument.sale_id).where(CounterDocument.sale_id == Sale.id)
    unnoted = select(Sale.sale_number).where(Sale.channel == CHANNEL, ~noted.exists())
    for number in connection.scalars(unnoted.order_by(Sale.sale_number)):
        yield Difference(
            invariant="documents of sessions",
            subject=f"sale {number}",
            expected="a till's",
            actual="no till's; the worker finds it one when it starts",
        )


def _times(connection: Connection) -> Iterator[Difference]:
    other = aliased(TillSession)
    overlaps = (
        select(other.id)
        .where(other.till_id == TillSession.till_id, other.id < TillSession.id)
        .where(or_(other.closed_at.is_(None), other.closed_at > TillSession.opened_at))
    )
    wrong = select(TillSession.id).where(or_(TillSession.closed_at < TillSession.opened_at, overlaps.exists()))
    for key in connection.scalars(wrong.order_by(TillSession.id)):
        yield Difference(
            invariant="sessions",
            subject=f"session {key}",
            expected="opened when its till's last one was closed, closed later",
            actual="at the same time as another, or closed before it was opened",
        )


def _z_reports(connection: Connection) -> Iterator[Difference]:
    documents: dict[Any, dict[str, Any]] = {}
    for row in connection.execute(_sums()):
        documents.setdefault((row.session_id, row.currency, row.is_late), {})[row.kind] = row
    tenders: dict[Any, dict[str, Decimal]] = {}
    for row in connection.execute(_nets()):
        tenders.setdefault((row.session_id, row.currency, row.is_late), {})[row.method] = row.net
    for row in connection.execute(_closed_sessions()):
        report = row.z_report
        own, late = ((row.id, report["currency"], is_late) for is_late in (False, True))
        yield from _figures(row.id, report, documents.get(own, {}), documents.get(late, {}))
        others = [kinds for key, kinds in documents.items() if key[0] == row.id and key[1] != report["currency"]]
        found = sum(each.number for kinds in others for each in kinds.values())
        stated = sum(each["count"] for each in report["other_currencies"])
        yield from _compared(row.id, "documents in other currencies", found, stated)
        for key, shown in ((own, report["tenders"]), (late, report["late"]["tenders"])):
            nets = {each["method"]: Decimal(each["net"]) for each in shown}
            for method in sorted(nets.keys() | tenders.get(key, {}).keys()):
                net = tenders.get(key, {}).get(method, ZERO)
                yield from _compared(row.id, f"net in {method}", net, nets.get(method, ZERO))
        yield from _drawer(row, report)


def _sums() -> Select[*tuple[Any, ...]]:
    sums = {"total": Sale.total_amount, "tax": Sale.tax_amount, "rounding": Sale.cash_rounding}
    summed = (func.sum(column).label(name) for name, column in sums.items())
    statement = select(*_GROUP, Sale.kind, func.count().label("number"), *summed).select_from(_DOCUMENTS)
    return statement.where(CounterDocument.session_id > OUTSIDE).group_by(*_GROUP, Sale.kind)


def _nets() -> Select[*tuple[Any, ...]]:
    net = func.sum(NET).label("net")
    return (
        select(*_GROUP, SalePayment.method, net)
        .select_from(_DOCUMENTS)
        .join(SalePayment, SalePayment.sale_id == Sale.id)
        .where(CounterDocument.session_id > OUTSIDE)
        .group_by(*_GROUP, SalePayment.method)
    )


def _closed_sessions() -> Select[*tuple[Any, ...]]:
    def moved(direction: str) -> Any:
        amount = select(func.sum(CashMovement.amount)).where(
            CashMovement.session_id == TillSession.id, CashMovement.direction == direction
        )
        return func.coalesce(amount.scalar_subquery(), 0).label(f"cash_{direction}")

    columns = TillSession.__table__.columns
    return (
        select(*columns, moved("in"), moved("out")).where(TillSession.closed_at.is_not(None)).order_by(TillSession.id)
    )


def _figures(
    session_id: int, report: Mapping[str, Any], own: Mapping[str, Any], late: Mapping[str, Any]
) -> Iterator[Difference]:
    """Compare what a report says of documents with the documents, by kind."""
    for kind, name in KINDS.items():
        found = own.get(kind)
        yield from _compared(session_id, name, found.number if found else 0, report[name]["count"])
        yield from _compared(session_id, f"total of {name}", _sum([found], "total"), Decimal(report[name]["total"]))
    kept, came_late = list(own.values()), list(late.values())
    yield from _compared(session_id, "late documents", sum(each.number for each in came_late), report["late"]["count"])
    taxes = (sum((Decimal(each["tax"]) for each in report["taxes"]), ZERO), Decimal(report["tax_total"]))
    for what, expected, actual in (
        ("total", _sum(kept, "total"), report["net_total"]),
        ("tax", _sum(kept, "tax"), taxes[0]),
        ("tax", _sum(kept, "tax"), taxes[1]),
        ("cash rounding", _sum(kept, "rounding"), report["cash_rounding"]),
        ("late total", _sum(came_late, "total"), report["late"]["total"]),
    ):
        yield from _compared(session_id, what, expected, Decimal(actual))
    grosses = (sum((Decimal(each["gross"]) for each in report[name]), ZERO) for name in ("taxes", "categories"))
    for gross in grosses:
        yield from _compared(session_id, "gross", _sum(kept, "total"), gross)


def _drawer(row: Any, report: Mapping[str, Any]) -> Iterator[Difference]:
    """Compare what a report says of the drawer with the session's row, and that with what must be in it."""
    cash = sum((Decimal(each["net"]) for each in report["tenders"] if each["is_cash"]), ZERO)
    cash_in, cash_out, counted, expected = row.cash_in, row.cash_out, row.counted_cash, row.expected_cash
    yield from _compared(row.id, "number", row.z_number, report["number"])
    yield from _compared(row.id, "expected cash", row.opening_float + cash_in - cash_out + cash, expected)
    yield from _compared(row.id, "over/short", counted - expected, row.over_short)
    for what, kept, stated in (
        ("opening float", row.opening_float, report["opening_float"]),
        ("cash in", cash_in, report["cash_in"]["total"]),
        ("cash out", cash_out, report["cash_out"]["total"]),
        ("expected cash", expected, report["expected_cash"]),
        ("counted cash", counted, report["counted_cash"]),
        ("over/short", counted - expected, report["over_short"]),
    ):
        yield from _compared(row.id, what, kept, Decimal(stated))


def _sum(rows: Iterable[Any], name: str) -> Decimal:
    return sum((getattr(row, name) for row in rows if row is not None), ZERO)


def _compared(session_id: int, what: str, expected: Any, actual: Any) -> Iterator[Difference]:
    if expected != actual:
        yield Difference(
            invariant="Z reports", subject=f"session {session_id}: {what}", expected=f"{expected}", actual=f"{actual}"
        )


INVARIANTS = (
    Invariant(name="sessions", check=_times),
    Invariant(name="Z numbers", check=_z_numbers),
    Invariant(name="documents of sessions", check=_claimed),
    Invariant(name="Z reports", check=_z_reports),
)
