"""``tillhook serve``: starts on nothing, stops at Ctrl-C, starts again on the same data."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import psutil
import pytest
from gunicorn.arbiter import Arbiter

from tillhook.cli.serve import _Master, _refuse_taken_port
from tillhook.config import Settings
from tillhook.errors import StartupError


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def serve(databases, engine_name, tmp_path, port, modules):
    """Start the server as a person would; a context manager that ends with Ctrl-C."""
    with databases.empty(engine_name) as url:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("TILLHOOK_")},
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "TILLHOOK_DATABASE_URL": url,
            "TILLHOOK_DATA_DIR": str(tmp_path / "data"),
            "TILLHOOK_PORT": str(port),
            "TILLHOOK_MODULES": ",".join(modules),
            "TILLHOOK_WORKERS": "1",
        }

        @contextlib.contextmanager
        def start(**variables):
            log = tmp_path / "log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, "-c", "from tillhook.cli.main import main; main()", "serve"],
                    env={**environment, **variables},
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            start.master = process
            try:
                _wait(port, process, log)
                yield log
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGINT)
                assert _stopped(process) == 0, log.read_text()

        yield start


def _stopped(process):
    """Return how it ended; when it does not, fail with the processes that are left, and end them."""
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        left = psutil.Process(process.pid).children(recursive=True)
        shown = [f"{each.pid} {each.status()} {' '.join(each.cmdline())}" for each in left]
        for each in [*left, process]:
            each.kill()
        process.wait()
        pytest.fail("still running after Ctrl-C:\n" + "\n".join(shown))


def _wait(port, process, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError):
            if urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def test_it_starts_on_nothing_and_again_on_the_same_data(serve, port):
    with serve() as log:
        first = log.read_text()
        body = json.dumps({"email": "cashier@test.com", "password": "testpass123"}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/auth/login", body, {"Content-Type": "application/json"}
        )
        assert urllib.request.urlopen(request, timeout=10).status == 200
    assert f"http://127.0.0.1:{port}" in first
    assert "cashier@test.com" in first
    assert "Traceback" not in log.read_text()
    with serve() as log:
        assert "cashier@test.com" in log.read_text()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_without_demo_it_says_how_to_make_the_first_user(serve):
    with serve(TILLHOOK_DEMO="0") as log:
        text = log.read_text()
    assert "tillhook users add" in text
    assert "testpass123" not in text


def _is_worker(process):
    try:
        return "worker" in process.cmdline()
    except psutil.ZombieProcess:
        return False


def _worker(master, port, *, without=None):
    """Return the worker beside the server, once readiness has seen it alive."""
    # One that was killed counts for a minute.
    signed = 1 if without is None else 2
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = [each for each in psutil.Process(master.pid).children() if _is_worker(each)]
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5)
        if children and children != [without] and json.load(answer)["worker"]["alive"] == signed:
            return children[0]
        time.sleep(0.05)
    raise AssertionError("no worker")


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_worker_that_dies_is_started_again_and_ends_with_the_server(serve, port):
    with serve() as log:
        first = _worker(serve.master, port)
        first.kill()
        second = _worker(serve.master, port, without=first)
        # It hears nothing any more: the server does not wait for it for ever.
        second.suspend()
    assert not second.is_running()
    assert "worker_died" in log.read_text()
    assert "worker_killed" in log.read_text()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_the_pasted_commands_post_a_sale_once(serve, modules):
    if "pos" not in modules:
        pytest.skip("the channel pos is not installed")
    with serve() as log:
        commands = re.search(r"^TOKEN=.*?(?=^\{|\Z)", log.read_text(), re.M | re.S)
        assert commands, log.read_text()
        script = commands[0].strip()
        answers = [
            json.loads(subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout)
            for _ in range(2)
        ]
    assert answers[0]["sale_number"]
    assert answers[0]["id"] == answers[1]["id"]


def test_a_taken_port_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match=f"cannot listen on 127.0.0.1:{port}"):
            _refuse_taken_port(Settings(port=port))


def test_processes_that_were_suspended_with_their_master_are_not_ended(monkeypatch):
    """A machine that sleeps: all that was under way was cut off when it woke up."""
    clock, looks = [0.0], []
    monkeypatch.setattr("tillhook.cli.serve.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(Arbiter, "murder_workers", lambda self: looks.append(clock[0]))
    master = object.__new__(_Master)
    for clock[0] in (*range(1000, 1070), *range(5000, 5070)):
        master.murder_workers()
    assert looks == [*range(1061, 1070), *range(5061, 5070)]
