"""The X report of an open session and the Z report of a closed one: what its documents add up to.

Figures are sums in the database over the keys of the documents, so that all parts of a report are of the same ones.
Amounts have the sign of the journal: what was paid back is negative.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from tillhook.db import as_instant, format_instant
from tillhook.quantities import ZERO, format_money, format_quantity, from_units, multiply, round_half_up
from tillhook.runtime import runtime_of, snapshot_of
from tillhook_pos.documents import CHANNEL, PERSONAL
from tillhook_pos.models import Till, TillSession
from tillhook_pos.sessions.drawers import Document, among_keys

#: What the kinds of documents are called in a report.
KINDS = {"sale": "sales", "return": "returns", "exchange": "exchanges", "cancellation": "cancellations"}

#: Late documents named in a report; a shop that did without sessions for a year has more.
MOST_NUMBERS = 1_000

_DOCUMENTS = """
SELECT kind, COUNT(*) AS count, SUM(total_amount) AS total, SUM(tax_amount) AS tax,
       SUM(discount_amount) AS discount, SUM(cash_rounding) AS rounding, MIN(id) AS first, MAX(id) AS last
  FROM sale WHERE id {among} GROUP BY kind
"""
_NUMBERS = "SELECT sale_number FROM sale WHERE id {among} ORDER BY id"
_TENDERS = """
SELECT p.method, SUM(CASE WHEN p.amount > 0 OR s.kind = 'sale' THEN 1 ELSE 0 END) AS count,
       SUM(CASE WHEN p.amount > 0 THEN p.amount ELSE 0 END) AS amount_in, SUM(p.change) AS change,
       SUM(CASE WHEN p.amount < 0 THEN -p.amount ELSE 0 END) AS refunded, SUM(p.amount - p.change) AS net
  FROM sale_payment p JOIN sale s ON s.id = p.sale_id WHERE p.sale_id {among} GROUP BY p.method ORDER BY p.method
"""
_TAXES = """
SELECT tax_rate, SUM(tax_amount) AS tax,
       SUM(total_price - discount_share + CASE WHEN tax_inclusive THEN 0 ELSE tax_amount END) AS gross
  FROM sale_line WHERE sale_id {among} GROUP BY tax_rate ORDER BY tax_rate
"""
# A product may have no category, and names are those of now: the report keeps them.
_CATEGORIES = """
SELECT c.id, c.name, SUM(l.quantity) AS quantity, SUM(l.tax_amount) AS tax,
       SUM(l.total_price - l.discount_share + CASE WHEN l.tax_inclusive THEN 0 ELSE l.tax_amount END) AS gross
  FROM sale_line l LEFT JOIN product p ON p.id = l.product_id LEFT JOIN category c ON c.id = p.category_id
 WHERE l.sale_id {among} GROUP BY c.id, c.name ORDER BY c.name IS NULL, c.name, c.id
"""
_LINE_DISCOUNTS = """
SELECT quantity, discount_per_item, COUNT(*) AS count FROM sale_line
 WHERE sale_id {among} AND discount_per_item <> 0 GROUP BY quantity, discount_per_item
"""
_MOVEMENTS = """
SELECT m.direction, m.amount, m.reason, m.created_at, m.created_by, u.name
  FROM pos_cash_movement m LEFT JOIN user_account u ON u.id = m.created_by
 WHERE m.session_id = :session ORDER BY m.id
"""
_PARKED = """
SELECT COUNT(*) FROM pos_parked_sale
 WHERE status = 'parked' AND warehouse_id = :warehouse AND till IN (:till, :personal)
"""
# What could not even be read has no channel.
_REFUSED = """
SELECT COUNT(*) FROM sale_exception
 WHERE status IN ('open', 'waiting') AND channel IN (:channel, '')
   AND (warehouse_id = :warehouse OR warehouse_id IS NULL)
   AND (source_device = :till OR (:is_personal AND source_device = 'web' AND seller_id = :person))
"""


def expected_cash(session: Session, row: TillSession, documents: Iterable[Document]) -> Decimal:
    """Return what must be in the drawer: float, cash in less cash out, and what its own documents brought in cash."""
    own, _, _ = _split(session, documents)
    return row.opening_float + _balance(_movements(session, row.id)) + _cash(session, _tenders(session, own))


def cash_methods(session: Session) -> frozenset[str]:
    """Return the payment methods that are money in the drawer: cash, and whatever else gives change."""
    methods = runtime_of(session).registry.payment_methods.values()
    return frozenset({"cash", *(method.name for method in methods if method.gives_change)})


def build(
    session: Session,
    till: Till,
    row: TillSession,
    documents: Sequence[Document],
    *,
    closing: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the report on the documents.

    Args:
        closing: ``number``, ``at``, ``by``, ``counted`` (money), ``counts`` (pieces by denomination), ``is_blind`` and
            ``notes`` of a session that is being closed; ``None`` for an X report.
    """
    snapshot = snapshot_of(session)
    places: int = snapshot.setting("currency_places")
    own, late, foreign = _split(session, documents)
    figures = _figures(session, own)
    movements = _movements(session, row.id)
    expected = row.opening_float + _balance(movements) + _cash(session, figures.tenders)
    names = _names(session, row.opened_by, closing["by"] if closing else None)
    counted: Decimal | None = closing["counted"] if closing else None
    return {
        "kind": "Z" if closing else "X",
        "number": closing["number"] if closing else None,
        "session": row.id,
        "till": till.name,
        "warehouse": row.warehouse_id,
        "warehouse_name": snapshot.warehouses[row.warehouse_id].name,
        "firm": {name: snapshot.setting(f"company.{name}") for name in ("name", "address", "tax_id")},
        "currency": snapshot.setting("currency"),
        "currency_places": places,
        "timezone": snapshot.setting("timezone"),
        "opened_by": row.opened_by,
        "opened_by_name": names.get(row.opened_by, ""),
        "opened_at": format_instant(row.opened_at),
        "closed_by": closing["by"] if closing else None,
        "closed_by_name": names.get(closing["by"], "") if closing else None,
        "closed_at": format_instant(closing["at"]) if closing else None,
        "notes": closing["notes"] if closing else row.notes,
        "opening_float": format_money(row.opening_float, places),
        "cash_in": _show_movements(movements, "in", places),
        "cash_out": _show_movements(movements, "out", places),
        **figures.documents(places),
        "first_sale_number": figures.first_number,
        "last_sale_number": figures.last_number,
        "tenders": [_show_tender(session, each, places) for each in figures.tenders],
        "taxes": [_show_tax(each, places) for each in figures.taxes],
        "categories": [_show_category(each, places) for each in _rows(session, _CATEGORIES, own)],
        "discounts": _show_discounts(_line_discounts(session, own, places), figures.sum("discount"), places),
        "cash_rounding": format_money(figures.sum("rounding"), places),
        "expected_cash": format_money(expected, places),
        "counted_cash": None if counted is None else format_money(counted, places),
        "over_short": None if counted is None else format_money(counted - expected, places),
        "counts": _show_counts(closing["counts"], places) if closing else None,
        "is_blind": closing["is_blind"] if closing else False,
        "parked_sales": _parked(session, till, row),
        "refused_sales": _refused(session, till, row),
        "late": _show_apart(session, late, places),
        "other_currencies": [
            {"currency": currency, **_show_apart(session, keys, places)} for currency, keys in sorted(foreign.items())
        ],
    }


def veil(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report without whatever tells how much must be in the drawer; numbers of documents remain."""
    return {
        **report,
        **{name: report[name] | {"total": None} for name in KINDS.values()},
        "is_blind": True,
        "net_total": None,
        "tax_total": None,
        "tenders": [
            each | dict.fromkeys(("amount_in", "change", "refunded", "net"), None) for each in report["tenders"]
        ],
        "taxes": [],
        "categories": [],
        "discounts": dict.fromkeys(report["discounts"]),
        "cash_rounding": None,
        "expected_cash": None,
        "late": {"count": report["late"]["count"], "numbers": report["late"]["numbers"]},
        "other_currencies": [],
    }


class _Figures:
    """The sums of some documents, money."""

    def __init__(self, kinds: Mapping[str, Any], tenders: list[dict[str, Any]], taxes: list[dict[str, Any]]) -> None:
        self._kinds = kinds
        self.tenders = tenders
        self.taxes = taxes
        self.first_number: str | None = None
        self.last_number: str | None = None

    def sum(self, name: str) -> Decimal:
        return sum((from_units(int(row[name])) for row in self._kinds.values()), ZERO)

    def documents(self, places: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for kind, name in KINDS.items():
            row = self._kinds.get(kind)
            total = from_units(int(row["total"])) if row else ZERO
            shown[name] = {"count": row["count"] if row else 0, "total": format_money(total, places)}
        shown["net_total"] = format_money(self.sum("total"), places)
        shown["tax_total"] = format_money(self.sum("tax"), places)
        return shown


def _figures(session: Session, keys: Sequence[int]) -> _Figures:
    kinds = {row["kind"]: row for row in _rows(session, _DOCUMENTS, keys)}
    figures = _Figures(kinds, _tenders(session, keys), _taxes(session, keys))
    if kinds:
        ends = sorted({min(row["first"] for row in kinds.values()), max(row["last"] for row in kinds.values())})
        numbers = [row["sale_number"] for row in _rows(session, _NUMBERS, ends)]
        figures.first_number, figures.last_number = numbers[0], numbers[-1]
    return figures


def _split(session: Session, documents: Iterable[Document]) -> tuple[list[int], list[int], dict[str, list[int]]]:
    """Return the keys of the session's own documents, of late ones, and of those of other currencies."""
    currency = snapshot_of(session).setting("currency")
    own: list[int] = []
    late: list[int] = []
    foreign: dict[str, list[int]] = {}
    for document in documents:
        if document.currency != currency:
            foreign.setdefault(document.currency, []).append(document.sale_id)
        else:
            (late if document.is_late else own).append(document.sale_id)
    return own, late, foreign


def _rows(session: Session, statement: str, keys: Sequence[int]) -> list[Mapping[str, Any]]:
    if not keys:
        return []
    among, parameter = among_keys(session, keys)
    return [dict(row) for row in session.execute(text(statement.format(among=among)), {"keys": parameter}).mappings()]


def _tenders(session: Session, keys: Sequence[int]) -> list[dict[str, Any]]:
    money = ("amount_in", "change", "refunded", "net")
    return [
        {"method": row["method"], "count": int(row["count"])} | {name: from_units(int(row[name])) for name in money}
        for row in _rows(session, _TENDERS, keys)
    ]


def _cash(session: Session, tenders: Iterable[Mapping[str, Any]]) -> Decimal:
    methods = cash_methods(session)
    return sum((tender["net"] for tender in tenders if tender["method"] in methods), ZERO)


def _taxes(session: Session, keys: Sequence[int]) -> list[dict[str, Any]]:
    return [{name: from_units(int(value)) for name, value in row.items()} for row in _rows(session, _TAXES, keys)]


def _line_discounts(session: Session, keys: Sequence[int], places: int) -> Decimal:
    total = ZERO
    for row in _rows(session, _LINE_DISCOUNTS, keys):
        of_line = multiply(from_units(row["quantity"]), from_units(row["discount_per_item"]))
        total += round_half_up(of_line, places) * row["count"]
    return total


def _movements(session: Session, session_id: int) -> list[Mapping[str, Any]]:
    return [dict(row) for row in session.execute(text(_MOVEMENTS), {"session": session_id}).mappings()]


def _balance(movements: Iterable[Mapping[str, Any]]) -> Decimal:
    return sum((from_units(row["amount"]) * (1 if row["direction"] == "in" else -1) for row in movements), ZERO)


def _names(session: Session, *user_ids: int | None) -> dict[int | None, str]:
    keys = [key for key in user_ids if key is not None]
    return {
        row["id"]: row["name"] for row in _rows(session, "SELECT id, name FROM user_account WHERE id {among}", keys)
    }


def _parked(session: Session, till: Till, row: TillSession) -> int:
    wanted = {"warehouse": row.warehouse_id, "till": till.name, "personal": f"{PERSONAL}{row.opened_by}"}
    return int(session.execute(text(_PARKED), wanted).scalar_one())


def _refused(session: Session, till: Till, row: TillSession) -> int:
    wanted = {
        "channel": CHANNEL,
        "warehouse": row.warehouse_id,
        "till": till.name,
        "is_personal": till.name.startswith(PERSONAL),
        "person": row.opened_by,
    }
    return int(session.execute(text(_REFUSED), wanted).scalar_one())


def _show_movements(movements: Iterable[Mapping[str, Any]], direction: str, places: int) -> dict[str, Any]:
    rows = [row for row in movements if row["direction"] == direction]
    return {
        "total": format_money(sum((from_units(row["amount"]) for row in rows), ZERO), places),
        "movements": [
            {
                "amount": format_money(from_units(row["amount"]), places),
                "reason": row["reason"],
                "by": row["created_by"],
                "by_name": row["name"] or "",
                "at": _instant(row["created_at"]),
            }
            for row in rows
        ],
    }


def _show_tender(session: Session, tender: Mapping[str, Any], places: int) -> dict[str, Any]:
    method = runtime_of(session).registry.payment_methods.get(tender["method"])
    shown = {name: format_money(tender[name], places) for name in ("amount_in", "change", "refunded", "net")}
    return {
        "method": tender["method"],
        # A method of a module that is off now has its name only.
        "title": method.title if method else tender["method"],
        "is_cash": tender["method"] in cash_methods(session),
        "count": tender["count"],
        **shown,
    }


def _show_tax(row: Mapping[str, Any], places: int) -> dict[str, Any]:
    return {
        "rate": format_quantity(row["tax_rate"]),
        "net": format_money(row["gross"] - row["tax"], places),
        "tax": format_money(row["tax"], places),
        "gross": format_money(row["gross"], places),
    }


def _show_category(row: Mapping[str, Any], places: int) -> dict[str, Any]:
    tax, gross = from_units(int(row["tax"])), from_units(int(row["gross"]))
    return {
        "category": row["id"],
        "name": row["name"],
        "quantity": format_quantity(from_units(int(row["quantity"]))),
        "net": format_money(gross - tax, places),
        "tax": format_money(tax, places),
        "gross": format_money(gross, places),
    }


def _show_discounts(lines: Decimal, orders: Decimal, places: int) -> dict[str, str]:
    amounts = {"lines": lines, "orders": orders, "total": lines + orders}
    return {name: format_money(amount, places) for name, amount in amounts.items()}


def _show_counts(counts: Mapping[Decimal, int] | None, places: int) -> list[dict[str, Any]] | None:
    if counts is None:
        return None
    return [
        {
            "denomination": format_money(denomination, places),
            "pieces": pieces,
            "amount": format_money(multiply(denomination, Decimal(pieces)), places),
        }
        for denomination, pieces in sorted(counts.items(), reverse=True)
    ]


def _show_apart(session: Session, keys: Sequence[int], places: int) -> dict[str, Any]:
    """Return the figures of documents that are not the session's own, the first ``MOST_NUMBERS`` by their numbers."""
    figures = _figures(session, keys)
    return {
        "count": len(keys),
        "total": format_money(figures.sum("total"), places),
        "cash": format_money(_cash(session, figures.tenders), places),
        "cash_rounding": format_money(figures.sum("rounding"), places),
        "tenders": [_show_tender(session, each, places) for each in figures.tenders],
        "taxes": [_show_tax(each, places) for each in figures.taxes],
        "numbers": [row["sale_number"] for row in _rows(session, _NUMBERS, sorted(keys)[:MOST_NUMBERS])],
    }


def _instant(value: datetime | str) -> str:
    return format_instant(as_instant(value))
