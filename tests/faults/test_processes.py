"""Processes that die, hang, are suspended or are left behind."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import psutil
import pytest

from tillhook.cli.serve import _refuse_taken_port
from tillhook.config import Settings
from tillhook.events import read_events, sequence_events
from tillhook.modules.models import Module
from tillhook.server.models import JobTurn
from tillhook.testing.plugins import write_plugin
from tillhook.testing.template import environment_of

pytestmark = pytest.mark.xdist_group("faults")

# The job holds SQLite's writer lock and the interpreter's, a route only a thread; all that is waited for is short.
_STUCK = """
import ctypes
import os
import sys
import time

from tillhook import hookimpl
from tillhook.access import audit
from tillhook.hooks import PUBLIC, Job, Route

for name, limits in {
    "tillhook.cli.serve": {"_GRACE_S": 1},
    "tillhook.cli.keeper": {"_GRACE_S": 1.5, "_SILENT_S": 3.0},
}.items():
    if name in sys.modules:
        vars(sys.modules[name]).update(limits)


def hang(session):
    audit(session, "hang", "job", 1)
    session.flush()
    open(os.environ["STUCK"], "w").close()
    ctypes.PyDLL(None).sleep(60)


def sleep(call):
    time.sleep(60)


def who(call):
    return {"pid": os.getpid()}


@hookimpl
def register_jobs():
    return [Job(name="stuck.job", every_s=3600, run=hang)] if "STUCK" in os.environ else []


@hookimpl
def register_routes(settings):
    if os.path.exists(os.environ.get("FAILS", "")):
        raise RuntimeError("it cannot start")
    return [
        Route(method="GET", path="/stuck/sleep", handler=sleep, permission=PUBLIC),
        Route(method="GET", path="/stuck/who", handler=who, permission=PUBLIC),
    ]
"""


@pytest.fixture
def stuck(site, settings):
    """The plugin above is installed; the plugins of a shop that has it."""
    write_plugin(site, "stuck", _STUCK)
    return ",".join((*settings.modules, "stuck"))


def ask_and_wait(shop):
    """Send a request that takes a minute, and return when it has its thread."""

    def ask():
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{shop.url}/api/stuck/sleep", timeout=60)

    threading.Thread(target=ask, daemon=True).start()
    time.sleep(0.5)


def signs(shop):
    """Return how many workers gave a sign of life in the last minute, those that were killed included."""
    return shop.get("/readyz", as_=None)[1]["worker"]["alive"]


def wait_for(what, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_what_dies_is_replaced_by_its_like_and_no_stop_waits_for_who_hangs(start_shop, make, stuck, runtime, tmp_path):
    product, fails = make.product(stock=10), tmp_path / "fails"
    with runtime.unit_of_work() as session:
        session.add(Module(name="stuck", version="1.0"))
    shop = start_shop(workers=2, TILLHOOK_MODULES=None, FAILS=str(fails))
    # As `modules disable` does: from here on whoever asks the database has one plugin less.
    with runtime.unit_of_work() as session:
        session.get(Module, "stuck").is_enabled = False
    process_that_cannot_start(shop, fails)
    sale = {"channel": "counter", "warehouse": make.main, "payment_method": "cash"}
    sale["items"] = [{"product_id": product["id"], "quantity": "1"}]
    assert shop.post("/api/sales", sale)[0] == 201
    plugins_of_the_start(shop)
    stop_in_time(shop)


def process_that_cannot_start(shop, fails):
    """One process dies, and what replaces it cannot start for a while: the other answers."""
    fails.touch()
    first = shop.processes
    os.kill(first[0], signal.SIGKILL)
    wait_for(lambda: "process_not_started" in shop.logs())
    assert shop.get("/api/stuck/who")[1]["pid"] == first[1]
    fails.unlink()
    shop.wait_ready(without=first[0])


def plugins_of_the_start(shop):
    """SIGHUP replaces the processes; the worker dies."""
    wait_for(lambda: signs(shop) == 1)
    old, [worker] = set(shop.processes), shop.workers
    worker.kill()
    shop.master.send_signal(signal.SIGHUP)
    wait_for(lambda: len(new := set(shop.processes)) == 2 and not new & old)
    [successor] = wait_for(lambda: [each for each in shop.workers if each != worker])
    assert "stuck" in successor.environ()["TILLHOOK_MODULES"]
    seen = set()

    def all_seen():
        seen.add(shop.get("/api/stuck/who")[1]["pid"])
        return seen >= set(shop.processes)

    wait_for(all_seen)


def stop_in_time(shop):
    """The worker and a process are suspended, the other is busy; the graces are a second, not half a minute."""
    wait_for(lambda: signs(shop) == 2)
    ask_and_wait(shop)
    shop.workers[0].suspend()
    psutil.Process(shop.processes[0]).suspend()
    left = [shop.master, *shop._children()]
    began = time.monotonic()
    shop.master.terminate()
    _, alive = psutil.wait_procs(left, 25)
    assert not alive
    assert time.monotonic() - began < 20
    assert "worker_killed" in shop.logs()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_worker_that_hangs_is_replaced_and_nobody_outlives_the_master(start_shop, stuck, tmp_path):
    sign = tmp_path / "stuck"
    shop = start_shop(workers=2, TILLHOOK_MODULES=stuck, STUCK=str(sign))
    # It hangs in C, and holds the lock that everybody writes under.
    wait_for(sign.exists)
    [hanging] = shop.workers
    [second] = wait_for(lambda: [each for each in shop.workers if each != hanging])
    assert "worker_hangs" in shop.logs()
    # Its turn is still taken, so the second one works: it has signed, as nobody could before.
    wait_for(lambda: signs(shop) == 2)

    ask_and_wait(shop)
    second.suspend()
    psutil.Process(shop.processes[0]).suspend()
    left = shop._children()
    assert len(left) == 3
    shop.master.kill()
    _, alive = psutil.wait_procs(left, 10)
    assert not alive
    _refuse_taken_port(Settings(port=shop.port))
    shop._master.wait()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_failed_start_leaves_nothing(settings, site, tmp_path):
    """Both processes fail, after the master has loaded everything."""
    write_plugin(
        site,
        "fails",
        """
import sys

from tillhook import hookimpl
from tillhook.hooks import Job


@hookimpl
def register_jobs():
    # The first time it is asked by the master.
    sys.fails = getattr(sys, "fails", 0) + 1
    if sys.fails > 1:
        raise RuntimeError("no second time")
    return [Job(name="fails.job", every_s=60, run=print)]
""",
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TILLHOOK_")}
    environment |= environment_of(settings) | {"TILLHOOK_PORT": str(_free_port()), "TILLHOOK_WORKERS": "2"}
    environment["TILLHOOK_MODULES"] += ",fails"
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tillhook", "serve"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    assert process.wait(60) not in (0, None)
    assert "Worker failed to boot" in log.read_text()
    left = [each for each in psutil.process_iter() if _session_of(each.pid) == process.pid]
    assert left == []


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _session_of(pid):
    with contextlib.suppress(OSError):
        return os.getsid(pid)


# Leases and what renews them are short.
_SLOW = """
import os
import sys
import time
from datetime import timedelta

from tillhook import hookimpl
from tillhook.events import record
from tillhook.hooks import Job

if "tillhook.server.worker" in sys.modules:
    sys.modules["tillhook.events.turns"].LEASE = timedelta(seconds=2)
    sys.modules["tillhook.server.worker"]._SIGN_S = 1.0


def run(session):
    with open(os.environ["BEGUN"], "a") as begun:
        begun.write(f"{os.getpid()}\\n")
    while not os.path.exists(os.environ["GO"]):
        time.sleep(0.05)
    record(session, "inventory:low-stock-alert", {"pid": os.getpid()})


@hookimpl
def register_jobs():
    return [Job(name="slow.job", every_s=3600, run=run)]
"""


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_what_a_suspended_worker_has_in_hand_another_does_and_once(settings, site, tmp_path, runtime):
    """Two workers, as on two machines; the one that comes back finds that its turn is done."""
    write_plugin(site, "slow", _SLOW)
    begun, go = tmp_path / "begun", tmp_path / "go"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TILLHOOK_")}
    environment |= environment_of(settings) | {"TILLHOOK_MODULES": "slow", "BEGUN": str(begun), "GO": str(go)}
    command = [sys.executable, "-m", "tillhook", "worker"]
    with contextlib.ExitStack() as stack:
        logs, workers = [], []
        for number in range(2):
            logs.append(tmp_path / f"log{number}")
            output = stack.enter_context(logs[-1].open("wb"))
            workers.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))
            stack.callback(workers[-1].wait)
            stack.callback(workers[-1].kill)
        [suspended] = wait_for(lambda: begun.exists() and begun.read_text().split())
        os.kill(int(suspended), signal.SIGSTOP)
        _, other = wait_for(lambda: len(both := begun.read_text().split()) == 2 and both)
        go.touch()

        def done():
            with runtime.unit_of_work(write=False) as session:
                turn = session.get(JobTurn, "slow.job")
                return turn.last_run_at and turn

        first = wait_for(done)
        os.kill(int(suspended), signal.SIGCONT)
        wait_for(lambda: any("TurnLost" in log.read_text() for log in logs))
        assert done().last_run_at == first.last_run_at
        assert done().failures == 0
        for worker in workers:
            worker.terminate()
        assert [worker.wait(20) for worker in workers] == [0, 0]
    with runtime.unit_of_work() as session:
        sequence_events(session)
        events = read_events(session, 0, names=["inventory:low-stock-alert"])
    assert [event.payload["pid"] for event in events] == [int(other)]
