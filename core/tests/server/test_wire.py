"""What only a real server shows: bodies in chunks, bodies left unread, connections that stay open."""

import http.client
import json
from typing import Any

import pytest


@pytest.fixture
def connection(server: Any) -> Any:
    connection = server.connect()
    yield connection
    connection.close()


def _login(connection: http.client.HTTPConnection, body: Any, **headers: str) -> tuple[int, Any]:
    connection.request("POST", "/api/auth/login", body, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_a_body_in_chunks_is_read_and_limited(connection: http.client.HTTPConnection) -> None:
    status, answer = _login(connection, iter([b'{"email": "a@b.de",', b' "password": ""}']))
    assert status in (401, 422)
    status, answer = _login(connection, iter([b'{"x": "'] + [b"x" * 1000] * 20 + [b'"}']))
    assert (status, answer["code"]) == (413, "body-too-large")


def test_a_body_left_unread_does_not_become_the_next_request(connection: http.client.HTTPConnection) -> None:
    smuggled = b"GET /api/auth/me HTTP/1.1\r\nHost: x\r\n\r\n"
    connection.request("GET", "/healthz", smuggled, {"Content-Length": str(len(smuggled))})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b'{"status":"ok"}')
    status, answer = _login(connection, b"{")
    assert (status, answer["code"]) == (400, "malformed-body")


def test_no_body_may_be_over_the_limit(connection: http.client.HTTPConnection) -> None:
    status, answer = _login(connection, b"x" * (2 * 1024 * 1024))
    assert (status, answer["code"]) == (413, "body-too-large")


def test_ready_and_counted(server: Any) -> None:
    status, state = server.get("/readyz", as_=None)
    assert (status, state["status"]) == (200, "ready")
    assert server.get("/metrics", as_=None)[0] == 401
    assert server.get("/metrics", as_="admin")[0] == 200
