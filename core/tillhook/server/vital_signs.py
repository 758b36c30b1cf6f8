"""How the worker, its jobs and its consumers are, for those who watch."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tillhook.db import utc_now
from tillhook.events.consumers import list_consumers
from tillhook.runtime import runtime_of
from tillhook.server.models import JobTurn, WorkerSign

#: When a worker that gave no sign of life counts as dead for people, and when its row goes.
_LATE_S = 60
FORGOTTEN = timedelta(days=1)


def worker_state(session: Session) -> dict[str, Any]:
    """Return ``alive``, ``late`` or ``none``, and the seconds since the last sign of life of any worker."""
    seen_at = session.scalar(select(func.max(WorkerSign.seen_at)))
    if seen_at is None:
        return {"state": "none", "last_seen_s": None}
    age = max((utc_now() - seen_at).total_seconds(), 0.0)
    return {"state": "alive" if age <= _LATE_S else "late", "last_seen_s": round(age, 1)}


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
        seen = worker_state(session)["last_seen_s"]
        if seen is not None:
            yield GaugeMetricFamily("tillhook_worker_seen_seconds", "Since the last sign of life.", value=seen)


def _gauge(name: str, title: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, title, labels=(label,))
    for each, value in values.items():
        family.add_metric((each,), value)
    return family
