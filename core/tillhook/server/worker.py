"""What goes on beside the requests: jobs, and the outbox's consumers.

Several workers may run: a job's turn and a consumer's cursor are taken under a lock. The worker looks every second;
a NOTIFY with each sale would wake it sooner, but PostgreSQL commits transactions that notify one after another.
"""

import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from tillhook.db import is_retryable, retrying
from tillhook.events import dispatch, sequence_events
from tillhook.hooks import Consumer, Job
from tillhook.runtime import Runtime

log = structlog.get_logger()
_POLL_S = 1.0
#: First key of the advisory locks of jobs.
_JOB_LOCK = 7_411_003
_BATCH = 100


class Worker:
    """Runs due jobs and hands out events until it is told to stop."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stopping = threading.Event()
        self._due: dict[str, float] = {}

    def run(self) -> None:
        """Work until :meth:`stop`."""
        while not self._stopping.is_set():
            self.run_once()
            self._stopping.wait(_POLL_S)

    def stop(self) -> None:
        """Finish what is under way, then return from :meth:`run`; safe in a signal handler."""
        self._stopping.set()

    def run_once(self) -> None:
        """Run every job that is due, and hand every consumer what waits for it."""
        for job in self._runtime.registry.jobs.values():
            if time.monotonic() >= self._due.get(job.name, 0.0):
                self._due[job.name] = time.monotonic() + job.every_s
                self._guarded(job.name, lambda job=job: self._run_job(job))  # type: ignore[misc]
        for consumer in self._runtime.registry.consumers.values():
            self._guarded(consumer.name, lambda consumer=consumer: self._feed(consumer))  # type: ignore[misc]

    def _run_job(self, job: Job) -> None:
        def run() -> None:
            with self._runtime.unit_of_work() as session:
                if self._take_turn(session, job):
                    job.run(session)

        retrying(run)

    def _feed(self, consumer: Consumer) -> None:
        while not self._stopping.is_set():
            with self._runtime.unit_of_work() as session:
                sequence_events(session)
            with self._runtime.unit_of_work() as session:
                if dispatch(session, consumer, _BATCH) < _BATCH:
                    return

    def _take_turn(self, session: Session, job: Job) -> bool:
        """Say whether no other worker runs the job right now; SQLite has one writer anyway."""
        if not self._runtime.database.is_postgresql:
            return True
        query = text("SELECT pg_try_advisory_xact_lock(:space, hashtext(:name))")
        return bool(session.execute(query, {"space": _JOB_LOCK, "name": job.name}).scalar_one())

    def _guarded(self, name: str, work: Callable[[], None]) -> None:
        """Do the work; a failure is logged with its name and stops neither the others nor the next try."""
        try:
            work()
        except Exception as error:
            level = log.info if is_retryable(error) else log.error
            level("worker_failed", what=name, exc_info=True)
