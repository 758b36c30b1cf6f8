"""Watches who writes to SQLite: who hangs with the writer's lock keeps everybody from writing.

On PostgreSQL the server ends a transaction that does nothing (``idle_in_transaction_session_timeout``), and a statement
that takes too long. Nobody can end a thread, so here it is the process that ends: its lock goes with it, SQLite undoes
what was not committed, and the process's master starts another one.
"""

import os
import signal
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable

import structlog

from tillhook.db.writer import WriterLock, Writing

log = structlog.get_logger()


class Watchdog:
    """Looks after whichever thread of this process has the lock.

    Args:
        on_slow: Called once for each transaction that has had the lock for ``slow_s`` seconds; its stack is logged.
        idle_s: Seconds without a changed row after which the statement that runs is interrupted. When that does not
            help within a quarter more, the process ends. Neither befalls who called ``without_limits``.
    """

    def __init__(
        self, lock: WriterLock, on_slow: Callable[[], object], *, slow_s: float, idle_s: float, poll_s: float
    ) -> None:
        self._lock, self._on_slow = lock, on_slow
        self._slow_s, self._idle_s, self._poll_s = slow_s, idle_s, poll_s
        self._since = 0.0
        self._looked_at = time.monotonic()
        #: Seconds since a row was changed, of the one that writes.
        self._quiet_s = 0.0

    def start(self) -> None:
        """Look from now on, from a thread of its own."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(self._poll_s)
            # Only what this thread was there to see: while all was suspended, nobody could go on.
            now = time.monotonic()
            seen_s, self._looked_at = min(now - self._looked_at, 5 * self._poll_s), now
            writing = self._lock.writing()
            if writing is not None:
                self._look(writing, now, seen_s)

    def _look(self, writing: Writing, now: float, seen_s: float) -> None:
        if writing.since != self._since:
            self._since = writing.since
            self._changes = -1
            self._is_told = self._is_interrupted = False
        changes = _changes(writing)
        # The rows that a statement changes count when it has ended.
        is_quiet = changes == self._changes and not (writing.connection and writing.connection is self._lock.unlimited)
        self._quiet_s = self._quiet_s + seen_s if is_quiet else 0.0
        self._changes = changes
        if now - writing.since >= self._slow_s and not self._is_told:
            self._is_told = True
            log.error("writer_slow", **_words(writing), stack=_stack(writing.thread))
            self._on_slow()
        if self._quiet_s >= 1.25 * self._idle_s:
            log.critical("writer_hangs", **_words(writing))
            time.sleep(self._poll_s)  # for who writes the log
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._quiet_s >= self._idle_s and not self._is_interrupted and writing.connection is not None:
            self._is_interrupted = True
            writing.connection.interrupt()


def _changes(writing: Writing) -> int:
    try:
        return writing.connection.total_changes if writing.connection else 0
    except sqlite3.ProgrammingError:
        # Closed meanwhile.
        return 0


def _words(writing: Writing) -> dict[str, object]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {"thread": names.get(writing.thread, "?"), "held_s": round(time.monotonic() - writing.since, 1)}


def _stack(thread: int) -> str:
    frame = sys._current_frames().get(thread)
    return "".join(traceback.format_stack(frame)) if frame else ""
