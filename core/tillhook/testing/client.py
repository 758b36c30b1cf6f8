"""Requests to the application without a network, as a person of the test's choice."""

import json as json_module
from collections.abc import Mapping
from typing import Any

import falcon.testing

from tillhook.testing.people import Tokens


# What a request may carry besides JSON's own types.
def _plain(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


class Client:
    """``client.get("/api/products", as_="cashier")`` answers with Falcon's ``Result``.

    ``as_`` is a role, meaning the template's person of that role; a ``Person`` or anything with ``email``;
    or ``None`` for a request without token.
    """

    def __init__(self, app: Any, tokens: Tokens) -> None:
        self._app = falcon.testing.TestClient(app)
        self._tokens = tokens

    def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        as_: Any = "admin",
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> falcon.testing.Result:
        """Send a request; ``json`` may hold decimals, dates and instants, ``options`` are Falcon's."""
        sent = {**self._tokens.headers(as_), **(headers or {})}
        if json is not None:
            options["body"] = json_module.dumps(json, default=_plain)
            sent.setdefault("Content-Type", "application/json")
        return self._app.simulate_request(method, path, headers=sent, **options)

    def get(self, path: str, **options: Any) -> falcon.testing.Result:
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> falcon.testing.Result:
        return self.request("POST", path, json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> falcon.testing.Result:
        return self.request("PUT", path, json, **options)

    def patch(self, path: str, json: Any = None, **options: Any) -> falcon.testing.Result:
        return self.request("PATCH", path, json, **options)

    def delete(self, path: str, json: Any = None, **options: Any) -> falcon.testing.Result:
        return self.request("DELETE", path, json, **options)
