"""The worker that reads requests before a thread has them: on a socket, with an application of a few lines."""

import io
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http.parser import RequestParser

from tillhook.server.front import RequestWorker
from tillhook.server.front.incoming import Incoming
from tillhook.server.front.lanes import Lane, Lanes
from tillhook.server.front.spool import NoRoom, Room, Spool


class Front:
    """A worker in a thread of this process."""

    def __init__(self, application: Any, *, threads: int = 4, keepalive: int = 75, **limits: Any) -> None:
        cfg = Config()
        for name, value in {"threads": threads, "keepalive": keepalive, "loglevel": "critical"}.items():
            cfg.set(name, value)
        listeners = [socket.create_server(("127.0.0.1", 0), backlog=512) for _ in range(2)]
        self.address, self.siblings = listeners[0].getsockname(), listeners[1].getsockname()
        self.worker = RequestWorker(1, os.getppid(), listeners, None, 30, cfg, Logger(cfg))
        assert self.worker.slot == 0
        # The master would know that this one is no process of its own.
        RequestWorker._living.discard(self.worker)
        self.worker.tick_s = 0.05
        for name, value in limits.items():
            assert hasattr(self.worker, name)
            setattr(self.worker, name, value)
        self.worker.wsgi = application
        for name in ("load_wsgi", "init_signals"):
            setattr(self.worker, name, lambda: None)
        self.thread = threading.Thread(target=self.worker.init_process, daemon=True)
        self.thread.start()
        self._sockets: list[socket.socket] = []

    def connect(self) -> socket.socket:
        connection = socket.create_connection(self.address, timeout=5)
        self._sockets.append(connection)
        return connection

    def ask(self, text: bytes) -> tuple[int, bytes, bytes]:
        connection = self.connect()
        connection.sendall(text)
        return answer_on(connection)

    def stop(self) -> None:
        for each in self._sockets:
            each.close()
        self.worker.handle_exit(15, None)
        self.thread.join(5)
        self.worker.tmp.close()


def answer_on(connection: socket.socket) -> tuple[int, bytes, bytes]:
    """Return status, head and body of the next answer; zero when there is none."""
    file = connection.makefile("rb", buffering=0)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = file.read(1)
        if not piece:
            return 0, head, b""
        head += piece
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-l")]
    length = int(lengths[0]) if lengths else 0
    body = b""
    while len(body) < length:
        body += file.read(length - len(body))
    return int(head.split()[1]), head, body


def eventually(holds: Callable[[], bool]) -> bool:
    """Say whether it holds within some seconds."""
    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def echo(environ: Any, start_response: Any) -> list[bytes]:
    """Answer what came: method, path and the body."""
    path = environ["PATH_INFO"]
    body = b"" if path == "/unread" else environ["wsgi.input"].read()
    text = f"{environ['REQUEST_METHOD']} {path} ".encode() + body
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]


@pytest.fixture
def start() -> Any:
    started = []

    def start(application: Any = echo, **options: Any) -> Front:
        started.append(Front(application, **options))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def get(path: str = "/") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def post(body: bytes, path: str = "/") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_request_in_single_bytes_and_one_behind_it(start: Any) -> None:
    connection = start().connect()
    for byte in post(b"abc") + CHUNKED + b"3;x=y\r\nabc\r\n0000\r\nX-Trailer: 1\r\n\r\n":
        connection.sendall(bytes([byte]))
    connection.sendall(get("/a") + get("/b"))
    answers = [answer_on(connection)[2] for _ in range(4)]
    assert answers == [b"POST / abc", b"POST / abc", b"GET /a ", b"GET /b "]


def test_slow_clients_cost_no_thread(start: Any) -> None:
    front = start(threads=1)
    for text in (b"", b"GET / HT", post(b"abc")[:-1], CHUNKED + b"ff\r\n"):
        for _ in range(20):
            front.connect().sendall(text)
    assert front.ask(get())[0] == 200


def test_a_slow_head_and_a_body_that_stops_are_408(start: Any) -> None:
    front = start(head_s=0.2, stall_s=0.2)
    for text in (b"GET / HTTP/1.1\r\nHos", post(b"abc")[:-1], CHUNKED + b"3\r\nab"):
        begun = time.monotonic()
        status, head, body = front.ask(text)
        assert (status, json.loads(body)["code"]) == (408, "request-timeout")
        assert b"connection: close" in head.lower() and time.monotonic() - begun < 2


def test_a_body_slower_than_its_rate_is_408_though_it_never_stops(start: Any) -> None:
    front = start(grace_s=0.2, min_rate=1000)
    connection = front.connect()
    connection.sendall(post(b"x" * 1000)[:-990])
    connection.settimeout(0.02)
    for _ in range(100):
        connection.sendall(b"x")
        try:
            assert connection.recv(12) == b"HTTP/1.1 408"
            break
        except TimeoutError:
            pass
    else:
        raise AssertionError("the body is read for ever")


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"0x3\r\nabc\r\n",
        b"3 \r\nabc\r\n",
        b"3\nabc\n0\n\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"\r\n",
        b"0\r\nTransfer-Encoding: x\r\n\r\n",
        b"0\r\n bad\r\n\r\n",
        b"3;\x00\r\nabc\r\n0\r\n\r\n",
        b"1" * 10_000,
        b"0\r\n" + b"a: b\r\n" * 10_000,
    ],
)
def test_malformed_chunks_are_400(start: Any, chunks: bytes) -> None:
    status, head, body = start().ask(CHUNKED + chunks)
    assert (status, json.loads(body)["code"]) == (400, "malformed-body")
    assert b"application/problem+json" in head


@pytest.mark.parametrize("begun", [CHUNKED + b"3\r\nab", CHUNKED + b"3\r\nabc\r\n0\r\n", post(b"abc")[:-1]])
def test_a_body_that_ends_too_early_is_400(start: Any, begun: bytes) -> None:
    front = start()
    connection = front.connect()
    connection.sendall(begun)
    connection.shutdown(socket.SHUT_WR)
    assert answer_on(connection)[0] == 400


def test_what_is_no_http_is_refused_as_gunicorn_does(start: Any) -> None:
    front = start()
    assert front.ask(b"GET / HTTP/1.1\nHost: x\n\n")[0] == 400
    assert front.ask(b"\x16\x03\x01\x02\x00\r\n\r\n")[0] == 400
    assert front.ask(b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n")[0] == 414
    assert front.ask(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 8000)[0] == 431
    assert front.ask(b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000)[0] == 431
    assert front.ask(post(b"")[:-2] + b"Transfer-Encoding: chunked\r\n\r\n")[0] == 400


def test_a_large_body_is_read_past_the_memory(start: Any) -> None:
    body = os.urandom(3 * 1024 * 1024)
    front = start()
    assert front.ask(post(body))[2] == b"POST / " + body
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body) // 4, body[i::4]) for i in range(4))
    expected = b"".join(body[i::4] for i in range(4))
    assert front.ask(CHUNKED + chunks + b"0\r\n\r\n")[2] == b"POST / " + expected
    assert eventually(lambda: (front.worker.room.in_memory, front.worker.room.on_disk) == (0, 0))


class Limited:
    """An application that takes five bytes."""

    def body_limit(self, _method: str, _path: str) -> int:
        return 5

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return echo(environ, start_response)


def test_a_body_over_the_limit_is_not_read_and_ends_the_connection(start: Any) -> None:
    front = start(Limited())
    for text, came in ((post(b"x" * 100_000), b""), (CHUNKED + b"fffff\r\n" + b"x" * 100, b"x" * 100)):
        connection = front.connect()
        connection.sendall(text)
        status, head, body = answer_on(connection)
        assert (status, body[7:][:100]) == (200, came)
        assert b"Connection: close" in head and answer_on(connection)[0] == 0
    # What has come with the head is there, whatever the limit.
    assert front.ask(post(b"x" * 10))[2] == b"POST / " + b"x" * 10


def test_expect_continue_is_said_once_and_only_where_the_body_is_read(start: Any) -> None:
    front = start(Limited())
    for length, first in ((5, b"HTTP/1.1 100"), (6, b"HTTP/1.1 200")):
        connection = front.connect()
        head = post(b"x" * length)[:-length].replace(b"Host", b"Expect: 100-continue\r\nHost")
        connection.sendall(head)
        assert connection.recv(12) == first
        if length == 5:
            connection.recv(100)
            connection.sendall(b"abcde")
            assert answer_on(connection)[2] == b"POST / abcde"


def test_head_one_zero_and_close(start: Any) -> None:
    front = start()
    connection = front.connect()
    connection.sendall(get().replace(b"GET", b"HEAD") + get("/next"))
    deadline, said = time.monotonic() + 5, b""
    while not said.endswith(b"GET /next ") and time.monotonic() < deadline:
        said += connection.recv(1000)
    assert said.count(b"200 OK") == 2 and said.count(b"\r\n\r\n") == 2
    for text in (b"GET / HTTP/1.0\r\n\r\n", get().replace(b"Host", b"Connection: close\r\nHost")):
        connection = front.connect()
        connection.sendall(text)
        assert answer_on(connection)[2] == b"GET / "
        assert connection.recv(1) == b""


def test_a_slow_reader_costs_no_thread_and_is_left_in_the_end(start: Any) -> None:
    def large(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return iter([b"x" * 500_000] * (40 if environ["PATH_INFO"] == "/large" else 1))

    front = start(large, threads=1, send_stall_s=0.3)
    for _ in range(8):
        front.connect().sendall(get("/large"))
    begun = time.monotonic()
    assert front.ask(get())[0] == 200
    patient = front.connect()
    patient.sendall(get("/large").replace(b"Host", b"Connection: close\r\nHost"))
    size = 0
    while piece := patient.recv(1 << 20):
        size += len(piece)
    assert size > 20_000_000 and time.monotonic() - begun < 5
    assert eventually(lambda: front.worker.nr_conns <= 1 and front.worker.room.on_disk == 0)


class Gate:
    """Writers wait in it; everybody else is answered."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.ran: list[str] = []

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        if environ["REQUEST_METHOD"] == "POST" or environ["PATH_INFO"] == "/hang":
            self.opened.wait(10)
        self.ran.append(environ["PATH_INFO"])
        return echo(environ, start_response)


def test_waiting_writers_leave_a_thread_to_readers(start: Any) -> None:
    gate = Gate()
    front = start(gate, threads=4)
    writers = [front.connect() for _ in range(10)]
    for number, each in enumerate(writers):
        each.sendall(post(b"", f"/{number}"))
        time.sleep(0.01)
    for _ in range(5):
        assert front.ask(get())[0] == 200
    gate.opened.set()
    assert {answer_on(each)[0] for each in writers} == {200}


def test_probes_are_answered_while_everything_else_hangs(start: Any) -> None:
    gate = Gate()
    front = start(gate, threads=2)
    hanging = [front.connect() for _ in range(4)]
    for each in hanging:
        each.sendall(get("/hang"))
    for path in ("/healthz", "/readyz", "/metrics"):
        assert front.ask(get(path))[0] == 200
    gate.opened.set()
    assert {answer_on(each)[0] for each in hanging} == {200}


def test_who_waits_too_long_is_503_and_does_not_run(start: Any) -> None:
    gate = Gate()
    front = start(gate, threads=1, queue_s=0.2)
    first = front.connect()
    first.sendall(post(b"", "/first"))
    time.sleep(0.05)
    status, head, body = front.ask(post(b"", "/second"))
    assert (status, json.loads(body)["code"]) == (503, "too-busy")
    assert b"Retry-After: " in head
    gate.opened.set()
    assert answer_on(first)[0] == 200
    assert gate.ran == ["/first"]


def test_there_is_an_end_to_the_queue(start: Any) -> None:
    gate = Gate()
    front = start(gate, threads=1, max_queue=2)
    connections = [front.connect() for _ in range(5)]
    for each in connections:
        each.sendall(post(b""))
        time.sleep(0.02)
    assert [answer_on(each)[0] for each in connections[3:]] == [503, 503]
    gate.opened.set()
    assert [answer_on(each)[0] for each in connections[:3]] == [200] * 3


def test_who_is_gone_while_waiting_does_not_run(start: Any) -> None:
    gate = Gate()
    front = start(gate, threads=1)
    first, second, third = (front.connect() for _ in range(3))
    for number, each in enumerate((first, second, third)):
        each.sendall(post(b"", f"/{number}"))
        time.sleep(0.05)
    second.close()
    time.sleep(0.1)
    gate.opened.set()
    assert answer_on(first)[0] == answer_on(third)[0] == 200
    assert gate.ran == ["/0", "/2"]


def test_the_longest_idle_gives_way_and_nobody_in_use(start: Any) -> None:
    gate = Gate()
    front = start(gate, max_connections=4)
    used = front.connect()
    used.sendall(get("/hang"))
    idle = [front.connect() for _ in range(3)]
    for each in idle:
        each.sendall(get("/idle"))
        assert answer_on(each)[0] == 200
    assert front.ask(get("/new"))[0] == 200
    assert idle[0].recv(1) == b""
    idle[1].sendall(get("/still"))
    assert answer_on(idle[1])[0] == 200
    gate.opened.set()
    assert answer_on(used)[0] == 200


def test_who_is_slow_gives_way_when_nobody_is_idle(start: Any) -> None:
    front = start(max_connections=4)
    slow = [front.connect() for _ in range(4)]
    for each in slow:
        each.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
        time.sleep(0.05)
    assert front.ask(get("/new"))[0] == 200
    assert slow[0].recv(1) == b""
    slow[3].sendall(b"x" * 8)
    assert answer_on(slow[3])[0] == 200


def test_a_large_body_that_trickles_keeps_its_room_for_a_time_only(start: Any) -> None:
    front = start(body_s=0.5)
    connection = front.connect()
    connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100_000)
    assert answer_on(connection)[0] == 408


def test_large_bodies_that_trickle_leave_room_for_others(start: Any) -> None:
    front = start(room=Room(memory=0, disk=1_000_000))
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n"
    slow = [front.connect() for _ in range(6)]
    for each in slow:
        each.sendall(head + b"x" * 240_000)
        time.sleep(0.05)
    till = front.connect()
    text = post(b"y" * 5000)
    till.sendall(text[:100])
    time.sleep(0.05)
    till.sendall(text[100:])
    assert answer_on(till)[0] == 200
    assert answer_on(slow[0])[0] == 503


class Long:
    """What is long waits in it; everybody else is answered."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def is_long(self, _method: str, path: str) -> bool:
        return path == "/long"

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/long":
            self.opened.wait(10)
        return echo(environ, start_response)


def test_what_is_long_leaves_threads_to_others_that_write(start: Any) -> None:
    gate = Long()
    front = start(gate, threads=4)
    uploads = [front.connect() for _ in range(6)]
    for each in uploads:
        each.sendall(post(b"x", "/long"))
    assert eventually(lambda: front.worker._lanes.waiting(Lane.LONG) == 5)
    assert front.ask(post(b"x", "/sale"))[0] == 200
    gate.opened.set()
    assert [answer_on(each)[0] for each in uploads] == [200] * 6


def test_an_idle_connection_is_closed_in_time(start: Any) -> None:
    front = start(keepalive=1)
    connection = front.connect()
    connection.sendall(get())
    assert answer_on(connection)[0] == 200
    begun = time.monotonic()
    assert connection.recv(1) == b"" and 0.5 < time.monotonic() - begun < 3


def test_a_stop_answers_what_has_come_and_what_is_in_the_kernels_queue(start: Any) -> None:
    gate = Gate()
    front = start(gate, threads=4, stop_linger_s=0.5, linger_s=0.1)
    kept, busy = front.connect(), front.connect()
    kept.sendall(get())
    assert answer_on(kept)[0] == 200
    busy.sendall(get("/hang"))
    time.sleep(0.1)
    late = [front.connect() for _ in range(20)]
    front.worker.handle_exit(15, None)
    for each in [*late, kept]:
        each.sendall(get())
    assert {answer_on(each)[0] for each in [*late, kept]} == {200}
    gate.opened.set()
    status, head, _ = answer_on(busy)
    assert status == 200 and b"Connection: close" in head
    front.thread.join(5)
    assert not front.thread.is_alive()
    with pytest.raises(OSError):
        front.connect()


def test_a_stop_keeps_what_an_answer_has_said(start: Any) -> None:
    begun, opened = threading.Event(), threading.Event()

    def slow(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "100000")])
        yield b"x" * 99_999  # so much that the head is on its way
        begun.set()
        opened.wait(5)
        yield b"x"

    front = start(slow, stop_linger_s=0.5)
    connection = front.connect()
    connection.sendall(get())
    begun.wait(5)
    front.worker.handle_exit(15, None)
    time.sleep(0.2)
    opened.set()
    status, head, body = answer_on(connection)
    assert (status, len(body)) == (200, 100_000) and b"Connection: keep-alive" in head
    connection.sendall(get())
    status, head, _ = answer_on(connection)
    assert status == 200 and b"Connection: close" in head


def test_who_waits_for_a_process_that_is_not_there_is_taken_by_another(start: Any) -> None:
    front = start()
    with socket.create_connection(front.siblings, timeout=5) as connection:
        connection.sendall(get())
        assert answer_on(connection)[0] == 200


def test_a_new_process_takes_the_place_of_the_one_that_died() -> None:
    cfg = Config()
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]

    def spawn() -> RequestWorker:
        return RequestWorker(1, os.getppid(), listeners, None, 30, cfg, Logger(cfg))

    workers = [spawn() for _ in range(3)]
    assert [each.slot for each in workers] == [0, 1, 2]
    workers.pop(1).tmp.close()
    workers.append(spawn())
    assert workers[-1].slot == 1
    for each in workers:
        each.tmp.close()
    for listener in listeners:
        listener.close()


def test_an_application_that_breaks_ends_its_request_alone(start: Any) -> None:
    def breaks(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/exit":
            raise SystemExit(1)
        if environ["PATH_INFO"] == "/half":
            start_response("200 OK", [("Content-Length", "100000")])
            return iter([b"x", 1])
        return echo(environ, start_response)

    front = start(breaks, threads=1)
    assert front.ask(get("/exit"))[0] == 500
    assert front.ask(get("/half"))[0] in (0, 200)
    assert front.ask(get())[0] == 200


def test_the_kernel_notices_who_is_gone(start: Any) -> None:
    listener = start().worker.sockets[0]
    time.sleep(0.1)
    assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


# What decides where a request ends.

SMUGGLING = [
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get(),
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc" + get(),
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3,3\r\n\r\nabc" + get(),
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc" + get(),
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + get(),
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + get(),
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + get(),
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + get(),
    b"POST / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n" + get(),
    b"POST / HTTP/1.1\r\nHost: x\nContent-Length: 3\r\n\r\nabc" + get(),
    b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get(),
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + get(),
    b"\r\n" + get() + b"\r\n" + get() + b"\r\n\r\n" + get(),
    post(b"abc") + b"garbage\r\n\r\n",
    CHUNKED + b"3\r\nabc\r\n0\r\nX: y\r\n\r\n" + get(),
    CHUNKED + b"3\r\nabc\r\n00\r\n\r\n" + post(b"0\r\n\r\n"),
    CHUNKED + b"3;a\r\nabc\r\n0\r\n\r\n" + get(),
    CHUNKED + b"3\r\nabc\r\n0\r\n\r\nX",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n" + get(),
    get().replace(b"Host", b"Content-Length: 3\r\nHost") + b"abc" + get(),
]


def _ours(raw: bytes, size: int) -> list[tuple[str, bytes]]:
    """Return what we make of ``raw`` in pieces: each request, whole, until one is refused or the end."""
    cfg, room, found = Config(), Room(), []
    pieces = [raw[start : start + size] for start in range(0, len(raw), size)]
    incoming = Incoming(cfg, ("127.0.0.1", 1), 1, room, lambda _: 1 << 30)
    while pieces:
        piece = pieces.pop(0)
        try:
            whole = incoming.feed(piece)
        except Exception:
            break
        if whole:
            found.append((incoming.request.uri, incoming.body.read()))  # type: ignore[union-attr]
            if incoming.request.should_close():
                break
            if incoming.rest:
                pieces.insert(0, incoming.rest)
            incoming = Incoming(cfg, ("127.0.0.1", 1), 2, room, lambda _: 1 << 30)
    return found


def _gunicorns(raw: bytes) -> list[tuple[str, bytes]]:
    found = []
    try:
        for request in RequestParser(Config(), [raw], ("127.0.0.1", 1)):
            body = request.body.read()
            if isinstance(getattr(request.body.reader, "length", None), int) and request.body.reader.length > 0:
                break
            declared = next((int(v) for n, v in request.headers if n == "CONTENT-LENGTH"), len(body))
            if declared != len(body):
                break
            found.append((request.uri, body))
    except Exception:  # refused: what counts is what was taken before
        pass
    return found


@pytest.mark.parametrize("raw", SMUGGLING)
@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_a_request_ends_where_gunicorn_says(raw: bytes, size: int) -> None:
    assert _ours(raw, size) == _gunicorns(raw)


def test_many_small_chunks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tillhook.server.front.incoming._MAX_FRAMING", 100_000)
    incoming = Incoming(Config(), ("127.0.0.1", 1), 1, Room(), lambda _: 1 << 30)
    incoming.feed(CHUNKED)
    with pytest.raises(Exception, match="too small"):
        for _ in range(100):
            incoming.feed(b"1\r\nx\r\n" * 10_000)


def test_lanes() -> None:
    lanes: Lanes[str] = Lanes(4)
    assert [lanes.come(f"w{n}", Lane.WRITES, n) for n in range(5)] == [True, True, True, False, False]
    assert [lanes.come(name, Lane.READS, 3) for name in ("r0", "r1", "r2")] == [True, False, False]
    assert lanes.go(Lane.READS) == "r1"
    assert lanes.go(Lane.WRITES) == "w3"
    assert lanes.leave("r2", Lane.READS) and not lanes.leave("r1", Lane.READS)
    assert lanes.give_up(before=5) == ["w4"]
    assert lanes.go(Lane.WRITES) is None and not any(lanes.waiting(lane) for lane in Lane)
    one: Lanes[str] = Lanes(1)
    assert one.come("w", Lane.WRITES, 0) and not one.come("r", Lane.READS, 0)
    assert one.go(Lane.WRITES) == "r"


def test_neither_what_reads_nor_what_is_long_has_the_last_threads() -> None:
    lanes: Lanes[str] = Lanes(8)
    assert [lanes.come("l", Lane.LONG, 0) for _ in range(3)] == [True, True, False]
    assert [lanes.come("r", Lane.READS, 0) for _ in range(5)] == [True] * 5
    assert lanes.come("w", Lane.WRITES, 0)
    assert lanes.go(Lane.WRITES) is None
    assert lanes.go(Lane.LONG) == "l"
    other: Lanes[str] = Lanes(8)
    assert [other.come("r", Lane.READS, 0) for _ in range(7)] == [True] * 6 + [False]
    assert other.come("w", Lane.WRITES, 0)


def test_room() -> None:
    room = Room(memory=100, disk=1000)
    small, large = Spool(room), Spool(room)
    small.write(b"x" * 60)
    large.write(b"y" * 60)
    assert (room.in_memory, room.on_disk) == (60, 60)
    assert small.opened().read() == b"x" * 60 and large.opened().read() == b"y" * 60
    with pytest.raises(NoRoom):
        large.write(b"y" * 1000)
    small.close()
    large.close()
    assert (room.in_memory, room.on_disk) == (0, 0)


def test_a_full_temporary_folder_refuses_the_body_alone(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.RawIOBase):
        def write(self, _data: Any) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tillhook.server.front.spool.tempfile", SimpleNamespace(TemporaryFile=lambda **_: Full()))
    front = start()
    status, head, _ = front.ask(post(b"x" * 2_000_000))
    assert status == 503 and b"Retry-After" in head
    assert front.ask(get())[0] == 200
