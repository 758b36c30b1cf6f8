"""What ties a child process to the master that started it: it does not outlive it, and the master sees it live."""

import contextlib
import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable

from tillhook.server import logs

_POLL_S = 1.0
# From Linux's <sys/prctl.h>.
_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have this process killed when its parent is gone, whatever it does then; at once on Linux.

    Elsewhere a thread looks each second, and needs the interpreter for it: code in C that never lets go of that one
    outlives the parent.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before. Nothing is logged: who reads the log may be gone too.
    threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(1)


def end_within(seconds: float) -> None:
    """End this process after so long, and two seconds more for its log, whatever keeps it."""

    def end() -> None:
        time.sleep(seconds)
        logs.flush()
        os._exit(1)

    threading.Thread(target=end, name="end", daemon=True).start()


def beat_into(descriptor: int) -> Callable[[], None]:
    """Return what gives a sign of life through a pipe. It never waits: a master that does not read loses nothing."""
    os.set_blocking(descriptor, False)

    def beat() -> None:
        with contextlib.suppress(OSError):
            os.write(descriptor, b".")

    return beat


class Pulse:
    """The master's end of that pipe."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)

    def close_writing(self) -> None:
        """To be called when the child has its own copy."""
        os.close(self.writing)

    def has_beaten(self) -> bool:
        """Return whether there was a sign since the last call."""
        try:
            return bool(os.read(self._reading, 65536))
        except OSError:
            return False

    def close(self) -> None:
        os.close(self._reading)
