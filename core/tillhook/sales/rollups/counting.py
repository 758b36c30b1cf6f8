"""Counting documents into the rollups: what is read instead of the journal, so that views cost the same however many
sales there are.

A sale writes its row of ``sale_uncounted`` and is done. The job counts later: it deletes rows there and adds their
documents' figures, in one transaction. Another job adds what was counted of products to the periods; seldom, because
a product has a row in periods of six lengths. Who writes rollups holds the lock of the calendar's row, so there is one
at a time; readers and sales wait for nobody. A document is counted when it has no row of ``sale_uncounted``, and only
the holder of the lock makes it so: the set stands still while sales go on.
"""

import itertools
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    delete,
    exists,
    func,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from tillhook.db import among, begin_writing, insert_or, utc_now, without_limits
from tillhook.reference import Calendar
from tillhook.runtime import snapshot_of
from tillhook.sales.models import Sale
from tillhook.sales.rollups.figures import PRODUCTS, ROLLUPS, Rollup, day_of_sale, documents, summed
from tillhook.sales.rollups.models import RollupCalendar, RollupProduct, UncountedSale
from tillhook.sales.rollups.names import enter_names
from tillhook.sales.rollups.periods import FRESH, LENGTHS

#: Documents that are counted in one transaction.
BATCH = 20_000
IS_COUNTED = ~exists().where(UncountedSale.sale_id == Sale.id)


def count_sales(session: Session, limit: int = BATCH) -> int:
    """Count up to ``limit`` documents that the rollups do not have yet; those of another calendar are made anew.

    Returns:
        How many were counted; none while somebody else writes rollups.
    """
    connection = session.connection()
    begin_writing(connection)
    if connection.scalar(select(RollupCalendar.id).with_for_update(skip_locked=True)) is None:
        return 0
    calendar = Calendar.of(snapshot_of(session))
    if kept_calendar(connection) != calendar:
        without_limits(connection)
        return _rebuild(connection, calendar)
    oldest = select(UncountedSale.sale_id).order_by(UncountedSale.sale_id).limit(limit)
    taken = delete(UncountedSale).where(UncountedSale.sale_id.in_(oldest)).returning(UncountedSale.sale_id)
    ids = list(connection.scalars(taken))
    if ids:
        taken_ones = among(Sale.id, ids)
        document = documents(_day(connection, calendar, taken_ones), taken_ones)
        for rollup in ROLLUPS:
            _add(connection, rollup, summed(rollup, document, (FRESH,)))
        enter_names(connection, taken_ones)
    return len(ids)


def fill_periods(session: Session) -> None:
    """Add to the periods of products what was counted since the last time; not while somebody else writes rollups."""
    connection = session.connection()
    if connection.scalar(select(RollupProduct.length).where(RollupProduct.length == FRESH).limit(1)) is None:
        return  # nor is anybody kept from counting
    # There may be much to add after long without a worker.
    without_limits(connection)
    begin_writing(connection)
    if connection.scalar(select(RollupCalendar.id).with_for_update(skip_locked=True)) is None:
        return
    for length in LENGTHS:
        _add(connection, PRODUCTS, in_periods(FRESH, length))
    connection.execute(delete(RollupProduct).where(RollupProduct.length == FRESH))


def rebuild(session: Session) -> int:
    """Make the rollups of all documents anew from the journal, by the present calendar.

    Returns:
        How many documents there were.
    """
    connection = session.connection()
    without_limits(connection)
    begin_writing(connection)
    connection.execute(select(RollupCalendar.id).with_for_update())
    return _rebuild(connection, Calendar.of(snapshot_of(session)))


def kept_calendar(connection: Connection) -> Calendar | None:
    """Return the calendar of the rollups; ``None`` before there are any."""
    timezone, hour = connection.execute(select(RollupCalendar.timezone, RollupCalendar.day_cutoff_hour)).one()
    return Calendar(timezone, hour) if timezone else None


def counted_documents(connection: Connection, calendar: Calendar) -> CTE:
    """Return the documents that the rollups of a calendar must have."""
    return documents(_day(connection, calendar, true()), IS_COUNTED)


def _rebuild(connection: Connection, calendar: Calendar) -> int:
    # What is committed from here on is uncounted until the lock is released.
    connection.execute(delete(UncountedSale))
    for rollup in ROLLUPS:
        connection.execute(delete(rollup.table))
    document = counted_documents(connection, calendar)
    for rollup in ROLLUPS:
        _add(connection, rollup, summed(rollup, document, LENGTHS[:1]))
    for shorter, length in itertools.pairwise(LENGTHS):
        _add(connection, PRODUCTS, in_periods(shorter, length))
    enter_names(connection, IS_COUNTED)
    connection.execute(
        update(RollupCalendar).values(timezone=calendar.timezone, day_cutoff_hour=calendar.day_cutoff_hour)
    )
    return connection.scalar(select(func.count()).select_from(Sale).where(IS_COUNTED)) or 0


def _day(connection: Connection, calendar: Calendar, condition: ColumnElement[bool]) -> ColumnElement[int]:
    """Return the number of the business day of sales that meet a condition."""
    ends = connection.execute(select(func.min(Sale.sale_date), func.max(Sale.sale_date)).where(condition)).one()
    first, last = (calendar.day_of(moment or utc_now()) for moment in ends)
    return day_of_sale(calendar, first, last)


def _add(connection: Connection, rollup: Rollup, rows: Select[Any]) -> None:
    insert = insert_or(connection, rollup.table).from_select([*rollup.keys, *rollup.figures], rows)
    added = {name: rollup.columns[name] + insert.excluded[name] for name in rollup.figures}
    connection.execute(insert.on_conflict_do_update(index_elements=rollup.keys, set_=added))


def in_periods(shorter: int, length: int) -> Select[Any]:
    """Return the rows of a length of periods that those of a shorter one make, or of ``FRESH`` days."""
    keys = {name: getattr(RollupProduct, name) for name in PRODUCTS.keys}
    keys["length"] = literal(length, BigInteger)
    keys["first_day"] = RollupProduct.first_day - RollupProduct.first_day % length
    columns = [key.label(name) for name, key in keys.items()]
    sums = [func.sum(getattr(RollupProduct, name)).label(name) for name in PRODUCTS.figures]
    groups = [key for name, key in keys.items() if name != "length"]
    return select(*columns, *sums).where(RollupProduct.length == shorter).group_by(*groups).order_by(*groups)
