"""How the worker, its jobs and its consumers are, for those who watch."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.db import database_now
from tillhook.events.consumers import list_consumers
from tillhook.runtime import runtime_of
from tillhook.server.models import JobTurn, WorkerSign

#: When a worker that gave no sign of life counts as dead for people, and when its row goes.
_LATE_S = 60
FORGOTTEN = timedelta(days=1)


def worker_state(session: Session) -> dict[str, Any]:
    """Return how the workers are.

    Returns:
        ``state``: ``alive``, ``late`` or ``none``; ``last_seen_s``: seconds since the last sign of life of any;
        ``alive``: how many there are; ``late_jobs``: those that should have been done a minute ago and are not, by
        name, with their seconds: nobody does them, or whoever does hangs or takes long.
    """
    now = database_now(session)
    # A sign from the future is one of a clock that was wrong.
    ages = [abs((now - seen_at).total_seconds()) for seen_at in session.scalars(select(WorkerSign.seen_at))]
    late = {name: seconds for name, seconds in _jobs_late_s(session, now).items() if seconds > _LATE_S}
    state = {"last_seen_s": round(min(ages), 1) if ages else None, "alive": sum(age <= _LATE_S for age in ages)}
    return {"state": "alive" if state["alive"] else "late" if ages else "none", **state, "late_jobs": late}


def _jobs_late_s(session: Session, now: datetime) -> dict[str, float]:
    """Return for how many seconds each declared job has been due; 0 until it is, and when it is done."""
    declared = runtime_of(session).registry.jobs
    turns = session.execute(select(JobTurn.name, JobTurn.next_at).order_by(JobTurn.name))
    return {name: round(max((now - at).total_seconds(), 0.0), 1) for name, at in turns if name in declared}


def consumer_lags(session: Session) -> dict[str, dict[str, Any]]:
    """Return how far each declared consumer is behind."""
    declared = runtime_of(session).registry.consumers
    return {
        each.cursor.name: {"lag": each.lag, "lag_s": round(each.lag_s, 1), "failures": each.cursor.failures}
        for each in list_consumers(session)
        if each.cursor.name in declared
    }


class Gauges(Collector):
    """A collector for Prometheus; what it reads is the same in every process."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def collect(self) -> Iterator[Metric]:
        session = self._session
        consumers = consumer_lags(session)
        for key, name, title in (
            ("lag", "tillhook_consumer_lag_events", "Events that the consumer has not had."),
            ("lag_s", "tillhook_consumer_lag_seconds", "Age of the first of them."),
            ("failures", "tillhook_consumer_failures", "Failures in a row."),
        ):
            yield _gauge(name, title, "consumer", {each: values[key] for each, values in consumers.items()})
        declared = runtime_of(session).registry.jobs
        failures = {each.name: each.failures for each in session.scalars(select(JobTurn)) if each.name in declared}
        yield _gauge("tillhook_job_failures", "Failures in a row.", "job", failures)
        late = _jobs_late_s(session, database_now(session))
        yield _gauge("tillhook_job_late_seconds", "Since it was due; 0 when it is done.", "job", late)
        workers = worker_state(session)
        yield GaugeMetricFamily("tillhook_workers_alive", "Workers seen in the last minute.", value=workers["alive"])
        if workers["last_seen_s"] is not None:
            seen = workers["last_seen_s"]
            yield GaugeMetricFamily("tillhook_worker_seen_seconds", "Since the last sign of life.", value=seen)


def _gauge(name: str, title: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, title, labels=(label,))
    for each, value in values.items():
        family.add_metric((each,), value)
    return family
