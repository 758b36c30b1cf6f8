"""Locks with a time limit: between the threads of a process, and by a file between processes too.

``flock`` cannot give up waiting. So a thread that finds the file locked takes a place in the queue of its process,
where it can, and another thread (the porter) stands in the kernel's queue for whoever is first. What the porter gets
when nobody wants it any more it gives back at once. A lock belongs to an open file, not to a thread, so the threads of
a process hand it on among themselves, for some milliseconds; and it dies with the process.
"""

import contextlib
import fcntl
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Self

from tillhook.errors import DatabaseUnavailable

_UNUSABLE = "A file beside the database cannot be used. Nothing was changed; try again."
#: Seconds that the porter stays when nobody waits.
_IDLE_S = 10.0
#: Seconds for which the threads of a process hand the lock on among themselves. It saves going by the kernel.
_SLICE_S = 0.005
#: All locks of this process; a child that it forks has none of them.
_ALL: "weakref.WeakSet[_Line]" = weakref.WeakSet()


@dataclass(frozen=True)
class Holder:
    """A process that has the writer's lock, and for how many seconds."""

    pid: int
    held_s: float


class DatabaseBusy(DatabaseUnavailable):
    """Others had the database for as long as this one was ready to wait. Running it again would wait again."""

    code = "database-busy"
    retry_after_s = 5

    def __init__(self, waited_s: float, holder: Holder | None = None) -> None:
        who = f" Process {holder.pid} has been writing for {holder.held_s:.1f} s." if holder else ""
        super().__init__(
            f"This waited {waited_s:.1f} s to write, and others were first.{who} Nothing was changed; send it again."
        )


class _Place:
    """One thread's place in a queue."""

    __slots__ = ("_called", "error", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.error: Exception | None = None
        self._called = threading.Lock()
        self._called.acquire()

    def call(self) -> None:
        self._called.release()

    def wait(self, timeout_s: float) -> bool:
        return self._called.acquire(timeout=max(timeout_s, 0.0))


class _Line:
    """A queue of threads, first come, first served; after a fork the child's is empty."""

    def __init__(self) -> None:
        _ALL.add(self)
        self._reset()

    def _reset(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[_Place] = deque()

    def _wait(self, place: _Place, timeout_s: float) -> bool:
        """Wait until the place is called; return False when it is given up because that took too long."""
        try:
            if place.wait(timeout_s):
                return True
        except BaseException:
            if not self._leave(place):
                self._pass_on(place)
            raise
        return not self._leave(place)

    def _leave(self, place: _Place) -> bool:
        """Give up a place; return False when it has been called meanwhile."""
        with self._guard:
            try:
                self._waiting.remove(place)
            except ValueError:
                return False
            return True

    def _pass_on(self, place: _Place) -> None:
        """Let go of what a place was called for."""
        raise NotImplementedError


class Turns(_Line):
    """A lock between the threads of a process, first come, first served.

    ``with`` yields how many seconds of ``timeout_s`` are left.

    Args:
        holder: Tells who is to blame when the turn does not come.

    Raises:
        DatabaseBusy: The turn has not come in that time.
    """

    def __init__(self, timeout_s: float, holder: Callable[[], Holder | None]) -> None:
        super().__init__()
        self._timeout_s = timeout_s
        self._holder = holder

    def _reset(self) -> None:
        super()._reset()
        self._is_taken = False

    def __enter__(self) -> float:
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return self._timeout_s
            mine = _Place()
            self._waiting.append(mine)
        began = time.monotonic()
        if not self._wait(mine, self._timeout_s):
            raise DatabaseBusy(self._timeout_s, self._holder())
        return max(self._timeout_s - (time.monotonic() - began), 0.0)

    def __exit__(self, *_: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().call()
            else:
                self._is_taken = False

    def _pass_on(self, place: _Place) -> None:
        self.__exit__()


class FileLock(_Line):
    """An exclusive lock between threads and processes; ``with`` waits for ``timeout_s`` seconds at most.

    A thread that has it cannot take it again.

    Raises:
        DatabaseBusy: Others had it for all that time.
        DatabaseUnavailable: The file cannot be opened.
    """

    def __init__(self, path: str, timeout_s: float) -> None:
        self._path = path
        self.timeout_s = timeout_s
        self._descriptors: list[int] = []
        super().__init__()

    def _reset(self) -> None:
        super()._reset()
        # In a child these are the parent's open files: closing them takes nothing from it.
        self._close()
        self._free: list[int] = []
        self._held: int | None = None
        self._thread: int | None = None
        self._since = 0.0
        #: When this process got the lock from the others.
        self._got_at = 0.0
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._has_porter = self._is_carrying = False

    def _close(self) -> None:
        for descriptor in self._descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._descriptors = []

    def __del__(self) -> None:
        self._close()

    def __enter__(self) -> Self:
        self.acquire(self.timeout_s)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self, timeout_s: float) -> None:
        """Take the lock, or raise what the class says."""
        thread = threading.get_ident()
        with self._guard:
            if self._thread == thread:
                raise RuntimeError("a transaction that writes within another one")
            if self._held is None and not self._waiting and self._try(thread):
                return
            place = _Place()
            self._waiting.append(place)
            if self._held is None:
                self._call_porter()
        if not self._wait(place, timeout_s):
            raise self._busy(timeout_s)
        if place.error is not None:
            raise DatabaseUnavailable(_UNUSABLE) from place.error

    def release(self) -> None:
        """Let go of the lock: to the next thread, or to other processes when this one has had it for long enough."""
        with self._guard:
            descriptor = self.descriptor
            if self._waiting and time.monotonic() < self._got_at + _SLICE_S:
                self._hand_on(descriptor)
                return
            self._held = self._thread = None
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            self._free.append(descriptor)
            if self._waiting:
                self._call_porter()

    @property
    def descriptor(self) -> int:
        """The open file of who has the lock."""
        assert self._held is not None
        return self._held

    def peek(self, size: int) -> bytes | None:
        """Return the beginning of the file while somebody has the lock, ``None`` when nobody has."""
        with self._guard:
            descriptor = self._open()
            try:
                if self._held is None and _flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                    return None
                return os.pread(descriptor, size, 0)
            finally:
                self._free.append(descriptor)

    def _try(self, thread: int) -> bool:
        descriptor = self._open()
        if not _flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
            self._free.append(descriptor)
            return False
        self._take(descriptor, thread)
        self._got_at = self._since
        return True

    def _take(self, descriptor: int, thread: int) -> None:
        self._held, self._thread, self._since = descriptor, thread, time.monotonic()
        self._taken(descriptor)

    def _hand_on(self, descriptor: int) -> None:
        place = self._waiting.popleft()
        self._take(descriptor, place.thread)
        place.call()

    def _taken(self, descriptor: int) -> None:
        """Write down that this process has the lock."""

    def _busy(self, waited_s: float) -> DatabaseBusy:
        return DatabaseBusy(waited_s)

    def _open(self) -> int:
        if self._free:
            return self._free.pop()
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseUnavailable(_UNUSABLE) from error
        self._descriptors.append(descriptor)
        return descriptor

    def _call_porter(self) -> None:
        """Let the porter wait for who is first; it always does while somebody waits and the process has no lock."""
        if self._is_carrying:
            return
        if self._has_porter:
            self._bell.put(None)
        else:
            try:
                threading.Thread(target=self._carry, name="porter", daemon=True).start()
            except RuntimeError as error:  # no more threads; who lets go of the lock has no part in it
                self._fail(error)
                return
            self._has_porter = True
        self._is_carrying = True

    def _carry(self) -> None:
        while True:
            try:
                self._carry_once()
            except Exception as error:
                with self._guard:
                    self._is_carrying = False
                    self._fail(error)
            try:
                self._bell.get(timeout=_IDLE_S)
            except Empty:
                with self._guard:
                    if not self._is_carrying:
                        self._has_porter = False
                        return

    def _carry_once(self) -> None:
        """Wait for the lock, in the kernel's queue, however long it takes; hand it on, or give it back."""
        with self._guard:
            descriptor = self._open()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with self._guard:
            self._is_carrying = False
            if self._waiting:
                self._hand_on(descriptor)
                self._got_at = self._since
            else:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                self._free.append(descriptor)

    def _fail(self, error: Exception) -> None:
        """Tell everybody who waits that the lock cannot be had."""
        for place in self._waiting:
            place.error = error
            place.call()
        self._waiting.clear()

    def _pass_on(self, place: _Place) -> None:
        if place.error is None:
            self.release()


def _flock(descriptor: int, how: int) -> bool:
    """Say whether the lock was free."""
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    return True


def _begin_as_child() -> None:
    for line in list(_ALL):
        line._reset()


os.register_at_fork(after_in_child=_begin_as_child)
