"""A report as text for a printer of 42 columns."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from textwrap import wrap
from typing import Any
from zoneinfo import ZoneInfo

from tillhook_pos.documents import PERSONAL

WIDTH = 42
_RULE = "-" * WIDTH
_DOCUMENTS = (
    ("sales", "Sales"),
    ("returns", "Returns"),
    ("exchanges", "Exchanges"),
    ("cancellations", "Cancellations"),
)


def render(report: Mapping[str, Any]) -> str:
    """Return the report as lines of at most :data:`WIDTH` columns, all from the report itself."""
    blocks = [_head(report), _documents(report), _tenders(report["tenders"]), _taxes(report["taxes"])]
    blocks += [
        _categories(report["categories"]),
        _sellers(report["sellers"]),
        _drawer(report),
        _counted(report),
        _late(report["late"]),
    ]
    blocks += [_other_currency(each) for each in report["other_currencies"]]
    blocks.append(_waiting(report))
    printed = ("\n".join(lines) for lines in map(list, blocks) if lines)
    return f"\n{_RULE}\n".join(printed) + "\n"


def _head(report: Mapping[str, Any]) -> Iterator[str]:
    firm = report["firm"]
    for line in (firm["name"], *firm["address"].splitlines(), firm["tax_id"]):
        yield from (_centred(part) for part in wrap(line, WIDTH))
    yield _centred("X REPORT" if report["kind"] == "X" else f"Z REPORT {report['number']}")
    yield ""
    # The name of a drawer of one's own has a key in it that says nothing on paper.
    is_own = report["till"].startswith(PERSONAL)
    yield from _pair("Till", f"own of {report['opened_by_name']}" if is_own else report["till"])
    yield from _pair("Shop", report["warehouse_name"])
    yield from _pair("Session", str(report["session"]))
    yield from _pair("Opened", _moment(report["opened_at"], report["timezone"]))
    yield from _pair("  by", report["opened_by_name"])
    if report["closed_at"]:
        yield from _pair("Closed", _moment(report["closed_at"], report["timezone"]))
        yield from _pair("  by", report["closed_by_name"])
    yield from _pair("Currency", report["currency"])
    for line in report["notes"].splitlines():
        yield from wrap(line, WIDTH)


def _documents(report: Mapping[str, Any]) -> Iterator[str]:
    for name, title in _DOCUMENTS:
        row = report[name]
        if row["count"] or name == "sales":
            yield from _pair(f"{title} {row['count']}", row["total"] or "")
    if report["net_total"] is None:
        yield from wrap("Blind count: amounts are shown when the till is closed.", WIDTH)
        return
    yield from _pair("Total", report["net_total"])
    yield from _pair("  of it tax", report["tax_total"])
    for name, title in (("lines", "Discounts on lines"), ("orders", "Discounts on sales")):
        if Decimal(report["discounts"][name]):
            yield from _pair(title, report["discounts"][name])
    if Decimal(report["cash_rounding"]):
        yield from _pair("Cash rounding", report["cash_rounding"])
    if report["first_sale_number"]:
        yield from _pair("First", report["first_sale_number"])
        yield from _pair("Last", report["last_sale_number"])


def _tenders(tenders: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for number, tender in enumerate(tenders):
        if not number:
            yield "TENDERS"
        yield from _pair(f"{tender['title']} {tender['count']}", tender["net"] or "")
        for name, title in (("amount_in", "in"), ("change", "change"), ("refunded", "paid back")):
            amount = tender[name]
            if amount and Decimal(amount) and amount != tender["net"]:
                yield from _pair(f"  {title}", amount)


def _taxes(taxes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for number, tax in enumerate(taxes):
        if not number:
            yield f"{'TAXES':<9}{'net':>11}{'tax':>11}{'gross':>11}"
        rate = f"{Decimal(tax['rate']) * 100:f}".rstrip("0").rstrip(".") if Decimal(tax["rate"]) else "0"
        yield from _columns(f"{rate} %", (tax["net"], tax["tax"], tax["gross"]))


def _categories(categories: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for number, row in enumerate(categories):
        if not number:
            yield "CATEGORIES"
        yield from _pair(f"{row['quantity']} x {row['name'] or 'without category'}", row["gross"])


def _sellers(sellers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say who sold how much, where it was not one person alone."""
    for number, row in enumerate(sellers if len(sellers) > 1 else ()):
        if not number:
            yield "SELLERS"
        yield from _pair(f"{row['count']} x {row['name'] or 'nobody'}", row["total"] or "")


def _drawer(report: Mapping[str, Any]) -> Iterator[str]:
    yield "DRAWER"
    yield from _pair("Opening float", report["opening_float"])
    for name, title, sign in (("cash_in", "Cash in", ""), ("cash_out", "Cash out", "-")):
        for movement in report[name]["movements"]:
            yield from _pair(title, f"{sign}{movement['amount']}")
            yield from wrap(movement["reason"], WIDTH, initial_indent="  ", subsequent_indent="  ")
    for tender in report["tenders"]:
        if tender["is_cash"] and tender["net"]:
            yield from _pair(f"{tender['title']} of sales", tender["net"])
    if report["expected_cash"] is not None:
        yield from _pair("Expected", report["expected_cash"])


def _counted(report: Mapping[str, Any]) -> Iterator[str]:
    if report["counted_cash"] is None:
        return
    yield "BLIND COUNT" if report["is_blind"] else "COUNT"
    for row in report["counts"] or ():
        if row["pieces"]:
            yield from _pair(f"{row['pieces']} x {row['denomination']}", row["amount"])
    yield from _pair("Counted", report["counted_cash"])
    difference = Decimal(report["over_short"])
    if difference:
        yield from _pair("OVER" if difference > 0 else "SHORT", report["over_short"].removeprefix("-"))
    else:
        yield from _pair("Over/short", report["over_short"])


def _late(late: Mapping[str, Any]) -> Iterator[str]:
    if not late["count"]:
        return
    yield from wrap("LATE: happened before this session, not in the figures above", WIDTH)
    yield from _apart(late)


def _other_currency(figures: Mapping[str, Any]) -> Iterator[str]:
    yield from wrap(f"IN {figures['currency']}: not in the figures above", WIDTH)
    yield from _apart(figures)


def _apart(figures: Mapping[str, Any]) -> Iterator[str]:
    yield from _pair(f"Documents {figures['count']}", figures.get("total", ""))
    for tender in figures.get("tenders", ()):
        yield from _pair(f"  {tender['title']} {tender['count']}", tender["net"])
    yield from wrap(" ".join(figures["numbers"]), WIDTH)


def _waiting(report: Mapping[str, Any]) -> Iterator[str]:
    if report["parked_sales"]:
        yield from _pair("Parked sales", str(report["parked_sales"]))
    if report["refused_sales"]:
        yield from _pair("Refused sales waiting", str(report["refused_sales"]))


def _moment(value: str, timezone: str) -> str:
    return f"{datetime.fromisoformat(value).astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}"


def _pair(left: str, right: str) -> Iterator[str]:
    """Yield ``left`` and, at the right edge, ``right``; on lines of their own when both do not fit."""
    room = WIDTH - _width(left) - _width(right)
    if room >= 1 or not right:
        yield from [f"{left}{' ' * room}{right}".rstrip()] if room >= 0 else wrap(left, WIDTH)
        return
    yield from wrap(left, WIDTH)
    yield from (" " * (WIDTH - _width(part)) + part for part in wrap(right, WIDTH - 2))


def _columns(left: str, amounts: Iterable[str]) -> Iterator[str]:
    row = f"{left:<9}" + "".join(f"{amount:>11}" for amount in amounts)
    if len(row) <= WIDTH:
        yield row
        return
    yield left
    yield from (f"{amount:>{WIDTH}}" for amount in amounts)


def _centred(line: str) -> str:
    return " " * ((WIDTH - _width(line)) // 2) + line


def _width(line: str) -> int:
    """Return how many columns a printer takes: two for wide letters, none for marks that stand on others."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in line
    )
