"""What Prometheus reads: requests by route template, answers given again, and how the worker is."""

import os
from typing import Any

import falcon
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Histogram(
    "tillhook_request_seconds",
    "Time to answer a request, by route template.",
    ("method", "route", "status"),
    buckets=_BUCKETS,
)
REPLAYS = Counter("tillhook_idempotent_replays", "Answers given again for an Idempotency-Key.")
LONG_WRITES = Counter("tillhook_long_writes", "Transactions that had SQLite's writer lock for ten seconds and more.")

_children: dict[tuple[str, str, str], Any] = {}


def observe(request: falcon.Request, response: falcon.Response, seconds: float) -> None:
    """Count one request. An address that is no route counts as one, whatever was asked for."""
    key = (request.method, request.uri_template or "unknown", str(response.status)[:3])
    child = _children.get(key)
    if child is None:
        # labels() costs more than observing.
        child = _children[key] = REQUESTS.labels(*key)
    child.observe(seconds)


def exposition(gauges: Collector) -> tuple[bytes, str]:
    """Return the metrics of all processes that answer requests (of this one, without ``PROMETHEUS_MULTIPROC_DIR``).

    Args:
        gauges: What is read from the database now.
    """
    registry = REGISTRY
    if _is_multiprocess():
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    present = CollectorRegistry()
    present.register(gauges)
    return generate_latest(registry) + generate_latest(present), CONTENT_TYPE_LATEST


def forget_process(pid: int) -> None:
    """Drop what a worker that has ended left; for gunicorn's ``child_exit``."""
    if _is_multiprocess():
        mark_process_dead(pid)


def _is_multiprocess() -> bool:
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ
