"""What only a real server shows: bodies in chunks, bodies left unread, connections that stay open."""

import http.client
import json
from typing import Any

import pytest


def _login(connection: http.client.HTTPConnection, body: Any, **headers: str) -> tuple[int, Any]:
    connection.request("POST", "/api/auth/login", body, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_one_connection_takes_all_kinds_of_bodies(server: Any) -> None:
    """In one test, for starting a server takes most of the time."""
    connection = server.connect()
    status, answer = _login(connection, iter([b'{"email": "a@b.de",', b' "password": ""}']))
    assert status in (401, 422)
    status, answer = _login(connection, iter([b'{"x": "'] + [b"x" * 1000] * 20 + [b'"}']))
    assert (status, answer["code"]) == (413, "body-too-large")

    smuggled = b"GET /api/auth/me HTTP/1.1\r\nHost: x\r\n\r\n"
    connection.request("GET", "/healthz", smuggled, {"Content-Length": str(len(smuggled))})
    left_unread = connection.getresponse()
    assert (left_unread.status, left_unread.read()) == (200, b'{"status":"ok"}')
    status, answer = _login(connection, b"{")
    assert (status, answer["code"]) == (400, "malformed-body")

    status, answer = _login(connection, b"x" * (2 * 1024 * 1024))
    assert (status, answer["code"]) == (413, "body-too-large")
    connection.close()

    status, state = server.get("/readyz", as_=None)
    assert (status, state["status"]) == (200, "ready")
    assert server.get("/metrics", as_=None)[0] == 401
    assert server.get("/metrics", as_="admin")[0] == 200
