"""Who may wait for what somebody else has locked, when that does not come free."""

import threading
import time


class Waiting:
    """Counts the threads that wait for locks.

    As long as each gets what it waits for, everybody may wait. Once one has waited in vain, only ``places`` may, until
    nobody has waited in vain for ``memory_s`` seconds: the other threads serve those who want something else.
    """

    def __init__(self, places: int, memory_s: float) -> None:
        self._places = places
        self._memory_s = memory_s
        self._guard = threading.Lock()
        self._count = 0
        self._stuck_until = float("-inf")

    def enter(self) -> bool:
        """Take a place, to be given back by :meth:`leave`; say whether there was one."""
        with self._guard:
            if self._count >= self._places and time.monotonic() < self._stuck_until:
                return False
            self._count += 1
            return True

    def leave(self, *, in_vain: bool) -> None:
        """Give the place back."""
        with self._guard:
            self._count -= 1
            if in_vain:
                self._stuck_until = time.monotonic() + self._memory_s
