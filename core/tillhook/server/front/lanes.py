"""Who gets a thread: first come, first served, but nobody's kind of request ever has all of them."""

from collections import deque
from enum import IntEnum
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Lane(IntEnum):
    """What kind of request it is."""

    READS = 0
    WRITES = 1
    #: Waits for something that few may do at a time: decoding a picture, hashing a password.
    LONG = 2


#: What each lane takes one of: of all threads, those for reading, those for writing, those for what is long.
_TAKES = ((0, 1), (0, 2), (0, 2, 3))


class Lanes(Generic[T]):
    """The requests that have a thread, counted, and those that wait for one.

    A quarter of the threads, one at least, is never given to requests that write, so that reads are answered while all
    writers wait for a lock; another never to those that read; and what is long has no more than a quarter. A single
    thread is given to whoever is first.
    """

    def __init__(self, threads: int) -> None:
        quarter = max(1, threads // 4)
        most = max(1, threads - quarter)
        self._free = [threads, most, most, quarter]
        self._waiting: tuple[deque[tuple[int, float, T]], ...] = tuple(deque() for _ in Lane)
        self._number = 0
        self._lock = Lock()

    def waiting(self, lane: Lane) -> int:
        """Return how many wait in a lane."""
        return len(self._waiting[lane])

    def come(self, item: T, lane: Lane, now: float) -> bool:
        """Say whether ``item`` has a thread at once; else it waits."""
        with self._lock:
            if self._is_free(lane):
                self._take(lane, 1)
                return True
            self._number += 1
            self._waiting[lane].append((self._number, now, item))
            return False

    def go(self, lane: Lane) -> T | None:
        """Give a thread back, and return who has it next, if anybody."""
        with self._lock:
            self._take(lane, -1)
            ready = [each for each in Lane if self._waiting[each] and self._is_free(each)]
            if not ready:
                return None
            first = min(ready, key=lambda each: self._waiting[each][0][0])
            self._take(first, 1)
            return self._waiting[first].popleft()[2]

    def leave(self, item: T, lane: Lane) -> bool:
        """Stop waiting; false when ``item`` has a thread by now."""
        with self._lock:
            for each in self._waiting[lane]:
                if each[2] is item:
                    self._waiting[lane].remove(each)
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

    def _is_free(self, lane: Lane) -> bool:
        return all(self._free[each] for each in _TAKES[lane])

    def _take(self, lane: Lane, number: int) -> None:
        for each in _TAKES[lane]:
            self._free[each] -= number
