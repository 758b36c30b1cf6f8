"""Routes declared over the functions that answer them."""

from collections.abc import Callable
from typing import Any, Protocol, TypedDict, TypeVar, Unpack

from marshmallow import Schema

from tillhook.hooks import Authenticated, Public, Route
from tillhook.http.answers import is_page
from tillhook.http.schemas import CountQuery

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Options(TypedDict, total=False):
    """What may be said of a route besides its path and permission; see :class:`tillhook.hooks.Route`."""

    body: type[Schema] | None
    query: type[Schema] | None
    answer: type[Schema] | Schema | None
    content_types: tuple[str, ...]
    status: int
    also: tuple[int, ...]
    writes: bool
    lazy: bool
    idempotent: bool
    upload: bool
    prepare: Callable[..., Any]
    summary: str
    max_body: int
    parts: str
    problems: tuple[int, ...]


class _Decorator(Protocol):
    def __call__(
        self, path: str, *, permission: str | Public | Authenticated, **options: Unpack[Options]
    ) -> Callable[[Handler], Handler]: ...


class Routes:
    """The routes of one module, in the order in which it declares them.

    Args:
        prefix: What every path begins with; a path is then what follows, and may be empty.

    A module of routes::

        routes = Routes("/pos/tills")


        @routes.post("", permission="pos:till:manage", body=TillIn, answer=TillOut, status=201, problems=(409,))
        def create_till(call: Call) -> dict[str, Any]:
            \"\"\"Register a till.\"\"\"
            return services.create_till(call.session, call.body)

    and its plugin's hook::

        @hookimpl
        def register_routes(settings: Settings) -> Iterable[Route]:
            return routes.all()

    The function stays what it is, so it can be called, and declared for a second route above the first.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._routes: list[Route] = []
        self.get = self._decorator("GET")
        self.post = self._decorator("POST")
        self.put = self._decorator("PUT")
        self.patch = self._decorator("PATCH")
        self.delete = self._decorator("DELETE")

    def all(self) -> tuple[Route, ...]:
        """Return the routes declared so far."""
        return tuple(self._routes)

    def _decorator(self, method: str) -> _Decorator:
        def declare(
            path: str, *, permission: str | Public | Authenticated, **options: Unpack[Options]
        ) -> Callable[[Handler], Handler]:
            def add(handler: Handler) -> Handler:
                if method == "GET" and is_page(options.get("answer")):
                    options.setdefault("query", CountQuery)
                route = Route(
                    method=method, path=self._prefix + path, handler=handler, permission=permission, **options
                )
                self._routes.append(route)
                return handler

            return add

        return declare
