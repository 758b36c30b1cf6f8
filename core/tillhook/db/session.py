"""Engines, connections and the one transaction of a request."""

import contextlib
import os
import random
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from tillhook.db.concealing import conceal_values
from tillhook.db.filelock import Holder, Turns
from tillhook.db.keys import KeyFile
from tillhook.db.waiting import Waiting
from tillhook.db.watchdog import Watchdog
from tillhook.db.writer import RetryTransaction, WriterLock, write_later, write_now
from tillhook.errors import DatabaseUnavailable

Result = TypeVar("Result")

_RETRYABLE = {"40001", "40P01"}  # serialization failure, deadlock
_LOCKED = {"55P03", "57014"}  # a lock's limit, a statement's
_READ_ONLY = "25006"


class Database:
    """One database, SQLite or PostgreSQL, and how transactions begin on it.

    Args:
        lock_timeout_s: Seconds to wait for who writes, on PostgreSQL for who has a row locked.
        statement_timeout_s: How long a statement may take on PostgreSQL, unless its transaction says otherwise.

    A transaction that writes to SQLite first takes an advisory lock on a file beside the database, on
    which waiters queue, and only then ``BEGIN IMMEDIATE``: SQLite's own waiting polls and is unfair, so
    with several processes some would wait for seconds. The lock dies with its process.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        lock_timeout_s: float = 10,
        statement_timeout_s: float = 60,
    ) -> None:
        self.address = url
        #: Half of the threads may wait for a row that does not come free.
        self.waiting = Waiting(max(pool_size // 2, 1), 2 * lock_timeout_s)
        self.dialect = re.split(r"[+:]", url, maxsplit=1)[0]
        self._lock_timeout_s = lock_timeout_s
        if self.dialect == "sqlite":
            # PostgreSQL's driver is not imported for SQLite, nor the other way round.
            from tillhook.db import sqlite

            self.path = sqlite.path_of(url)
            self._writer_lock = WriterLock(self.path + ".writer", lock_timeout_s, log=self.path + "-wal")
            self._turns = Turns(lock_timeout_s, self._writer_lock.holder)
            keys = KeyFile(self.path + ".keys", lock_timeout_s)
            self.engine = sqlite.make_engine(
                self.path, self._writer_lock, keys, pool_size=pool_size, lock_timeout_s=lock_timeout_s
            )
            self._probing = sqlite.make_probe_engine(self.path, self._writer_lock, keys)
        elif self.dialect in ("postgresql", "postgres"):
            from tillhook.db import postgresql

            self.dialect = "postgresql"
            self.engine = postgresql.make_engine(
                url, pool_size=pool_size, lock_timeout_s=lock_timeout_s, statement_timeout_s=statement_timeout_s
            )
            self._probing = postgresql.make_probe_engine(url)
        else:
            raise ValueError("TILLHOOK_DATABASE_URL: begins with neither sqlite:/// nor postgresql://")
        for engine in (self.engine, self._probing):
            conceal_values(engine)

    @property
    def is_postgresql(self) -> bool:
        return self.dialect == "postgresql"

    def connect(self) -> Connection:
        """Return a connection with no transaction begun; use it as a context manager."""
        return self.engine.connect()

    def probe(self) -> Connection:
        """Return a connection of its own, apart from the pool, on which nothing waits for longer than two seconds."""
        return self._probing.connect()

    def accepts_changes(self, connection: Connection) -> bool:
        """Say whether anything can be written: not to a standby, nor where the files may only be read."""
        if self.is_postgresql:
            return connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "off"
        file = Path(self.path)
        return all(os.access(path, os.W_OK) for path in (file, file.absolute().parent))

    def turn(self) -> contextlib.AbstractContextManager[float | None]:
        """Return what lets one thread of this process at a time plan and write; nothing on PostgreSQL.

        Who holds SQLite's writer lock would else wait for the interpreter, which the others use to plan. ``with``
        yields the seconds that are left to wait for that lock.

        Raises:
            DatabaseBusy: The turn does not come in time.
        """
        return contextlib.nullcontext() if self.is_postgresql else self._turns

    def writer(self) -> Holder | None:
        """Return which process has SQLite's writer lock now; ``None`` when none has, and on PostgreSQL."""
        return None if self.is_postgresql else self._writer_lock.holder()

    def watch_writers(
        self, on_slow: Callable[[], object], *, slow_s: float = 10, idle_s: float = 60, poll_s: float = 1
    ) -> None:
        """Watch from now on that no thread of this process keeps SQLite's writer lock, see :class:`Watchdog`.

        For a process that somebody starts again when it ends.
        """
        if not self.is_postgresql:
            Watchdog(self._writer_lock, on_slow, slow_s=slow_s, idle_s=idle_s, poll_s=poll_s).start()

    @contextlib.contextmanager
    def transaction(
        self, connection: Connection, *, write: bool = True, lazy: bool = False, patience_s: float | None = None
    ) -> Iterator[Session]:
        """Yield a session on ``connection``; commit at the end, roll back on any exception.

        On PostgreSQL a transaction that reading has begun goes on. On SQLite a writer gives up its read
        snapshot first, because a snapshot cannot be turned into a write lock.

        Args:
            lazy: Of one that writes: take SQLite's writer lock with the first statement that writes or locks a row,
                not at the beginning. As on PostgreSQL, what was read without a lock may be old by then.
            patience_s: Seconds to wait for that lock, if not ``lock_timeout_s``.

        Raises:
            DatabaseBusy: Others had SQLite's writer lock for all that time; at the beginning, or of a statement.
        """
        with contextlib.ExitStack() as stack:
            patience_s = self._lock_timeout_s if patience_s is None else patience_s
            if write and lazy and not self.is_postgresql:
                write_later(connection, self._writer_lock, stack, patience_s)
            elif write and not self.is_postgresql:
                if connection.in_transaction():
                    connection.rollback()
                write_now(connection, self._writer_lock, stack, patience_s)
                connection.info["tillhook_write"] = True
                stack.callback(connection.info.pop, "tillhook_write", None)
            session = _Session(connection)
            try:
                yield session
                session.finish(write=write)
            except BaseException:
                session.rollback()
                raise
            finally:
                if session.is_used:
                    session.close()

    @contextlib.contextmanager
    def unit_of_work(self, *, write: bool = True, lazy: bool = False) -> Iterator[Session]:
        """Yield a session on a connection of its own; the only commit is at the end."""
        with self.connect() as connection, self.transaction(connection, write=write, lazy=lazy) as session:
            yield session

    def dispose(self) -> None:
        self.engine.dispose()
        self._probing.dispose()


class _Session(Session):
    """A session on one connection, whose transaction it opens only for what goes by the session itself.

    The hot path's plain statements need none of its book-keeping, which costs as much as a statement.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, expire_on_commit=False, join_transaction_mode="control_fully", autoflush=False)
        self._opened = connection

    def connection(self, *arguments: Any, **options: Any) -> Connection:
        # A savepoint, too, is the session's own.
        if arguments or options or self.in_transaction():
            return super().connection(*arguments, **options)
        if not self._opened.in_transaction():
            self._opened.begin()
        return self._opened

    @property
    def is_used(self) -> bool:
        """Whether anything has gone by the session itself."""
        return self.in_transaction() or bool(self.identity_map)

    def rollback(self) -> None:
        super().rollback()
        if self._opened.in_transaction():
            self._opened.rollback()

    def finish(self, *, write: bool) -> None:
        """Write what is pending, and commit.

        Raises:
            OutcomeUnknown: Something was to be written, and the answer to ``COMMIT`` did not come.
        """
        if self.in_transaction():
            # What fails here is before the COMMIT.
            self.flush()
        try:
            if self.in_transaction():
                self.commit()
            elif self._opened.in_transaction():
                self._opened.commit()
        except DBAPIError as error:
            if write and _may_have_happened(error):
                raise OutcomeUnknown from error
            raise


class GaveWay(RetryTransaction):
    """Somebody else has what is wanted: the next attempt may wait for it, if there is a thread to spare for that.

    Its cause is the error of the database, for who may not.
    """


class OutcomeUnknown(Exception):
    """The connection was lost at ``COMMIT``: whether the transaction took place, nobody here can tell.

    It is not to be run again, unless what it does is done once whatever the number of times. ``has_id`` says so of a
    request.
    """

    has_id = False


def _may_have_happened(error: DBAPIError) -> bool:
    """Say whether a ``COMMIT`` that failed may have been done: the server gave no answer, or the disk an error.

    PostgreSQL that answers with an error and keeps the connection has undone the transaction.
    """
    code: int = getattr(error.orig, "sqlite_errorcode", 0)
    return error.connection_invalidated or code & 0xFF == sqlite3.SQLITE_IOERR


def is_retryable(error: BaseException) -> bool:
    """Say whether running the whole transaction again may succeed."""
    if isinstance(error, RetryTransaction):
        return True
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _RETRYABLE


def is_unavailable(error: BaseException) -> bool:
    """Say whether the database could not be reached, was too busy, or takes no changes."""
    if isinstance(error, OperationalError | DatabaseUnavailable) or is_read_only(error):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_read_only(error: BaseException) -> bool:
    """Say whether the database, or its file, may only be read at present."""
    if isinstance(error, DBAPIError):
        code: int = getattr(error.orig, "sqlite_errorcode", 0)
        return getattr(error.orig, "sqlstate", None) == _READ_ONLY or code & 0xFF == sqlite3.SQLITE_READONLY
    return False


def is_lock_timeout(error: BaseException) -> bool:
    """Say whether somebody else had for too long what was to be changed."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _LOCKED


def retrying(function: Callable[[], Result], attempts: int = 9) -> Result:
    """Call ``function``, a whole transaction, again while it meets concurrent ones.

    The second time at once, for then it locks first what it met them at. After that it pauses, at random up to 20 ms
    and each time twice as long, lest it meet the same ones again; it holds no connection meanwhile.
    """
    for attempt in range(attempts):
        try:
            return function()
        except Exception as error:
            if attempt + 1 == attempts or not is_retryable(error):
                raise
        if attempt:
            time.sleep(random.uniform(0, 0.01 * 2**attempt))
    raise AssertionError("unreachable")
