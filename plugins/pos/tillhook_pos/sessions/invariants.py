"""What must be true of till sessions: whole series of Z reports, each of which says what its documents say."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from tillhook.hooks import Difference, Invariant
from tillhook.quantities import from_units

_Z_NUMBERS = text(
    """
    SELECT t.name, COUNT(p.z_number) AS count, MIN(p.z_number) AS first, MAX(p.z_number) AS last, n.last AS given
      FROM pos_till t JOIN pos_session p ON p.till_id = t.id AND p.z_number IS NOT NULL
      LEFT JOIN number_series n ON n.name = 'pos-z:' || CAST(t.id AS TEXT)
     GROUP BY t.id, t.name, n.last
    HAVING COUNT(p.z_number) <> MAX(p.z_number) OR MIN(p.z_number) <> 1 OR COALESCE(n.last, 0) <> MAX(p.z_number)
     ORDER BY t.name
    """
)
# 0 is what was sold before a drawer ever had a session.
_CLAIMED = text(
    """
    SELECT s.sale_number, d.session_id, p.warehouse_id AS session_warehouse, s.warehouse_id, p.closed_at
      FROM pos_document d JOIN sale s ON s.id = d.sale_id LEFT JOIN pos_session p ON p.id = d.session_id
     WHERE d.session_id IS NOT NULL AND d.session_id <> 0
       AND (p.id IS NULL OR p.closed_at IS NULL OR p.warehouse_id <> s.warehouse_id)
     ORDER BY s.sale_number
    """
)
_LOST = text(
    "SELECT d.sale_id FROM pos_document d LEFT JOIN sale s ON s.id = d.sale_id WHERE s.id IS NULL ORDER BY d.sale_id"
)
_REPORTS = text(
    """
    SELECT p.id, p.z_report, p.opening_float, p.expected_cash, p.counted_cash, p.over_short,
           COALESCE((SELECT SUM(CASE WHEN direction = 'in' THEN amount ELSE -amount END)
                       FROM pos_cash_movement m WHERE m.session_id = p.id), 0) AS moved
      FROM pos_session p WHERE p.closed_at IS NOT NULL ORDER BY p.id
    """
)
_TOTALS = text(
    """
    SELECT d.session_id, s.currency, d.is_late, COUNT(*) AS count, SUM(s.total_amount) AS total
      FROM pos_document d JOIN sale s ON s.id = d.sale_id
     WHERE d.session_id > 0 GROUP BY d.session_id, s.currency, d.is_late
    """
)
_TENDERS = text(
    """
    SELECT d.session_id, s.currency, d.is_late, p.method, SUM(p.amount - p.change) AS net
      FROM pos_document d JOIN sale s ON s.id = d.sale_id JOIN sale_payment p ON p.sale_id = d.sale_id
     WHERE d.session_id > 0 GROUP BY d.session_id, s.currency, d.is_late, p.method
    """
)


def _z_numbers(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_Z_NUMBERS):
        yield Difference(
            invariant="Z numbers",
            subject=f"till {row.name}",
            expected=f"1 to {row.given}",
            actual=f"{row.count} from {row.first} to {row.last}",
        )


def _claimed(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_CLAIMED):
        yield Difference(
            invariant="documents of sessions",
            subject=f"sale {row.sale_number}",
            expected=f"a closed session of warehouse {row.warehouse_id}",
            actual=f"session {row.session_id} of warehouse {row.session_warehouse}, closed {row.closed_at}",
        )
    for row in connection.execute(_LOST):
        yield Difference(
            invariant="documents of sessions", subject=f"sale {row.sale_id}", expected="there", actual="lost"
        )


def _z_reports(connection: Connection) -> Iterator[Difference]:
    totals = {(row.session_id, row.currency, bool(row.is_late)): row for row in connection.execute(_TOTALS)}
    tenders: dict[Any, dict[str, int]] = {}
    for row in connection.execute(_TENDERS):
        tenders.setdefault((row.session_id, row.currency, bool(row.is_late)), {})[row.method] = int(row.net)
    for row in connection.execute(_REPORTS):
        report = row.z_report if isinstance(row.z_report, dict) else json.loads(row.z_report)
        own, late = ((row.id, report["currency"], is_late) for is_late in (False, True))
        documents = ("sales", "returns", "exchanges", "cancellations")
        stated: list[tuple[Any, str, Any, str]] = [
            (own, "documents", sum(report[kind]["count"] for kind in documents), "count"),
            (own, "total", Decimal(report["net_total"]), "total"),
            (late, "late documents", report["late"]["count"], "count"),
            (late, "late total", Decimal(report["late"]["total"]), "total"),
        ]
        for key, what, actual, column in stated:
            found = int(getattr(totals[key], column)) if key in totals else 0
            yield from _compared(row.id, what, from_units(found) if column == "total" else found, actual)
        for key, shown in ((own, report["tenders"]), (late, report["late"]["tenders"])):
            nets = {each["method"]: Decimal(each["net"]) for each in shown}
            for method in sorted(nets.keys() | tenders.get(key, {}).keys()):
                net = from_units(tenders.get(key, {}).get(method, 0))
                yield from _compared(row.id, f"net in {method}", net, nets.get(method, Decimal(0)))
        cash = sum((Decimal(each["net"]) for each in report["tenders"] if each["is_cash"]), Decimal(0))
        expected = from_units(row.opening_float) + from_units(int(row.moved)) + cash
        yield from _compared(row.id, "expected cash", expected, Decimal(report["expected_cash"]))
        yield from _compared(row.id, "expected cash", expected, from_units(row.expected_cash))
        difference = from_units(row.counted_cash) - from_units(row.expected_cash)
        yield from _compared(row.id, "over/short", difference, from_units(row.over_short))


def _compared(session_id: int, what: str, expected: Any, actual: Any) -> Iterator[Difference]:
    if expected != actual:
        yield Difference(
            invariant="Z reports", subject=f"session {session_id}: {what}", expected=f"{expected}", actual=f"{actual}"
        )


INVARIANTS = (
    Invariant(name="Z numbers", check=_z_numbers),
    Invariant(name="documents of sessions", check=_claimed),
    Invariant(name="Z reports", check=_z_reports),
)
