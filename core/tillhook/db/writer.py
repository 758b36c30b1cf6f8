"""SQLite's one writer: the queue for its lock, and transactions that join the queue only when they write."""

import contextlib
import os
import re
import sqlite3
import time
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from tillhook.db.filelock import DatabaseBusy, FileLock, Holder

#: In ``Connection.info``: what makes a writer of the transaction, while it only reads.
_LATER = "tillhook_write_later"
#: In ``Connection.info``: seconds that the transaction waits for the lock, where they are not the usual ones.
_PATIENCE = "tillhook_patience"
#: In ``Connection.info``: the writer's lock.
LOCK = "tillhook_lock"
# Whatever is not known to read counts as writing. A savepoint would be lost when the snapshot is given up.
_READS = re.compile(
    r"\s*(?:(?:SELECT|VALUES|PRAGMA|EXPLAIN|BEGIN)\b|WITH\b(?!.*\b(?:INSERT|UPDATE|DELETE|REPLACE)\b))", re.I | re.S
)
_LONGEST_NOTE = 40
#: Bytes of SQLite's write-ahead log that are a matter of course.
LARGEST_LOG = 64 * 1024 * 1024
#: Transactions of a process after which it looks at the log's size.
_LOOK_AFTER = 500
#: For so long nobody writes at most, that the log can be emptied.
_WAIT_FOR_READERS_MS = 250


class RetryTransaction(Exception):
    """The transaction met a concurrent one and is to be run again from its beginning."""


class Writing(NamedTuple):
    """A thread of this process that has the writer's lock, since when on the monotonic clock, and what it writes by."""

    thread: int
    since: float
    connection: sqlite3.Connection | None


class WriterLock(FileLock):
    """The lock of who writes; its file says which process has it, and since when."""

    #: Of who has the lock, if that is known.
    connection: sqlite3.Connection | None = None
    #: Of who may have it as long as it takes.
    unlimited: sqlite3.Connection | None = None
    #: How often somebody of this process has had it.
    count = 0

    def __init__(self, path: str, timeout_s: float, *, log: str = "") -> None:
        super().__init__(path, timeout_s)
        #: SQLite's write-ahead log.
        self.log = log

    def writing(self) -> Writing | None:
        """Return which thread of this process has the lock."""
        with self._guard:
            return None if self._thread is None else Writing(self._thread, self._since, self.connection)

    def _taken(self, descriptor: int) -> None:
        # The monotonic clock is the machine's. A full disk must not keep anybody from writing.
        note = f"{os.getpid()} {time.monotonic():.3f}".ljust(_LONGEST_NOTE)
        with contextlib.suppress(OSError):
            os.pwrite(descriptor, note.encode(), 0)

    def holder(self) -> Holder | None:
        """Return who has the lock now, as far as it can be told; ``None`` when nobody has."""
        note = self.peek(_LONGEST_NOTE)
        try:
            pid, since = (note or b"").split()
            return Holder(int(pid), max(time.monotonic() - float(since), 0.0))
        except ValueError:
            return None

    def _busy(self, waited_s: float) -> DatabaseBusy:
        return DatabaseBusy(waited_s, self.holder())


def write_now(connection: Connection, lock: WriterLock, stack: contextlib.ExitStack, patience_s: float) -> None:
    """Take the lock, at most so many seconds from now; ``stack``, left when the transaction has ended, lets go of it.

    Raises:
        DatabaseBusy: Others had it for all that time.
    """
    raw: Any = connection.connection.driver_connection
    lock.acquire(patience_s)
    lock.connection = raw
    stack.callback(_let_go, lock, raw)


def _let_go(lock: WriterLock, connection: sqlite3.Connection) -> None:
    try:
        lock.count += 1
        if lock.count % _LOOK_AFTER == 0 and Path(lock.log).stat().st_size > LARGEST_LOG:
            _empty_log(connection)
    except (OSError, sqlite3.Error):
        pass  # The next one will see to it.
    finally:
        lock.connection = None
        if lock.unlimited is connection:
            lock.unlimited = None
        lock.release()


def _empty_log(connection: sqlite3.Connection) -> None:
    """Empty the write-ahead log, if those who read now come to their end soon.

    SQLite begins it anew by itself, but only in a moment in which nobody reads; under load there is none. Who begins to
    read meanwhile is not waited for.
    """
    usual = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute(f"PRAGMA busy_timeout = {_WAIT_FOR_READERS_MS}")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {usual}")


def write_later(connection: Connection, lock: WriterLock, stack: contextlib.ExitStack, patience_s: float) -> None:
    """Let the transaction that begins on ``connection`` read until its first statement that writes or locks.

    That statement then raises what :func:`write_now` does.
    """

    def start() -> None:
        del connection.info[_LATER]
        raw: Any = connection.connection.driver_connection
        raw.rollback()
        write_now(connection, lock, stack, connection.info.get(_PATIENCE, patience_s))
        begin(connection, "BEGIN IMMEDIATE")

    connection.info[_LATER] = start
    stack.callback(_forget, connection.info)


def _forget(info: Any) -> None:
    info.pop(_LATER, None)
    info.pop(_PATIENCE, None)


def begin(connection: Connection, sql: str) -> None:
    """Begin a transaction on SQLite, with one of its own statements for that.

    Raises:
        RetryTransaction: Somebody has written since the snapshot that a result not read to its end holds.
        DatabaseBusy: A program that does not know of the writer's lock, such as a shell, has SQLite's own.
        OperationalError: The file cannot be read or written.
    """
    raw: Any = connection.connection.driver_connection
    began = time.monotonic()
    try:
        raw.execute(sql)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY_SNAPSHOT:
            raise RetryTransaction from error
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise DatabaseBusy(time.monotonic() - began) from error
        raise DBAPIError.instance(sql, (), error, sqlite3.Error, dialect=connection.dialect) from error


def be_patient(connection: Connection, patience_s: float) -> None:
    """Let a transaction that has not written yet wait so long for the writer's lock."""
    if _LATER in connection.info:
        connection.info[_PATIENCE] = patience_s


def begin_writing(connection: Connection) -> None:
    """Be the only one who writes, on SQLite, from here to the end of the transaction.

    To be called before reading what is then relied on without a row lock. Nothing happens on PostgreSQL, nor when
    the lock is held already, as it is in every transaction but those of jobs and consumers.
    """
    start = connection.info.get(_LATER)
    if start is not None:
        start()


def before_statement(connection: Connection, sql: str) -> None:
    """Call :func:`begin_writing` for a statement that writes."""
    if _LATER in connection.info and not _READS.match(sql):
        begin_writing(connection)


def before_execute(connection: Connection, _cursor: Any, sql: str, _parameters: Any, context: Any, _many: bool) -> None:
    """Do as :func:`before_statement` for SQLAlchemy's event ``before_cursor_execute``, row locks included."""
    if _LATER in connection.info:
        statement = getattr(getattr(context, "compiled", None), "statement", None)
        # SQLite has no FOR UPDATE, and its compiler leaves it out.
        if getattr(statement, "_for_update_arg", None) is not None:
            begin_writing(connection)
        else:
            before_statement(connection, sql)
