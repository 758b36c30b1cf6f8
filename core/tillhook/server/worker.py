"""What goes on beside the requests: jobs, and the outbox's consumers.

Each second the worker looks what is due, and gives every job and every consumer a thread of its own: none waits for
another. Several workers may run, each turn is one worker's (``tillhook.events.turns``). A NOTIFY with each sale would
wake it sooner, but PostgreSQL commits transactions that notify one after another.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy import delete, text

from tillhook.db import format_instant, is_retryable, utc_now
from tillhook.events.consumers import due_consumers, feed, introduce, number_events
from tillhook.events.models import ConsumerCursor
from tillhook.events.turns import renew
from tillhook.runtime import Runtime
from tillhook.server import metrics
from tillhook.server.jobs import due_jobs, plan_jobs, run_job
from tillhook.server.models import JobTurn, WorkerSign
from tillhook.server.vital_signs import FORGOTTEN

log = structlog.get_logger()
_POLL_S = 1.0
#: Seconds between two signs of life; a lease lasts six of them.
_SIGN_S = 5.0
#: Seconds that a job or a consumer has to come to its end when the worker is told to stop.
_GRACE_S = 5.0
_SIGN = text(
    "INSERT INTO worker (name, seen_at) VALUES (:name, :now)"
    " ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at"
)


class Worker:
    """Runs due jobs and hands out events until it is told to stop.

    Args:
        parent: The process that started it; when that is gone, the worker stops.
    """

    def __init__(self, runtime: Runtime, parent: int | None = None) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._runtime = runtime
        self._parent = parent
        self._stopping = threading.Event()
        self._threads: dict[str, threading.Thread] = {}
        self._signed_at = float("-inf")

    def run(self) -> None:
        """Work until :meth:`stop`; what is under way has some seconds to end, then it is left."""
        self._runtime.database.watch_writers(metrics.LONG_WRITES.inc)
        # In a thread too: a job that holds SQLite's writer lock must not keep this one from ending.
        self._start("turns", self._take_turns)
        while not self._stopping.wait(_POLL_S):
            if self._parent is not None and os.getppid() != self._parent:
                log.error("worker_orphaned")
                self.stop()
        deadline = time.monotonic() + _GRACE_S
        for name, thread in list(self._threads.items()):
            thread.join(max(deadline - time.monotonic(), 0))
            if thread.is_alive():
                log.error("worker_left", what=name)

    def stop(self) -> None:
        """Let :meth:`run` come to its end."""
        self._stopping.set()

    def run_once(self) -> None:
        """Run every job that is due, then hand every consumer what waits for it; return when that is done."""
        for start in (self._start_jobs, self._start_consumers):
            start()
            for thread in self._threads.values():
                while thread.is_alive():
                    thread.join(_POLL_S)
                    self._give_sign()

    def _take_turns(self) -> None:
        while not self._stopping.is_set():
            for step in (self._give_sign, self._start_jobs, self._start_consumers):
                self._guarded("turn", step)
            self._stopping.wait(_POLL_S)
        self._say_goodbye()

    def _start_jobs(self) -> None:
        jobs = self._runtime.registry.jobs
        with self._runtime.unit_of_work(lazy=True) as session:
            plan_jobs(session, jobs)
            due = due_jobs(session, jobs)
        for job in due:
            self._start(f"job {job.name}", lambda job=job: run_job(self._runtime, job, self.name))  # type: ignore[misc]

    def _start_consumers(self) -> None:
        consumers = self._runtime.registry.consumers
        with self._runtime.unit_of_work(lazy=True) as session:
            introduce(session, consumers.values())
        number_events(self._runtime)
        with self._runtime.unit_of_work(write=False) as session:
            due = due_consumers(session, consumers)
        for consumer in due:
            self._start(
                f"consumer {consumer.name}",
                lambda consumer=consumer: feed(self._runtime, consumer, self.name, self._stopping.is_set),  # type: ignore[misc]
            )

    def _start(self, name: str, work: Callable[[], object]) -> None:
        """Do work in a thread of its own, unless it is under way. The process does not wait for it when it ends."""
        if name not in self._threads or not self._threads[name].is_alive():
            self._threads[name] = threading.Thread(target=self._guarded, args=(name, work), name=name, daemon=True)
            self._threads[name].start()

    def _give_sign(self) -> None:
        """Say that this worker lives, and that what it has in hand goes on."""
        if time.monotonic() < self._signed_at + _SIGN_S:
            return
        with self._runtime.unit_of_work() as session:
            session.execute(_SIGN, {"name": self.name, "now": format_instant(utc_now())})
            session.execute(delete(WorkerSign).where(WorkerSign.seen_at < utc_now() - FORGOTTEN))
            renew(session, (ConsumerCursor, JobTurn), self.name)
        self._signed_at = time.monotonic()

    def _say_goodbye(self) -> None:
        with self._runtime.unit_of_work() as session:
            session.execute(delete(WorkerSign).where(WorkerSign.name == self.name))

    def _guarded(self, what: str, work: Callable[[], object]) -> None:
        """Do the work; a failure is logged with its name and stops nobody."""
        try:
            work()
        except Exception as error:
            level = log.info if is_retryable(error) else log.error
            level("worker_failed", what=what, exc_info=True)
