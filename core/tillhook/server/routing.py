"""The routes of the registry on Falcon, and addresses that no database column could hold."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import falcon
from falcon.routing.converters import BaseConverter

from tillhook.errors import StartupError
from tillhook.hooks.declarations import Route
from tillhook.http.schemas import MAX_KEY
from tillhook.server.dispatch import Endpoint
from tillhook.server.tokens import TokenReader

if TYPE_CHECKING:
    from tillhook.runtime import Runtime

PREFIX = "/api"


class KeyConverter(BaseConverter):
    """``{name:int}``: a positive 64-bit key in ASCII digits; anything else is an unknown address.

    Falcon's own also takes ``1_000``, ``+1`` and other scripts' digits, and numbers that no column holds.
    """

    def convert(self, value: str) -> int | None:
        if not (value.isascii() and value.isdigit()) or len(value) > 19 or value[0] == "0":
            return None
        number = int(value)
        return number if number <= MAX_KEY else None


class _Resource:
    """One path: a responder per method, set from outside."""


def mount(app: "falcon.App[Any, Any]", routes: Iterable[Route], runtime: "Runtime", tokens: TokenReader) -> None:
    """Put every route below ``/api``; HEAD is answered wherever GET is.

    Raises:
        StartupError: Two routes cannot stand side by side.
    """
    app.router_options.converters["int"] = KeyConverter
    resources: dict[str, _Resource] = {}
    for route in routes:
        resource = resources.setdefault(template_of(route), _Resource())
        responder = f"on_{route.method.lower()}"
        if hasattr(resource, responder):
            # Falcon would replace the first one without a word.
            raise StartupError(f"two routes claim {route.method} {route.path}")
        endpoint = Endpoint(route, runtime, tokens)
        setattr(resource, responder, endpoint)
        if route.method == "GET" and not hasattr(resource, "on_head"):
            resource.on_head = endpoint  # type: ignore[attr-defined]
    for template, resource in resources.items():
        try:
            app.add_route(template, resource)
        except ValueError as error:
            raise StartupError(f"route {template}: {error}") from error


def template_of(route: Route) -> str:
    """Return the full template, without a trailing slash."""
    return PREFIX + route.path.rstrip("/")
