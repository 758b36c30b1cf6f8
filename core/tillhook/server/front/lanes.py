"""Who gets a thread: first come, first served, but writers never have all of them."""

from collections import deque
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """The requests that have a thread, counted, and those that wait for one.

    A quarter of the threads, one at least, is never given to requests that write, so that reads are answered while all
    writers wait for a lock. A single thread is given to whoever is first.
    """

    def __init__(self, threads: int) -> None:
        self._free = threads
        self._free_to_write = max(1, threads - max(1, threads // 4))
        self._waiting: tuple[deque[tuple[int, float, T]], deque[tuple[int, float, T]]] = (deque(), deque())
        self._number = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._waiting[0]) + len(self._waiting[1])

    def come(self, item: T, writes: bool, now: float) -> bool:
        """Say whether ``item`` has a thread at once; else it waits."""
        with self._lock:
            if self._free and (self._free_to_write or not writes):
                self._free -= 1
                self._free_to_write -= writes
                return True
            self._number += 1
            self._waiting[writes].append((self._number, now, item))
            return False

    def go(self, writes: bool) -> T | None:
        """Give a thread back, and return who has it next, if anybody."""
        with self._lock:
            self._free += 1
            self._free_to_write += writes
            reads, writers = self._waiting
            lane = bool(writers) and self._free_to_write > 0 and (not reads or writers[0][0] < reads[0][0])
            if not self._waiting[lane]:
                return None
            self._free -= 1
            self._free_to_write -= lane
            return self._waiting[lane].popleft()[2]

    def leave(self, item: T, writes: bool) -> bool:
        """Stop waiting; false when ``item`` has a thread by now."""
        with self._lock:
            for each in self._waiting[writes]:
                if each[2] is item:
                    self._waiting[writes].remove(each)
                    return True
            return False

    def give_up(self, before: float) -> list[T]:
        """Take out, and return, those that have waited since before an instant of the clock of ``come``."""
        late = []
        with self._lock:
            for lane in self._waiting:
                while lane and lane[0][1] < before:
                    late.append(lane.popleft()[2])
        return late
