"""``/docs``, a page to read and try the API, and ``/api/openapi.json``, which it is made of."""

import threading
from importlib import resources
from typing import TYPE_CHECKING, Any

import falcon

from tillhook.http.media import JSON, dump_json
from tillhook.server import openapi

if TYPE_CHECKING:
    from tillhook.runtime import Runtime

#: Only what this server itself sends; nothing is written into the page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = {
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/docs/docs.css": ("docs.css", "text/css; charset=utf-8"),
    "/docs/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
}


class _Document:
    """The OpenAPI document, made when it is first asked for."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._making = threading.Lock()
        self._data: bytes | None = None

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        with self._making:
            if self._data is None:
                self._data = dump_json(openapi.build(self._runtime))
        response.content_type = JSON
        response.data = self._data

    on_head = on_get


class _File:
    """One file of the page."""

    def __init__(self, name: str, content_type: str) -> None:
        self._data = resources.files(__name__).joinpath(name).read_bytes()
        self._content_type = content_type

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = self._content_type
        response.data = self._data
        response.set_headers([("Content-Security-Policy", _POLICY), ("Cache-Control", "no-cache")])

    on_head = on_get


def mount(app: "falcon.App[Any, Any]", runtime: "Runtime") -> None:
    """Put the page and the document on ``app``."""
    app.add_route("/api/openapi.json", _Document(runtime))
    for path, (name, content_type) in _FILES.items():
        app.add_route(path, _File(name, content_type))


__all__ = ["mount"]
