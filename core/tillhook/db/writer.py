"""SQLite's one writer: the queue for its lock, and transactions that join the queue only when they write."""

import contextlib
import fcntl
import os
import re
import sqlite3
import threading
from collections import deque
from typing import Any

from sqlalchemy import Connection

#: In ``Connection.info``: what makes a writer of the transaction, while it only reads.
_LATER = "tillhook_write_later"
# Whatever is not known to read counts as writing. A savepoint would be lost when the snapshot is given up.
_READS = re.compile(
    r"\s*(?:(?:SELECT|VALUES|PRAGMA|EXPLAIN|BEGIN)\b|WITH\b(?!.*\b(?:INSERT|UPDATE|DELETE|REPLACE)\b))", re.I | re.S
)


class RetryTransaction(Exception):
    """The transaction met a concurrent one and is to be run again from its beginning."""


class WriterLock:
    """An exclusive lock between threads and processes; each thread has a descriptor of its own."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()

    def __enter__(self) -> None:
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    @property
    def descriptor(self) -> int:
        """The thread's descriptor of the file."""
        handle: _Descriptor | None = getattr(self._local, "handle", None)
        if handle is None or handle.pid != os.getpid():
            handle = self._local.handle = _Descriptor(self._path)
        return handle.number


class Turns:
    """A lock between the threads of a process, first come, first served."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._is_taken = False

    def __enter__(self) -> None:
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        mine.acquire()

    def __exit__(self, *_: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False


class _Descriptor:
    """A file descriptor that is closed with the thread that opened it."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.pid = os.getpid()

    def __del__(self) -> None:
        if self.pid == os.getpid():
            os.close(self.number)


def write_later(connection: Connection, lock: WriterLock, stack: contextlib.ExitStack) -> None:
    """Let the transaction that begins on ``connection`` read until its first statement that writes or locks.

    Args:
        stack: Left when the transaction has ended; lets go of the lock.
    """

    def begin() -> None:
        del connection.info[_LATER]
        raw: Any = connection.connection.driver_connection
        raw.rollback()
        stack.enter_context(lock)
        try:
            raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            # A result that was not read to its end holds the old snapshot, and somebody has written since.
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY_SNAPSHOT:
                raise RetryTransaction from error
            raise

    connection.info[_LATER] = begin
    stack.callback(connection.info.pop, _LATER, None)


def begin_writing(connection: Connection) -> None:
    """Be the only one who writes, on SQLite, from here to the end of the transaction.

    To be called before reading what is then relied on without a row lock. Nothing happens on PostgreSQL, nor when
    the lock is held already, as it is in every transaction but those of jobs and consumers.
    """
    begin = connection.info.get(_LATER)
    if begin is not None:
        begin()


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
