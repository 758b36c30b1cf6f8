"""What ``tillhook verify`` must find true of the rollups."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import CTE, Connection, Select, func, literal_column, or_, select, union_all

from tillhook.hooks import Difference, Invariant
from tillhook.reference import Calendar
from tillhook.sales.rollups.counting import counted_documents, in_periods, kept_calendar, rebuild
from tillhook.sales.rollups.figures import PRODUCTS, ROLLUPS, Rollup, summed
from tillhook.sales.rollups.models import RollupProduct
from tillhook.sales.rollups.periods import FRESH, LENGTHS

#: Figures that count things; the others are exact.
_COUNTS = {"sales_count", "payment_count"}


def _rollups(connection: Connection) -> Iterator[Difference]:
    document = counted_documents(connection, kept_calendar(connection) or Calendar("UTC", 0))
    for rollup in ROLLUPS:
        table = rollup.table.__tablename__
        for row in connection.execute(_differences(rollup, document)):
            subject = ", ".join(f"{key} {getattr(row, key)}" for key in rollup.keys)
            for figure in rollup.figures:
                due, kept = getattr(row, f"due_{figure}"), getattr(row, f"kept_{figure}")
                if due != kept:
                    yield Difference(
                        invariant="rollups",
                        subject=f"{table}, {subject}: {figure}",
                        expected=_shown(figure, due),
                        actual=_shown(figure, kept),
                    )


def _differences(rollup: Rollup, document: CTE) -> Select[Any]:
    """Return the query for rows of a table that are not what the documents add up to."""
    due = summed(rollup, document, LENGTHS).order_by(None).subquery("found")
    nothing: list[Any] = [literal_column("0")] * len(rollup.figures)
    kept = _kept(rollup).subquery("kept")
    both = union_all(
        select(
            *(kept.c[key] for key in rollup.keys),
            *(kept.c[each].label(f"kept_{each}") for each in rollup.figures),
            *(zero.label(f"due_{each}") for zero, each in zip(nothing, rollup.figures, strict=True)),
        ),
        select(*(due.c[key] for key in rollup.keys), *nothing, *(due.c[each] for each in rollup.figures)),
    ).subquery("both_sides")
    keys = [both.c[key] for key in rollup.keys]
    sums = {name: func.sum(both.c[name]) for each in rollup.figures for name in (f"kept_{each}", f"due_{each}")}
    differ = or_(*(sums[f"kept_{each}"] != sums[f"due_{each}"] for each in rollup.figures))
    labelled = (value.label(name) for name, value in sums.items())
    return select(*keys, *labelled).group_by(*keys).having(differ).order_by(*keys)


def _kept(rollup: Rollup) -> Any:
    """Return the rows of a table, fresh ones as the periods that they will be in."""
    rows = select(*(rollup.columns[name] for name in (*rollup.keys, *rollup.figures)))
    if rollup is not PRODUCTS:
        return rows
    fresh = (in_periods(FRESH, length).order_by(None) for length in LENGTHS)
    return union_all(rows.where(RollupProduct.length != FRESH), *fresh)


def _shown(figure: str, value: Any) -> str:
    return str(int(value)) if figure in _COUNTS else f"{value:f}"


INVARIANTS = (
    Invariant(name="rollups", check=_rollups, title="Rollups are what the journal adds up to", repair=rebuild),
)
