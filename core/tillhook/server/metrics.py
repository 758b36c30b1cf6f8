"""What Prometheus reads: requests by route template, answers given again, lines of the log that were lost.

The processes of one server count in memory that they share. Their master makes it before it forks; there is no file,
so a full disk does not matter, and nothing is left when the processes are gone. Each process has a part of its own, so
none waits for another; who asks any of them is told the sum. A new process goes on in the part of one that has ended,
so that no counter goes back. A process without a part (the worker, or one of plain gunicorn) counts for itself.
"""

import json
import mmap
import os
import struct
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import ClassVar

import falcon
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

OTHER = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

#: Bytes of a part, enough for 4,000 histograms; what is not used takes no memory.
_PART = 1 << 20
#: At its end, for the series that take what finds no room.
_RESERVE = 1 << 14
#: Before each record: the bytes of its key, and how many numbers it has.
_HEAD = struct.Struct("<II")
_END = struct.Struct("<Q")


class _Part:
    """Where one process counts: records of a key and its numbers, to which more are added and which never move.

    A key is a metric's name and the values of its labels.
    """

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self.numbers = memory.cast("d")
        self._places = {key: at for key, at, _ in self._records()}

    def place(self, key: tuple[str, ...], size: int) -> int:
        """Return where a key's numbers begin in :attr:`numbers`; without room for it, those of the labels ``other``."""
        at = self._places.get(key)
        if at is None:
            at = self._add(key, size, _PART - _RESERVE)
        if at is None:
            # Not kept under its own key, of which there may be any number.
            key = (key[0], *[OTHER] * (len(key) - 1))
            at = self._places.get(key) or self._add(key, size, _PART)
            assert at is not None
        return at

    def _add(self, key: tuple[str, ...], size: int, limit: int) -> int | None:
        text = json.dumps(key).encode()
        begin = self._end()
        text_at = begin + _HEAD.size
        at = -(-(text_at + len(text)) // 8)
        end = 8 * (at + size)
        if end > limit:
            return None
        _HEAD.pack_into(self._memory, begin, len(text), size)
        self._memory[text_at : text_at + len(text)] = text
        # Last, so that who reads meanwhile finds whole records, and who dies here leaves none.
        _END.pack_into(self._memory, 0, end)
        self._places[key] = at
        return at

    def read(self) -> Iterator[tuple[tuple[str, ...], list[float]]]:
        """Yield each key with its numbers as they are now."""
        for key, at, size in self._records():
            yield key, list(map(float, self.numbers[at : at + size]))

    def _records(self) -> Iterator[tuple[tuple[str, ...], int, int]]:
        begin, end = _END.size, self._end()
        while begin < end:
            length, size = _HEAD.unpack_from(self._memory, begin)
            text_at = begin + _HEAD.size
            at = -(-(text_at + length) // 8)
            yield tuple(json.loads(bytes(self._memory[text_at : text_at + length]))), at, size
            begin = 8 * (at + size)

    def _end(self) -> int:
        end: int = _END.unpack_from(self._memory, 0)[0]
        return end or _END.size


def _memory(parts: int) -> list[memoryview]:
    memory = memoryview(mmap.mmap(-1, parts * _PART))
    return [memory[at * _PART : (at + 1) * _PART] for at in range(parts)]


class _Process:
    """The part that this process counts in, and those that its server has."""

    def __init__(self) -> None:
        self.shared: list[memoryview] = []
        self.begin()
        # A forked process must not go on in its parent's part.
        os.register_at_fork(after_in_child=self.begin)

    def begin(self, memory: memoryview | None = None) -> None:
        """Count in this memory, by default for itself."""
        self.lock = threading.RLock()
        self.part = _Part(memory or _memory(1)[0])

    def read(self) -> Iterator[tuple[tuple[str, ...], list[float]]]:
        for part in [_Part(each) for each in self.shared] or [self.part]:
            yield from part.read()


_process = _Process()


class _Declared:
    """A metric; one object for all processes. Labels' values must be few: each set of them is kept for ever."""

    all: ClassVar[list["_Declared"]] = []
    #: How many numbers a series has.
    size = 1

    def __init__(self, name: str, title: str, labels: tuple[str, ...] = ()) -> None:
        self.name, self._title, self.labels = name, title, labels
        self.all.append(self)

    def family(self, series: Iterable[tuple[tuple[str, ...], Sequence[float]]]) -> Metric:
        raise NotImplementedError


class Counter(_Declared):
    """What only grows; its name in the exposition ends in ``_total``."""

    def inc(self, *labels: str, by: float = 1) -> None:
        process = _process
        with process.lock:
            part = process.part
            part.numbers[part.place((self.name, *labels), 1)] += by

    def family(self, series: Iterable[tuple[tuple[str, ...], Sequence[float]]]) -> Metric:
        family = CounterMetricFamily(self.name, self._title, labels=self.labels)
        for labels, (value,) in series:
            family.add_metric(labels, value)
        return family


class Histogram(_Declared):
    """How often something took how long; the numbers are one per bucket, one beyond the last, and the sum."""

    def __init__(self, name: str, title: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> None:
        super().__init__(name, title, labels)
        self._buckets = buckets
        self.size = len(buckets) + 2

    def observe(self, seconds: float, *labels: str) -> None:
        process = _process
        bucket = bisect_left(self._buckets, seconds)
        with process.lock:
            at = process.part.place((self.name, *labels), self.size)
            numbers = process.part.numbers
            numbers[at + bucket] += 1
            numbers[at + self.size - 1] += seconds

    def family(self, series: Iterable[tuple[tuple[str, ...], Sequence[float]]]) -> Metric:
        family = HistogramMetricFamily(self.name, self._title, labels=self.labels)
        bounds = [*map(floatToGoString, self._buckets), "+Inf"]
        for labels, numbers in series:
            counts = accumulate(numbers[:-1])
            family.add_metric(labels, list(zip(bounds, counts, strict=True)), numbers[-1])
        return family


REQUESTS = Histogram(
    "tillhook_request_seconds",
    "Time to answer a request, by route template.",
    ("method", "route", "status"),
    buckets=_BUCKETS,
)
REPLAYS = Counter("tillhook_idempotent_replays", "Answers given again for an Idempotency-Key.")
LOG_DROPPED = Counter(
    "tillhook_log_lines_dropped", "Lines that standard output or standard error did not take, or not soon enough."
)
LONG_WRITES = Counter("tillhook_long_writes", "Transactions that had SQLite's writer lock for ten seconds and more.")


def observe(request: falcon.Request, response: falcon.Response, seconds: float) -> None:
    """Count one request. An address that is no route counts as one, and so does a method that is none of HTTP's."""
    method = request.method if request.method in _METHODS else OTHER
    REQUESTS.observe(seconds, method, request.uri_template or "unknown", str(response.status)[:3])


def share(processes: int) -> None:
    """Make the memory for a master and so many processes; for the master, which has the first part itself."""
    _process.shared = _memory(processes + 1)
    _process.begin(_process.shared[0])


def free_part(taken: Iterable[int | None]) -> int | None:
    """Return the number of a part that none of the master's processes has; ``None`` when there are too many."""
    free = set(range(1, len(_process.shared))) - set(taken)
    return min(free, default=None)


def count_in(part: int | None) -> None:
    """Count in this part from now on; for a process that was just forked."""
    if part is not None:
        _process.begin(_process.shared[part])


class _Counted(Collector):
    """What all processes have counted."""

    def collect(self) -> Iterator[Metric]:
        # One without labels is there from the beginning.
        totals: dict[tuple[str, ...], list[float]] = {
            (each.name,): [0.0] * each.size for each in _Declared.all if not each.labels
        }
        for key, numbers in _process.read():
            totals[key] = [a + b for a, b in zip(totals.get(key) or [0.0] * len(numbers), numbers, strict=True)]
        for each in _Declared.all:
            yield each.family([(key[1:], totals[key]) for key in sorted(totals) if key[0] == each.name])


def exposition(gauges: Collector) -> tuple[bytes, str]:
    """Return the metrics of all processes that answer requests (of this one, when they share nothing).

    Args:
        gauges: What is read from the database now.
    """
    registry = CollectorRegistry()
    for each in (_Counted(), gauges):
        registry.register(each)
    return generate_latest(registry), CONTENT_TYPE_LATEST
