"""Clients that are slow, idle, many, gone or confused, and those who are there while the server reloads and stops."""

import http.client
import json
import signal
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack

import psutil
import pytest

pytestmark = pytest.mark.xdist_group("faults")

_POST = b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SLOW = [
    b"",
    b"GET /api/products HTTP/1.1\r\nHos",
    _POST + b'Content-Length: 100\r\n\r\n{"email"',
    _POST + b"Transfer-Encoding: chunked\r\n\r\n40\r\n{",
]


def _connect(shop):
    return socket.create_connection(("127.0.0.1", shop.port), timeout=10)


def _sale(make, product):
    sale = {"channel": "counter", "warehouse": make.main, "payment_method": "cash"}
    return {**sale, "items": [{"product_id": product["id"], "quantity": "1"}]}


def _median_ms(ask, times=15):
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - begun) * 1000)
    return sorted(taken)[times // 2]


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_slow_idle_and_confused_clients(start_shop, make, tokens, request):
    """Forty slow clients, then five thousand idle ones, at four threads; nobody else notices."""
    shop = start_shop(workers=1, threads=4)
    sale = _sale(make, make.product(stock=1000))
    till = shop.connect(timeout_s=5)
    request.addfinalizer(till.close)

    def sell():
        assert shop.post("/api/sales", sale, connection=till)[0] == 201

    quiet_ms = _median_ms(sell)
    process = psutil.Process(shop.processes[0])
    with ExitStack() as open_ones:
        for _ in range(10):
            for begun in SLOW:
                open_ones.enter_context(_connect(shop)).sendall(begun)
        assert _median_ms(sell) < quiet_ms * 5 + 20
        before_mb = process.memory_info().rss / 2**20
        for _ in range(_affordable(5000)):
            open_ones.enter_context(_connect(shop))
        crowded_ms = _median_ms(sell)
        assert crowded_ms < quiet_ms * 5 + 20
        assert shop.get("/api/products?limit=1", timeout_s=5)[0] == 200
        grown_mb = process.memory_info().rss / 2**20 - before_mb
        assert grown_mb < 60
    for chunks in (b"zz\r\n", b"3\r\nabcd\r\n", b"5\r\n{}\r\n0\r\n\r\n"):
        with _connect(shop) as client:
            client.sendall(_POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert (answer.status, answer.getheader("Content-Type")) == (400, "application/problem+json")
    # What is too large for memory comes whole, to who may send it, and what is too large at all is not read.
    assert _import(shop, tokens, 2 * 1024 * 1024) == (422, "missing-column")
    assert _import(shop, tokens, 40 * 1024 * 1024) == (413, "body-too-large")


def _import(shop, tokens, size):
    """Upload a table with one long name; return the answer's status and code."""
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nname,price\r\n'
    form += b"a" * size + b",1\r\n--x--\r\n"
    connection = shop.connect()
    headers = {**tokens.headers("admin"), "Content-Type": "multipart/form-data; boundary=x"}
    connection.request("POST", "/api/products/import", form, headers)
    answer = connection.getresponse()
    problem = json.loads(answer.read())
    connection.close()
    return answer.status, problem["code"]


def _affordable(wanted):
    import resource

    return min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 400)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_writers_that_wait_leave_threads_to_readers_and_probes(start_shop, runtime, make):
    shop = start_shop(workers=1, threads=4)
    sale = _sale(make, make.product(stock=1000))
    statuses = []
    with runtime.unit_of_work():  # which has SQLite's lock
        clerks = [threading.Thread(target=lambda: statuses.append(shop.post("/api/sales", sale)[0])) for _ in range(12)]
        for each in clerks:
            each.start()
        time.sleep(0.5)
        for path in ("/healthz", "/readyz", "/api/products?limit=1", "/api/products?limit=2"):
            assert shop.get(path, timeout_s=3)[0] == 200
        assert not statuses
    for each in clerks:
        each.join()
    assert statuses == [201] * 12


class _Load:
    """Clients that keep their connection and clients that take a new one each time, until told to stop."""

    def __init__(self, shop):
        self.shop, self.over = shop, threading.Event()
        #: ``ok``; ``raced``: a kept connection that was closed as the next request was sent; ``lost``: anything else.
        self.seen = Counter()
        self.errors = []
        self._threads = [threading.Thread(target=self._run, args=(number % 2,)) for number in range(8)]

    def __enter__(self):
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for each in self._threads:
            each.join()

    def _run(self, keeps):
        connection, answered = self.shop.connect(timeout_s=10), 0
        while not self.over.is_set():
            try:
                connection.request("GET", "/healthz")
                answer = connection.getresponse()
                answer.read()
                self.seen["ok"] += answer.status == 200
                answered += 1
                if keeps and not answer.will_close:
                    continue
            except (OSError, http.client.HTTPException) as error:
                if self.over.is_set():
                    break
                self.seen["raced" if answered else "lost"] += 1
                self.errors.append(repr(error))
            connection.close()
            connection, answered = self.shop.connect(timeout_s=10), 0
        connection.close()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_reload_and_stop_reset_no_connection_in_use(start_shop):
    shop = start_shop(workers=1, threads=4)
    before = shop.processes
    with _Load(shop) as load:
        shop.master.send_signal(signal.SIGHUP)
        shop.master.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while set(shop.processes) & set(before) and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
        assert not set(shop.processes) & set(before)
        assert load.seen["ok"] > 100 and not load.seen["lost"] and load.seen["raced"] <= 1, load.errors
        asked = [shop.connect() for _ in range(20)]
        for each in asked:
            each.connect()
        load.over.set()
        shop.master.send_signal(signal.SIGTERM)
        for each in asked:
            each.request("GET", "/healthz")
        assert {each.getresponse().status for each in asked} == {200}
        for each in asked:
            each.close()
