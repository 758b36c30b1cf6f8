"""SQLite's connections: one file with a write-ahead log, which one transaction at a time writes to."""

import functools
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url

from tillhook.db.folding import register_fold
from tillhook.db.keys import KEY_FILE, KeyFile
from tillhook.db.writer import LARGEST_LOG, LOCK, WriterLock, before_execute, begin

_PROBE_S = 2


def path_of(url: str) -> str:
    """Return the path of the database's file; makes the folder where there is none.

    Raises:
        ValueError: The address names no file.
    """
    path = make_url(url).database
    if not path or path == ":memory:":
        raise ValueError("TILLHOOK_DATABASE_URL: SQLite needs a file, such as sqlite:///var/tillhook.db")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return path


def make_engine(path: str, lock: WriterLock, keys: KeyFile, *, pool_size: int, lock_timeout_s: float) -> Engine:
    """Return an engine with a pool."""
    engine = create_engine(
        URL.create("sqlite", database=path),
        pool_size=pool_size,
        max_overflow=pool_size,
        hide_parameters=True,
        connect_args={"isolation_level": None, "timeout": lock_timeout_s, "check_same_thread": False},
    )
    event.listen(engine, "connect", functools.partial(_configure, lock, keys))
    event.listen(engine, "begin", _begin)
    event.listen(engine, "before_cursor_execute", before_execute)
    return engine


def make_probe_engine(path: str, lock: WriterLock, keys: KeyFile) -> Engine:
    """Return an engine without a pool, that makes no file where there is none."""
    place = f"file:{quote(str(Path(path).absolute()))}?mode=rw"
    open_file = functools.partial(sqlite3.connect, place, uri=True, timeout=_PROBE_S, isolation_level=None)
    engine = create_engine("sqlite://", poolclass=NullPool, creator=open_file, hide_parameters=True)
    event.listen(engine, "connect", functools.partial(_configure, lock, keys))
    return engine


def _configure(lock: WriterLock, keys: KeyFile, connection: Any, record: Any) -> None:
    record.info[KEY_FILE], record.info[LOCK] = keys, lock
    cursor = connection.cursor()
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        # Of two processes that switch a new file at once, SQLite would refuse one without waiting.
        with lock:
            cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # NORMAL may lose the last commits when power fails
    cursor.execute("PRAGMA foreign_keys = ON")
    # Without it INSERT OR REPLACE deletes rows behind the triggers that keep tables append-only.
    cursor.execute("PRAGMA recursive_triggers = ON")
    cursor.execute("PRAGMA cache_size = -32768")
    # A log that grew while somebody read for long is cut when it is begun anew.
    cursor.execute(f"PRAGMA journal_size_limit = {LARGEST_LOG}")
    cursor.close()
    register_fold(connection)


def _begin(connection: Connection) -> None:
    begin(connection, "BEGIN IMMEDIATE" if connection.info.get("tillhook_write") else "BEGIN")
