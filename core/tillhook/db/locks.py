"""Locks of what is no row: tables, and PostgreSQL's advisory locks. On SQLite the writer's lock is all there is.

Their place in the lock order is in docs/architecture.md.
"""

from collections.abc import Iterable
from enum import IntEnum

from sqlalchemy import Connection, Integer, cast, column, func, select, text
from sqlalchemy.orm import Session

from tillhook.db.records import records
from tillhook.db.writer import begin_writing


class AdvisoryLock(IntEnum):
    """Every number in use, so that no two purposes share one."""

    EVENT_SEQUENCE = 7_411_001
    IMPORT = 7_411_003
    #: A document whose movements are being undone.
    DOCUMENT = 7_411_006
    MIGRATION = 0x7411_1007


def lock_table(connection: Connection, table: str) -> None:
    """Wait until nobody else writes to a table, and let nobody begin to before the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))
    else:
        begin_writing(connection)


def advisory_lock(session: Session, lock: AdvisoryLock, parts: Iterable[int] | None = None) -> None:
    """Wait for a lock, which lasts until the transaction ends.

    Args:
        parts: Keys of which each is a lock of its own; they are taken in one order by everybody. Two keys may
            share a lock, for PostgreSQL tells only 2^31 of them apart.
    """
    if session.get_bind().dialect.name != "postgresql":
        return
    if parts is None:
        session.execute(select(func.pg_advisory_xact_lock(int(lock)))).all()
        return
    keys = records(session, ((key,) for key in sorted({part % 2**31 for part in parts})), "part")
    session.execute(
        select(func.pg_advisory_xact_lock(int(lock), cast(column("part"), Integer))).select_from(keys)
    ).all()
