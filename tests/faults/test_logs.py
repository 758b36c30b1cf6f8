"""Metrics and logs: nothing that happens to them keeps a request from being answered."""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.parametrize("engine_name", ["sqlite"])]


def into(path):
    """Return the command by which the shop's standard output and standard error are a file of this name."""
    return ("sh", "-c", 'exec "$@" >"$0" 2>&1', str(path))


def sell(shop, make, product):
    sale = {"channel": "counter", "warehouse": make.main, "payment_method": "cash"}
    sale["items"] = [{"product_id": product["id"], "quantity": "1"}]
    return shop.post("/api/sales", sale, timeout_s=10)[0]


def metrics(shop):
    connection = shop.connect(timeout_s=10)
    try:
        connection.request("GET", "/metrics", headers=shop._tokens.headers("admin"))
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    return [each for family in text_string_to_metric_families(text) for each in family.samples]


def count(shop, name, **labels):
    return sum(each.value for each in metrics(shop) if each.name == name and labels.items() <= each.labels.items())


def reload(shop):
    """Have the master start new processes and end the old ones."""
    old = set(shop.processes)
    os.kill(shop.master.pid, signal.SIGHUP)
    deadline = time.monotonic() + 20
    while old & set(shop.processes):
        assert time.monotonic() < deadline, shop.logs()
        time.sleep(0.05)
    shop.wait_ready()


@pytest.fixture
def pipe(tmp_path):
    """A named pipe and its reading end, which nobody reads."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reading
    with contextlib.suppress(OSError):
        os.close(reading)


def read_until(reading, *texts):
    """Return what comes out of a pipe, until all these are in it."""
    said, deadline = b"", time.monotonic() + 10
    while not all(text in said for text in texts):
        assert time.monotonic() < deadline, said
        with contextlib.suppress(BlockingIOError):
            said += os.read(reading, 1 << 16)
        time.sleep(0.01)
    return said


def test_a_log_reader_that_is_stuck_holds_up_nobody(start_shop, make, pipe):
    product = make.product(stock=50)
    path, reading = pipe
    writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while os.write(writing, b"x" * 4096):
            pass
    os.close(writing)
    shop = start_shop(workers=2, through=into(path))
    assert [sell(shop, make, product) for _ in range(10)] == [201] * 10
    # The master says that on standard error, and looks after its processes all the same.
    shop.kill_worker()
    assert sell(shop, make, product) == 201
    # What waited comes when the reader goes on, but for the lines of who was killed.
    read_until(reading, b"Tillhook answers at", b"was sent SIGKILL", b'"route":"/api/sales"')


def test_a_log_reader_that_is_gone_costs_lines_only_and_a_kill_leaves_nothing(start_shop, make, pipe, tmp_path):
    product = make.product(stock=50)
    path, reading = pipe
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    shop = start_shop(workers=2, through=into(path), TMPDIR=str(temporary))
    with socket.create_connection(("127.0.0.1", shop.port), 5) as sent:
        sent.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nAuthorization Bearer hush\r\n\r\n")
        assert sent.recv(1000).startswith(b"HTTP/1.1 400")
    said = read_until(reading, b"Invalid HTTP Header")
    assert b"Tillhook answers at" in said
    assert b"hush" not in said
    os.close(reading)
    assert [sell(shop, make, product) for _ in range(10)] == [201] * 10
    shop.kill_worker()
    assert sell(shop, make, product) == 201
    left = [shop.master, *shop.master.children(recursive=True)]
    for each in left:
        each.kill()
    psutil.wait_procs(left, 10)
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_on_a_full_disk_lines_are_counted_and_counters_never_go_back(start_shop, make):
    product = make.product(stock=50)
    shop = start_shop(workers=2, through=into("/dev/full"))
    assert [sell(shop, make, product) for _ in range(20)] == [201] * 20
    assert shop.request("BREW", "/api/sales")[0] == 400
    sales = {"name": "tillhook_request_seconds_count", "route": "/api/sales", "method": "POST"}
    assert count(shop, **sales) == 20
    assert count(shop, **{**sales, "method": "other"}) == 1
    assert count(shop, "tillhook_log_lines_dropped_total") > 20
    for _ in range(2):
        shop.kill_worker()
    assert count(shop, **sales) == 20
    reload(shop)
    assert sell(shop, make, product) == 201
    assert count(shop, **sales) == 21


@pytest.fixture
def own_mounts():
    """The command by which another one gets mounts of its own, gone with it."""
    for command in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        with contextlib.suppress(OSError):
            if not subprocess.run(
                [*command, "mount", "-t", "tmpfs", "none", "/mnt"], stderr=subprocess.DEVNULL
            ).returncode:
                return command
    pytest.skip("nothing can be mounted here")


_MOUNT = 'mount -t tmpfs -o size=64k,nr_inodes=32 none "$TMPDIR" && exec "$@"'


def fill(folder):
    """Leave no room for a byte or a file more."""
    for size in (1 << 16, 1, 0):
        with contextlib.suppress(OSError):
            for number in itertools.count():
                (folder / f"{size}.{number}").write_bytes(b"x" * size)
    with pytest.raises(OSError, match="No space left on device"):
        (folder / "more").touch()


def test_a_full_temporary_folder_stops_nobody(start_shop, make, own_mounts, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    product = make.product(stock=50)
    shop = start_shop(workers=2, through=(*own_mounts, "sh", "-c", _MOUNT, "sh"), TMPDIR=str(folder))
    fill(Path(f"/proc/{shop.master.pid}/root{folder}"))
    processes = set(shop.processes)
    assert [sell(shop, make, product) for _ in range(10)] == [201] * 10
    assert set(shop.processes) == processes
    shop.kill_worker()
    assert sell(shop, make, product) == 201
    reload(shop)
    assert sell(shop, make, product) == 201
