"""What the master does about its worker; the processes themselves are in ``tests/faults/test_processes.py``."""

import itertools
import subprocess
from types import SimpleNamespace

import pytest

from tillhook.cli import keeper
from tillhook.cli.keeper import WorkerKeeper


class Child:
    """A worker that gives signs of life, or none, and does as it is told, or not."""

    def __init__(self):
        self.pid, self.ended, self.told = 1, None, []

    def poll(self):
        return self.ended

    def kill(self):
        self.told.append("kill")
        self.ended = -9

    def terminate(self):
        self.told.append("terminate")

    def wait(self, timeout):
        if self.ended is None:
            raise subprocess.TimeoutExpired("worker", timeout)


@pytest.fixture
def clock(monkeypatch):
    """Seconds; a test moves them."""
    seconds = [1000.0]
    monkeypatch.setattr(keeper, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    return seconds


@pytest.fixture
def started(monkeypatch):
    """The workers that were started, and how."""
    children = []

    def start(command, **options):
        children.append(Child())
        children[-1].options = options
        return children[-1]

    monkeypatch.setattr("tillhook.cli.keeper.subprocess.Popen", start)
    return children


def watch(keeper, clock, seconds, beating=False):
    for _ in range(seconds):
        clock[0] += 1
        if beating:
            keeper._pulse.has_beaten = lambda: True
        keeper.watch()


def test_it_has_the_plugins_of_the_master(started, clock, monkeypatch):
    monkeypatch.setenv("TILLHOOK_MODULES", "another")
    WorkerKeeper(["a", "b"]).watch()
    assert started[0].options["env"]["TILLHOOK_MODULES"] == "a,b"


def test_one_that_is_silent_for_a_minute_is_replaced(started, clock):
    keeper = WorkerKeeper([])
    keeper.watch()
    watch(keeper, clock, 100, beating=True)
    assert len(started) == 1
    keeper._pulse.has_beaten = lambda: False
    watch(keeper, clock, 60)
    assert started[0].told == []
    watch(keeper, clock, 5)
    assert started[0].told == ["kill"]
    assert len(started) == 2
    # The next one has two minutes for its start.
    watch(keeper, clock, 115)
    assert started[1].told == []


def test_a_master_that_was_stopped_itself_does_not_blame_the_worker(started, clock):
    keeper = WorkerKeeper([])
    keeper.watch()
    watch(keeper, clock, 2, beating=True)
    keeper._pulse.has_beaten = lambda: False
    clock[0] += 3600
    watch(keeper, clock, 30)
    assert started[0].told == []


def test_one_that_cannot_be_started_is_tried_again_and_stops_nobody(clock, monkeypatch):
    tries = []

    def refuse(*_, **__):
        tries.append(clock[0])
        raise BlockingIOError("no more processes")

    monkeypatch.setattr("tillhook.cli.keeper.subprocess.Popen", refuse)
    watch(WorkerKeeper([]), clock, 200)
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert pauses[:5] == [2, 4, 8, 16, 32]
    assert max(pauses) == 60


def test_it_waits_for_none_that_even_the_kernel_does_not_end(started, clock, monkeypatch):
    monkeypatch.setattr(keeper, "_GRACE_S", 0)
    kept = WorkerKeeper([])
    kept.watch()
    started[0].kill = lambda: started[0].told.append("kill")
    kept.begin_stop()
    kept.stop()
    assert started[0].told == ["terminate", "kill"]
    kept.watch()
    assert len(started) == 1
