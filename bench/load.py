"""The load: as many requests as the server answers, on connections that stay open, from a process of its own.

One thread, raw sockets and ready-made bytes, so that the client takes as little as can be of the processors that
it shares with the server. A job comes as JSON on stdin, the result goes as JSON to stdout.
"""

import itertools
import json
import random
import selectors
import socket
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

UNIT_PRICE = "10.00"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to send, and for how long.

    Args:
        kind: ``sales`` (two lines), ``hot`` (one line, always the first product), ``devices`` (each connection is a
            till that numbers its sales), ``sync`` (batches of new sales) or ``duplicates`` (batches that the server
            has).
        seconds: 0 for one request per connection.
        products: Ids to choose from; ``warehouses`` likewise.
        seed: Equal seeds, with equal timestamps, make equal sales in equal order.
        timestamp: When the till says it sold.
        batch: Sales per request of ``sync`` and ``duplicates``.
        repeat: Requests of ``duplicates`` to send over and over, the first ones of its seed.
    """

    kind: str
    port: int
    path: str
    token: str
    connections: int
    seconds: float
    products: list[int]
    warehouses: list[int]
    channel: str
    seed: int
    timestamp: str
    batch: int = 500
    repeat: int = 1


@dataclass
class Outcome:
    """Requests answered in ``seconds``; ``acknowledged`` counts sales that the server said it has posted."""

    seconds: float = 0.0
    requests: int = 0
    acknowledged: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    p50_ms: float = 0.0
    p99_ms: float = 0.0


def main() -> None:
    json.dump(asdict(run(Job(**json.load(sys.stdin)))), sys.stdout)


def run(job: Job) -> Outcome:
    """Keep every connection busy for ``job.seconds``, then wait for the last answers."""
    if job.kind == "devices":
        return _Loop(job, [_requests(job, till) for till in range(job.connections)]).run()
    requests = _requests(job)
    # Making a batch takes milliseconds, so batches are ready before the clock runs.
    if job.kind == "duplicates":
        requests = itertools.cycle(list(itertools.islice(requests, job.repeat)))
    elif job.kind == "sync":
        ready = max(int(job.seconds * 30), job.connections)
        requests = itertools.chain(list(itertools.islice(requests, ready)), requests)
    return _Loop(job, [requests] * job.connections).run()


class _Connection:
    __slots__ = ("received", "requests", "sent_at", "socket")

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.requests = requests
        self.received = b""
        self.sent_at = 0.0

    def send(self) -> None:
        request = next(self.requests)
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> tuple[bytes, bytes] | None:
        """Return status and body once the answer is complete."""
        piece = self.socket.recv(262_144)
        if not piece:
            raise ConnectionError(f"the server closed the connection after {self.received[:200]!r}")
        self.received += piece
        head_end = self.received.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        head = self.received[:head_end].lower()
        start = head.index(b"content-length:") + 15
        end = head.find(b"\r\n", start)
        length = int(head[start : end if end > 0 else None])
        if len(self.received) < head_end + 4 + length:
            return None
        return self.received[9:12], self.received[head_end + 4 :]


class _Loop:
    def __init__(self, job: Job, requests: Sequence[Iterator[bytes]]) -> None:
        self._job = job
        self._requests = requests
        self._latencies: list[float] = []
        self._outcome = Outcome()
        self._in_batches = job.kind in ("sync", "duplicates")

    def run(self) -> Outcome:
        selector = selectors.DefaultSelector()
        connections = [_Connection(self._job.port, requests) for requests in self._requests]
        begin = time.perf_counter()
        deadline = begin + self._job.seconds
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send()
        busy = len(connections)
        now = begin
        while busy:
            for key, _ in selector.select():
                connection = key.data
                answer = connection.receive()
                if answer is None:
                    continue
                now = time.perf_counter()
                self._latencies.append(now - connection.sent_at)
                self._count(*answer)
                if now < deadline:
                    connection.send()
                else:
                    selector.unregister(connection.socket)
                    connection.socket.close()
                    busy -= 1
        return self._finish(now - begin)

    def _count(self, status: bytes, body: bytes) -> None:
        text = status.decode()
        self._outcome.statuses[text] = self._outcome.statuses.get(text, 0) + 1
        if self._in_batches and text == "200":
            wanted = b'"duplicate"' if self._job.kind == "duplicates" else b'"created"'
            self._outcome.acknowledged += body.count(wanted)
        elif text == "201":
            self._outcome.acknowledged += 1

    def _finish(self, seconds: float) -> Outcome:
        outcome, latencies = self._outcome, sorted(self._latencies)
        outcome.seconds, outcome.requests = seconds, len(latencies)
        outcome.p50_ms = latencies[len(latencies) // 2] * 1000
        outcome.p99_ms = latencies[min(int(len(latencies) * 0.99), len(latencies) - 1)] * 1000
        return outcome


def _requests(job: Job, till: int | None = None) -> Iterator[bytes]:
    """Yield requests without end; those of a ``till`` have numbers of its own."""
    choice = random.Random(job.seed + (till or 0))
    head = (
        f"POST {job.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {job.token}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    ).encode()
    for number in itertools.count(1):
        if job.kind in ("sync", "duplicates"):
            content: Any = {"sales": [_sale(job, choice) for _ in range(job.batch)]}
        elif till is not None:
            name = f"bench-{job.seed % 1_000_000:06}-{till:02}"
            content = {**_sale(job, choice), "source_device": name, "device_number": number}
        else:
            content = _sale(job, choice)
        body = json.dumps(content, separators=(",", ":")).encode()
        yield b"%s%d\r\n\r\n%s" % (head, len(body), body)


def _sale(job: Job, choice: random.Random) -> dict[str, Any]:
    products = job.products[:1] if job.kind == "hot" else choice.sample(job.products, 2)
    return {
        "external_id": str(uuid.UUID(int=choice.getrandbits(128), version=4)),
        "channel": job.channel,
        "source_device": "bench-01",
        "client_timestamp": job.timestamp,
        "warehouse": choice.choice(job.warehouses),
        "payment_method": "cash",
        "items": [{"product_id": each, "quantity": "1", "unit_price": UNIT_PRICE} for each in products],
    }


if __name__ == "__main__":
    main()
