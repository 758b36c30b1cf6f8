"""Around every request: its id, who asks, the access log, the metrics, and headers that keep browsers careful."""

import ipaddress
import re
import time
import uuid
from collections.abc import Iterable
from typing import Any

import falcon
import structlog

from tillhook.server import metrics

_ID = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)
# An address as some proxies write it, with the port: 203.0.113.7:51234, [2001:db8::1]:443.
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d{1,5})?|([^:]*):\d{1,5}", re.ASCII)
#: Characters of a method in the log: anybody may think of one.
_MAX_METHOD = 20
_SAFE = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
]
_API = [
    *_SAFE,
    ("Cache-Control", "no-store"),
    # An answer opened as a page must not run anything, whatever somebody named a product.
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
]

log = structlog.get_logger("tillhook.access")


class Around:
    """Falcon middleware; nothing here reads the body.

    Args:
        trusted_proxies: Addresses or networks of the proxies that are believed.
    """

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        self._trusted = tuple(ipaddress.ip_network(each) for each in trusted_proxies)

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        request.context.started = time.perf_counter()
        given = request.env.get("HTTP_X_REQUEST_ID", "")
        request.context.request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        request.context.client = self._client(request)

    def process_response(
        self, request: falcon.Request, response: falcon.Response, _resource: Any, _succeeded: bool
    ) -> None:
        seconds = time.perf_counter() - request.context.started
        response.set_header("X-Request-ID", request.context.request_id)
        for name, value in _API if request.path.startswith("/api") else _SAFE:
            # A handler may know better: an image is kept, a page has a policy of its own.
            if response.get_header(name) is None:
                response.set_header(name, value)
        metrics.observe(request, response, seconds)
        log.info(
            "request",
            request_id=request.context.request_id,
            method=request.method[:_MAX_METHOD],
            route=request.uri_template,
            path=request.path,
            status=int(str(response.status)[:3]),
            ms=round(seconds * 1000, 1),
            remote=request.context.client,
        )

    def _client(self, request: falcon.Request) -> str:
        """Return the address of who asks: the peer's, or what trusted proxies say of it.

        Each proxy appends its peer to ``X-Forwarded-For``, so only the end of it, up to the first who is not
        trusted, was written by somebody we believe; before it anybody may write anything. ``Forwarded`` (RFC 7239) is
        not read: a proxy that does not set it hands on what the client wrote there.
        """
        address = _plain(request.remote_addr or "")
        if not self._trusted:
            return address
        for hop in reversed(request.env.get("HTTP_X_FORWARDED_FOR", "").split(",")):
            if not self._is_trusted(address):
                break
            hop_address = _plain(_without_port(hop.strip().strip('"')))
            if not hop_address:
                break
            address = hop_address
        return address

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._trusted)


def _without_port(hop: str) -> str:
    found = _WITH_PORT.fullmatch(hop)
    return (found[1] or found[2] or "") if found else hop


def _plain(address: str) -> str:
    """Return an address in its one form: IPv4 as such, IPv6 without a zone; nothing for what is no address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)
