"""Whose address a request has, behind proxies that are believed and without any."""

import falcon
import falcon.testing
import pytest

from tillhook.server.middleware import Around


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ((), "10.0.0.1", "203.0.113.9", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", None, "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (("10.0.0.1",), "10.0.0.1", "198.51.100.7, 203.0.113.9", "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", "198.51.100.7, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (("10.0.0.0/8",), "203.0.113.9", "198.51.100.7", "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", "nonsense", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", "nonsense, 203.0.113.9", "203.0.113.9"),
        (("127.0.0.1", "::1"), "::1", "2001:DB8::1", "2001:db8::1"),
    ],
)
def test_only_a_trusted_proxy_is_believed(trusted, peer, forwarded, client):
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    environ = falcon.testing.create_environ(remote_addr=peer, headers=headers)
    request = falcon.Request(environ)
    Around(trusted).process_request(request, falcon.Response())
    assert request.context.client == client
