"""Totals per day: what is read instead of the journal, so that views cost the same however many sales there are.

Selling knows nothing of them: it writes its row of ``pos_document`` as not yet counted. A job counts later, and a view
adds up the totals and what is not counted yet in one statement, which sees one snapshot; it is exact whether or not the
job runs. Who writes totals holds a lock of their own, so there is one at a time; readers and tills wait for nobody.
"""

import itertools
from collections.abc import Iterable
from datetime import date

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from tillhook.db import as_instant, begin_writing, utc_now
from tillhook.sales import NO_DEVICE
from tillhook_pos.documents import CHANNEL, PERSONAL
from tillhook_pos.views import statements
from tillhook_pos.views.days import LENGTHS, Calendar

#: Documents that are counted in one transaction.
BATCH = 20_000
#: Key of the advisory lock of whoever writes totals.
_LOCK = 7_411_005

_TAKE_BATCH = text(
    "UPDATE pos_document SET is_counted = TRUE WHERE sale_id IN (SELECT sale_id FROM pos_document"
    " WHERE NOT is_counted ORDER BY sale_id LIMIT :limit) RETURNING sale_id"
)
# A row that a closing session has locked is left for the next time.
_TAKE_UNLOCKED_BATCH = text(_TAKE_BATCH.text.replace(":limit)", ":limit FOR UPDATE SKIP LOCKED)"))
_ADOPT = text(
    f"""
    INSERT INTO pos_document (sale_id, till, session_id, is_late, is_counted)
    SELECT s.id, CASE WHEN s.source_device = '{NO_DEVICE}' OR SUBSTR(s.source_device, 1, {len(PERSONAL)}) = '{PERSONAL}'
                 THEN '{PERSONAL}' || COALESCE(CAST(s.seller_id AS TEXT), 'None')
                 ELSE s.source_device END, NULL, FALSE, :is_counted
      FROM sale s LEFT JOIN pos_document p ON p.sale_id = s.id
     WHERE s.channel = '{CHANNEL}' AND p.sale_id IS NULL ON CONFLICT DO NOTHING
    """
)
_DAYS_OF_BATCH = "SELECT MIN(s.sale_date), MAX(s.sale_date) FROM sale s WHERE s.id {ids}"
_DAYS_OF_ALL = "SELECT MIN(sale_date), MAX(sale_date) FROM sale"


def count_documents(session: Session, limit: int = BATCH) -> int:
    """Count up to ``limit`` documents that the totals do not have yet; before that, rebuild those of another calendar.

    Returns:
        How many were counted; none while somebody else writes totals.
    """
    connection = session.connection()
    if not _hold(connection, wait=False):
        return 0
    calendar = Calendar.of(session)
    if kept_calendar(connection) != calendar:
        _rebuild(connection, calendar)
    ids = _take(connection, limit)
    if ids:
        days = _days(connection, calendar, _DAYS_OF_BATCH, ids)
        for table in statements.TABLES:
            statements.run(connection, statements.add_to(table), source=statements.BATCH, days=days, among={"ids": ids})
    return len(ids)


def rebuild_totals(session: Session) -> int:
    """Make the totals of all counted documents anew from the journal, by the present calendar.

    Documents without their row get it, and are counted. Those that are not counted stay so: their rows are a till
    session's to lock, which is not to wait for this.

    Returns:
        How many documents are counted now.
    """
    connection = session.connection()
    _hold(connection, wait=True)
    _rebuild(connection, Calendar.of(session))
    return int(connection.execute(text("SELECT COUNT(*) FROM pos_document WHERE is_counted")).scalar_one())


def adopt_documents(session: Session) -> int:
    """Write the rows of the counter's documents that have none: those made while this plugin was not enabled.

    Returns:
        How many there were.
    """
    return int(session.connection().execute(_ADOPT, {"is_counted": False}).rowcount)


def kept_calendar(connection: Connection) -> Calendar | None:
    """Return the calendar that the totals are of; ``None`` when there are no totals yet."""
    row = connection.execute(text("SELECT timezone, day_cutoff_hour FROM pos_calendar WHERE id = 1")).first()
    return None if row is None else Calendar(*row)


def days_of_journal(connection: Connection, calendar: Calendar) -> tuple[Calendar, date, date]:
    """Return the calendar and the first and last day of which there are documents."""
    return _days(connection, calendar, _DAYS_OF_ALL)


def _rebuild(connection: Connection, calendar: Calendar) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        # A million sales are sorted and summed; by default in 4 MB, which is to say on disk.
        connection.execute(text("SET LOCAL work_mem = '128MB'"))
    # From here on the counted documents stay the same: only the holder of the lock says that one is counted.
    connection.execute(_ADOPT, {"is_counted": True})
    for table in statements.TABLES:
        connection.execute(text(f"DELETE FROM {table}"))
    connection.execute(text("DELETE FROM pos_calendar"))
    days = days_of_journal(connection, calendar)
    for table in statements.TABLES:
        statements.run(connection, statements.add_to(table), source=statements.COUNTED, days=days, lengths=LENGTHS[:1])
    for shorter, length in itertools.pairwise(LENGTHS):
        statements.run(connection, statements.LONGER_PERIODS, shorter=shorter, length=length)
    connection.execute(
        text("INSERT INTO pos_calendar (id, timezone, day_cutoff_hour) VALUES (1, :timezone, :day_cutoff_hour)"),
        calendar._asdict(),
    )


def _hold(connection: Connection, *, wait: bool) -> bool:
    """Be the only one who writes totals until the end of the transaction, and say whether that is so."""
    if connection.dialect.name != "postgresql":
        begin_writing(connection)
        return True
    if not wait:
        query = text("SELECT pg_try_advisory_xact_lock(:key)")
        return bool(connection.execute(query, {"key": _LOCK}).scalar_one())
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    return True


def _take(connection: Connection, limit: int) -> list[int]:
    """Mark documents as counted, and return their keys."""
    is_postgresql = connection.dialect.name == "postgresql"
    statement = _TAKE_UNLOCKED_BATCH if is_postgresql else _TAKE_BATCH
    return [row[0] for row in connection.execute(statement, {"limit": limit})]


def _days(
    connection: Connection, calendar: Calendar, statement: str, ids: Iterable[int] | None = None
) -> tuple[Calendar, date, date]:
    [row] = statements.run(connection, statement, among=None if ids is None else {"ids": ids})
    first, last = (calendar.day_of(utc_now() if moment is None else as_instant(moment)) for moment in row)
    return calendar, first, last
