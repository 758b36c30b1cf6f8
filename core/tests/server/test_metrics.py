"""Metrics in memory that processes share: their sum, which never goes back, in bounded room."""

import os
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tillhook.server import metrics


class Nothing(Collector):
    def collect(self):
        return []


def samples(text):
    return {
        (each.name, *each.labels.values()): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def test_the_sum_of_all_processes_is_told_and_a_dead_ones_part_goes_on():
    script = """
import os, signal, sys
from tillhook.server import metrics

def fork(part, *, dies=False):
    if not os.fork():
        metrics.REPLAYS.inc(by=1000)  # before it has its part it counts for nobody else
        metrics.count_in(part)
        metrics.REPLAYS.inc()
        metrics.REQUESTS.observe(0.003, "GET", f"/{part}", "200")
        os.kill(os.getpid(), signal.SIGKILL if dies else 0)
        os._exit(0)
    os.wait()

metrics.share(2)
metrics.REPLAYS.inc()
first = metrics.free_part([])
fork(first, dies=True)
second = metrics.free_part([first])
fork(second)
fork(first)
assert {first, second} == {1, 2}
assert metrics.free_part([first, second]) is None
fork(None)

class Nothing:
    def collect(self): return []

sys.stdout.write(metrics.exposition(Nothing())[0].decode())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=20)
    found = samples(done.stdout)
    assert found["tillhook_idempotent_replays_total",] == 4
    assert found["tillhook_request_seconds_count", "GET", "/1", "200"] == 2
    assert found["tillhook_request_seconds_count", "GET", "/2", "200"] == 1
    # The exposition's labels are in the order of their names, `le` first.
    assert found["tillhook_request_seconds_bucket", "0.0025", "GET", "/1", "200"] == 0
    assert found["tillhook_request_seconds_bucket", "0.005", "GET", "/1", "200"] == 2
    assert found["tillhook_request_seconds_bucket", "+Inf", "GET", "/1", "200"] == 2
    assert found["tillhook_request_seconds_sum", "GET", "/1", "200"] == pytest.approx(0.006)


@pytest.fixture
def small(monkeypatch):
    """Count in little memory, of the test's own."""
    monkeypatch.setattr(metrics, "_PART", 1 << 16)
    memory = metrics._process.part
    metrics._process.begin()
    yield
    metrics._process.part = memory


def test_what_finds_no_room_is_counted_as_other(small):
    for number in range(1000):
        metrics.REQUESTS.observe(0.003, "GET", f"/{number}", "200")
    metrics.LOG_DROPPED.inc()
    found = samples(metrics.exposition(Nothing())[0].decode())
    counts = {key: value for key, value in found.items() if key[0] == "tillhook_request_seconds_count"}
    others = counts["tillhook_request_seconds_count", "other", "other", "other"]
    assert 150 < len(counts) < 1000
    assert others + len(counts) - 1 == 1000
    assert found["tillhook_log_lines_dropped_total",] == 1
