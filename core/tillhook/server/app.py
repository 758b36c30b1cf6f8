"""The WSGI application. ``create_app`` is pure; ``get_app`` reads the environment, for gunicorn."""

import ctypes
import gc
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import falcon

from tillhook.server import docs, probes, problems, routing
from tillhook.server.dispatch import Endpoint
from tillhook.server.middleware import Around
from tillhook.server.tokens import TokenReader

if TYPE_CHECKING:
    from tillhook.runtime import Runtime

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


class Application(falcon.App):
    """Falcon's, which also says of a request, before it runs, how large it may be and whether it may take long."""

    def body_limit(self, method: str, path: str) -> int:
        """Return the bytes that the route at a path, as it came, takes; 0 where no body is taken."""
        endpoint = self._endpoint(method, path)
        return endpoint.body_limit if endpoint else 0

    def is_long(self, method: str, path: str) -> bool:
        """Say whether the route at a path, as it came, is one of those that may have few threads only."""
        endpoint = self._endpoint(method, path)
        return endpoint is not None and endpoint.is_long

    def _endpoint(self, method: str, path: str) -> Endpoint | None:
        found = self._router.find(_as_routed(path))
        responder = getattr(found[0], f"on_{method.lower()}", None) if found else None
        return responder if isinstance(responder, Endpoint) else None


def _as_routed(path: str) -> str:
    routed = unquote_to_bytes(path).decode("utf-8", "replace")
    return routed[:-1] if len(routed) > 1 and routed.endswith("/") else routed


def create_app(runtime: "Runtime") -> "falcon.App[Any, Any]":
    """Return the application of a runtime: every registered route below ``/api``, and the few beside it.

    Raises:
        StartupError: Two routes cannot stand side by side.
    """
    middleware: list[Any] = [Around(runtime.settings.trusted_proxies)]
    origins = runtime.settings.cors_origins
    if origins:
        exposed = ["X-Request-ID", "Idempotency-Replayed", "Retry-After", "Location"]
        middleware.append(falcon.CORSMiddleware(allow_origins=list(origins), expose_headers=exposed))
    app: falcon.App[Any, Any] = Application(middleware=middleware)
    app.req_options.strip_url_path_trailing_slash = True
    app.req_options.keep_blank_qs_values = False
    problems.install(app)
    tokens = TokenReader(runtime.settings)
    routing.mount(app, runtime.registry.routes, runtime, tokens)
    probes.mount(app, runtime, tokens)
    docs.mount(app, runtime)
    return app


def tune_process() -> None:
    """Make the process fit for serving; for its start, before the threads.

    A thread that holds a lock of the database waits for the interpreter's lock after every statement, at worst for
    the switch interval; with Python's 5 ms a few busy threads halve the number of sales that SQLite takes.
    """
    sys.setswitchinterval(0.0005)
    # What was imported stays; no collection need look at it again.
    gc.collect()
    gc.freeze()
    _give_memory_back()


def _give_memory_back() -> None:
    """Have what a large batch needed go back to the system, where the C library is glibc.

    By itself it keeps a heap per thread, each as large as the largest batch that the thread ever had, and learns from
    large blocks to keep them too: six batches of 5,000 sales at once left 365 MB, and with this 200 MB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_ARENA_MAX, 2), (_MMAP_THRESHOLD, 256 * 1024), (_TRIM_THRESHOLD, 1024 * 1024)):
            mallopt(option, value)


def get_app() -> "falcon.App[Any, Any]":
    """Return the application of the environment's settings.

    Each process of a server that is not ours reads which plugins are enabled when it starts: after ``modules
    disable``, one that replaces another would differ from the rest. ``TILLHOOK_MODULES`` fixes the set.
    """
    from tillhook.config import Settings
    from tillhook.server import logs, metrics
    from tillhook.server.building import build_runtime

    settings = Settings.from_environment()
    logs.configure(settings.log_level)
    logs.divert_output()
    runtime = build_runtime(settings)
    runtime.database.watch_writers(metrics.LONG_WRITES.inc)
    app = create_app(runtime)
    tune_process()
    return app
