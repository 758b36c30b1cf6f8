"""``/healthz``, ``/readyz`` and ``/metrics``: for machines that watch this one."""

import contextlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import falcon
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from tillhook.db.migrate import progress_of
from tillhook.errors import DatabaseUnavailable, Unauthenticated
from tillhook.http.media import JSON, dump_json
from tillhook.server import metrics, problems
from tillhook.server.dispatch import actor_of
from tillhook.server.tokens import TokenReader
from tillhook.server.vital_signs import Gauges, consumer_lags, worker_state

if TYPE_CHECKING:
    from tillhook.runtime import Runtime

METRICS_PERMISSION = "platform:metrics:read"


class Health:
    """The process is up; the database is not asked."""

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = JSON
        response.data = b'{"status":"ok"}'

    on_head = on_get


class Readiness:
    """Requests can be served: the database answers, takes changes, and its tables are the code's.

    The body also says how old the worker's last sign of life is, how far each consumer is behind, and which process
    has SQLite's writer lock for how long: when that is seconds, writing requests are answered with 503.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._is_migrated = False

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        with self._runtime.probe() as session:
            connection = session.connection()
            writable = self._runtime.database.accepts_changes(connection)
            pending = self._pending(connection)
            if writable and not pending:
                # Requests are served without a worker too: a dead one is told, and refuses nobody.
                state = {"status": "ready", "worker": worker_state(session), "consumers": consumer_lags(session)}
        if pending:
            detail = f"Not migrated: {', '.join(pending)}."
            problems.write(request, response, problems.plain(503, code="not-migrated", detail=detail))
        elif not writable:
            detail = "The database can only be read at present."
            problems.write(request, response, problems.plain(503, code="database-read-only", detail=detail))
        else:
            holder = self._runtime.database.writer()
            response.content_type = JSON
            response.data = dump_json({**state, "writer": asdict(holder) if holder else None})

    def _pending(self, connection: Connection) -> list[str]:
        # Once at head it stays so for this process: its code does not change under it.
        if not self._is_migrated:
            progress = progress_of(connection, self._runtime.migrations)
            pending = [each.name for each in progress if each.is_pending]
            if pending:
                return pending
            self._is_migrated = True
        return []

    on_head = on_get


class _Known(Collector):
    """What is known already, for Prometheus."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class Metrics:
    """Prometheus text, for the bearer of the metrics token or an actor with the permission."""

    def __init__(self, runtime: "Runtime", tokens: TokenReader) -> None:
        self._runtime = runtime
        self._tokens = tokens

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        self._check(request)
        response.data, response.content_type = metrics.exposition(_Known(self._gauges()))

    def _gauges(self) -> Iterator[Metric]:
        """Yield what the database says, and whether it says anything: without it, processes have their own figures."""
        answers = False
        with contextlib.suppress(DBAPIError, DatabaseUnavailable):
            with self._runtime.probe() as session:
                yield from list(Gauges(session).collect())
            answers = True
        yield GaugeMetricFamily("tillhook_database_up", "1 while the database answers.", value=int(answers))

    def _check(self, request: falcon.Request) -> None:
        token = self._runtime.settings.metrics_token
        given = request.get_header("Authorization") or ""
        if token and hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return
        actor = actor_of(request, self._runtime, self._tokens)
        if actor.user_id is None and not actor.can(METRICS_PERMISSION):
            raise Unauthenticated("This needs the metrics token or a log-in.")
        actor.require(METRICS_PERMISSION)


def mount(app: "falcon.App[Any, Any]", runtime: "Runtime", tokens: TokenReader) -> None:
    """Put the three addresses on ``app``."""
    app.add_route("/healthz", Health())
    app.add_route("/readyz", Readiness(runtime))
    app.add_route("/metrics", Metrics(runtime, tokens))
