"""Whose address a request has, behind proxies that are believed and without any."""

import falcon
import falcon.testing
import pytest

from tillhook.server.middleware import Around

PRIVATE = ("10.0.0.0/8",)


def client_of(trusted, peer, headers):
    """Return who is said to ask."""
    request = falcon.Request(falcon.testing.create_environ(remote_addr=peer, headers=headers))
    Around(trusted).process_request(request, falcon.Response())
    return request.context.client


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ((), "10.0.0.1", "203.0.113.9", "10.0.0.1"),
        (PRIVATE, "10.0.0.1", None, "10.0.0.1"),
        (PRIVATE, "10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (("10.0.0.1",), "10.0.0.1", "198.51.100.7, 203.0.113.9", "203.0.113.9"),
        (PRIVATE, "10.0.0.1", "198.51.100.7, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (PRIVATE, "203.0.113.9", "198.51.100.7", "203.0.113.9"),
        (PRIVATE, "10.0.0.1", "nonsense", "10.0.0.1"),
        (PRIVATE, "10.0.0.1", "nonsense, 203.0.113.9", "203.0.113.9"),
        (("127.0.0.1", "::1"), "::1", "2001:DB8::1", "2001:db8::1"),
        (PRIVATE, "10.0.0.1", "203.0.113.9:51234", "203.0.113.9"),
        (PRIVATE, "10.0.0.1", "198.51.100.7:1, 203.0.113.9:51234 ,\t10.0.0.2:80", "203.0.113.9"),
        (PRIVATE, "10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        (PRIVATE, "10.0.0.1", '"[2001:db8::1]:443"', "2001:db8::1"),
        (PRIVATE, "10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        (PRIVATE, "10.0.0.1", "2001:db8::1:443", "2001:db8::1:443"),
        (PRIVATE, "10.0.0.1", "fe80::1%eth0", "fe80::1"),
        (PRIVATE, "10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        (PRIVATE, "10.0.0.1", "[::ffff:203.0.113.9]:443", "203.0.113.9"),
        # A socket that listens on both protocols names the peers of one in the other's form.
        (PRIVATE, "::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (PRIVATE, "10.0.0.1", "198.51.100.7, ::ffff:10.0.0.2", "198.51.100.7"),
        ((), "::ffff:203.0.113.9", None, "203.0.113.9"),
        # What cannot be read ends the search: before it anybody may write anything.
        (PRIVATE, "10.0.0.1", "198.51.100.7, 203.0.113.9:port", "10.0.0.1"),
        (PRIVATE, "10.0.0.1", "198.51.100.7, 203.0.113.9:1:2", "10.0.0.1"),
        (PRIVATE, "10.0.0.1", "198.51.100.7, [2001:db8::1", "10.0.0.1"),
        (PRIVATE, "10.0.0.1", "198.51.100.7, [203.0.113.9]x:1", "10.0.0.1"),
        (PRIVATE, "10.0.0.1", "198.51.100.7, unknown, 10.0.0.2", "10.0.0.2"),
        (PRIVATE, "10.0.0.1", "198.51.100.7,", "10.0.0.1"),
        (PRIVATE, "10.0.0.1", "198.51.100.7, \u0661\u0660.0.0.1", "10.0.0.1"),
        (PRIVATE, "10.0.0.1", ":" * 10_000, "10.0.0.1"),
    ],
)
def test_only_a_trusted_proxy_is_believed(trusted, peer, forwarded, client):
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert client_of(trusted, peer, headers) == client


def test_of_several_header_lines_the_last_was_written_last():
    headers = [("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-For", "203.0.113.9:51234")]
    assert client_of(PRIVATE, "10.0.0.1", headers) == "203.0.113.9"
