"""What must be true of till sessions: whole series of Z reports, each of which says what its documents say."""

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from tillhook.hooks import Difference, Invariant
from tillhook.quantities import ZERO, from_units
from tillhook_pos.documents import CHANNEL
from tillhook_pos.sessions.report import KINDS

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
_UNNOTED = text(
    f"""
    SELECT s.sale_number FROM sale s LEFT JOIN pos_document d ON d.sale_id = s.id
     WHERE s.channel = '{CHANNEL}' AND d.sale_id IS NULL ORDER BY s.sale_number
    """
)
_REPORTS = text(
    """
    SELECT p.id, p.z_number, p.z_report, p.opening_float, p.expected_cash, p.counted_cash, p.over_short,
           COALESCE((SELECT SUM(amount) FROM pos_cash_movement m
                      WHERE m.session_id = p.id AND m.direction = 'in'), 0) AS cash_in,
           COALESCE((SELECT SUM(amount) FROM pos_cash_movement m
                      WHERE m.session_id = p.id AND m.direction = 'out'), 0) AS cash_out
      FROM pos_session p WHERE p.closed_at IS NOT NULL ORDER BY p.id
    """
)
_TOTALS = text(
    """
    SELECT d.session_id, s.currency, d.is_late, s.kind, COUNT(*) AS count, SUM(s.total_amount) AS total,
           SUM(s.tax_amount) AS tax, SUM(s.cash_rounding) AS rounding
      FROM pos_document d JOIN sale s ON s.id = d.sale_id
     WHERE d.session_id > 0 GROUP BY d.session_id, s.currency, d.is_late, s.kind
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
    for row in connection.execute(_UNNOTED):
        yield Difference(
            invariant="documents of sessions",
            subject=f"sale {row.sale_number}",
            expected="a till's",
            actual="no till's; tillhook pos rebuild-totals finds it one",
        )


def _z_reports(connection: Connection) -> Iterator[Difference]:
    documents: dict[Any, dict[str, Any]] = {}
    for row in connection.execute(_TOTALS):
        documents.setdefault((row.session_id, row.currency, bool(row.is_late)), {})[row.kind] = row
    tenders: dict[Any, dict[str, int]] = {}
    for row in connection.execute(_TENDERS):
        tenders.setdefault((row.session_id, row.currency, bool(row.is_late)), {})[row.method] = int(row.net)
    for row in connection.execute(_REPORTS):
        report = row.z_report if isinstance(row.z_report, dict) else json.loads(row.z_report)
        own, late = ((row.id, report["currency"], is_late) for is_late in (False, True))
        yield from _figures(row.id, report, documents.get(own, {}), documents.get(late, {}))
        others = [kinds for key, kinds in documents.items() if key[0] == row.id and key[1] != report["currency"]]
        found = sum(each.count for kinds in others for each in kinds.values())
        stated = sum(each["count"] for each in report["other_currencies"])
        yield from _compared(row.id, "documents in other currencies", found, stated)
        for key, shown in ((own, report["tenders"]), (late, report["late"]["tenders"])):
            nets = {each["method"]: Decimal(each["net"]) for each in shown}
            for method in sorted(nets.keys() | tenders.get(key, {}).keys()):
                net = from_units(tenders.get(key, {}).get(method, 0))
                yield from _compared(row.id, f"net in {method}", net, nets.get(method, ZERO))
        yield from _drawer(row, report)


def _figures(
    session_id: int, report: Mapping[str, Any], own: Mapping[str, Any], late: Mapping[str, Any]
) -> Iterator[Difference]:
    """Compare what a report says of documents with the documents, by kind."""
    for kind, name in KINDS.items():
        found = own.get(kind)
        yield from _compared(session_id, name, found.count if found else 0, report[name]["count"])
        yield from _compared(session_id, f"total of {name}", _sum([found], "total"), Decimal(report[name]["total"]))
    kept, came_late = list(own.values()), list(late.values())
    yield from _compared(session_id, "late documents", sum(each.count for each in came_late), report["late"]["count"])
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
    cash_in, cash_out = from_units(int(row.cash_in)), from_units(int(row.cash_out))
    counted, expected = from_units(row.counted_cash), from_units(row.expected_cash)
    yield from _compared(row.id, "number", row.z_number, report["number"])
    yield from _compared(row.id, "expected cash", from_units(row.opening_float) + cash_in - cash_out + cash, expected)
    yield from _compared(row.id, "over/short", counted - expected, from_units(row.over_short))
    for what, kept, stated in (
        ("opening float", from_units(row.opening_float), report["opening_float"]),
        ("cash in", cash_in, report["cash_in"]["total"]),
        ("cash out", cash_out, report["cash_out"]["total"]),
        ("expected cash", expected, report["expected_cash"]),
        ("counted cash", counted, report["counted_cash"]),
        ("over/short", counted - expected, report["over_short"]),
    ):
        yield from _compared(row.id, what, kept, Decimal(stated))


def _sum(rows: Iterable[Any], name: str) -> Decimal:
    return sum((from_units(int(getattr(row, name))) for row in rows if row is not None), ZERO)


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
