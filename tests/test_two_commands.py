"""What the README promises to whoever clones this: bin/serve, the pasted sale, Ctrl-C, and again."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
#: Making an environment takes some 20 s where pip finds the packages quickly, else as long as the network takes.
PATIENCE_S = 600


@pytest.fixture
def checkout(tmp_path):
    """A copy of what a clone would bring, changes that are not committed yet included."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            target = tmp_path / "tillhook" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    return tmp_path / "tillhook"


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def environment(port):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TILLHOOK_", "PYTHON"))}
    return {**clean, "TILLHOOK_PORT": str(port)}


@pytest.fixture
def serve(checkout, environment, port):
    """Run bin/serve as a person does; a context manager that ends with Ctrl-C."""

    @contextlib.contextmanager
    def serve():
        log = checkout / "log"
        with log.open("wb") as output:
            command = [checkout / "bin/serve"]
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        try:
            wait_ready(port, process, log)
            yield log.read_text()
        finally:
            # A terminal sends it to every process in the foreground.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            assert stopped(process) == 0, log.read_text()
        assert "Traceback" not in log.read_text()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0

    return serve


def stopped(process):
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


def wait_ready(port, process, log):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError):
            if urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).status == 200:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def paste(commands):
    run = subprocess.run(["sh", "-c", commands], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


@pytest.mark.slow
def test_a_fresh_clone_serves_sells_stops_and_goes_on(checkout, environment, serve):
    with serve() as printed:
        commands = re.search(r"^TOKEN=.*?; echo$", printed, re.M | re.S)
        assert commands, printed
        sale = paste(commands[0])
        assert sale["sale_number"]
        assert paste(commands[0])["id"] == sale["id"]
        verify = subprocess.run([checkout / "bin/tillhook", "verify"], env=environment, capture_output=True, text=True)
        assert verify.returncode == 0, verify.stdout + verify.stderr
    with serve() as printed:
        assert "making" not in printed
        assert "installing" not in printed
        assert paste(commands[0])["id"] == sale["id"]
    assert (checkout / "var/tillhook.db").is_file()
