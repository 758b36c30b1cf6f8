"""What ``tillhook verify`` must find true of the counter's totals."""

from collections.abc import Iterator
from decimal import Decimal

from sqlalchemy import Connection

from tillhook.hooks import Difference, Invariant
from tillhook.quantities import from_units
from tillhook_pos.views import statements
from tillhook_pos.views.days import Calendar
from tillhook_pos.views.totals import days_of_journal, kept_calendar

#: Figures that count things; the others are in units of 1/10,000.
_COUNTS = {"sales_count", "payment_count"}
_ANY = Calendar("UTC", 0)


def _totals(connection: Connection) -> Iterator[Difference]:
    days = days_of_journal(connection, kept_calendar(connection) or _ANY)
    for table, (keys, figures, _) in statements.TABLES.items():
        for row in statements.run(connection, statements.compare(table), source=statements.COUNTED, days=days):
            subject = ", ".join(f"{key} {getattr(row, key)}" for key in keys)
            for figure in figures:
                due, kept = getattr(row, f"due_{figure}"), getattr(row, f"kept_{figure}")
                if due != kept:
                    yield Difference(
                        invariant="counter totals",
                        subject=f"{table}, {subject}: {figure}",
                        expected=_shown(figure, due),
                        actual=_shown(figure, kept),
                    )


def _shown(figure: str, value: int | Decimal) -> str:
    return str(int(value)) if figure in _COUNTS else f"{from_units(int(value)):f}"


INVARIANTS = (Invariant(name="counter totals", check=_totals),)
