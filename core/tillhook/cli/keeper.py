"""The worker beside the server's processes: started again when it dies or hangs, ended with the server."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence

import structlog

from tillhook.server.lifeline import Pulse

log = structlog.get_logger()
_LONGEST_PAUSE_S = 60.0
#: Seconds for which a worker ran well, so that its end is the first one again.
_WELL_S = 60.0
#: Seconds without a sign of life after which a worker hangs, and those it has until the first one.
_SILENT_S = 60.0
_START_S = 120.0
#: Seconds that it has to end by itself; its jobs and consumers have fewer.
_GRACE_S = 10.0
#: Seconds to wait for one that was killed; what the kernel does not let go of is left to it.
_KILLED_S = 2.0


class WorkerKeeper:
    """Keeps one worker running; its methods are called by the server's master.

    Args:
        modules: The plugins of this server: the worker has the same ones, whatever is enabled later.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = modules
        self._process: subprocess.Popen[bytes] | None = None
        self._pulse: Pulse | None = None
        self._started_at = self._watched_at = 0.0
        self._start_at = 0.0
        self._silent_s = 0.0
        self._has_started = False
        self._pause_s = 1.0
        self._stop_by: float | None = None

    def watch(self) -> None:
        """See that there is a worker, and that it goes on; to be called each second.

        One that hangs is killed. After an early death the next one is started some time later, longer each time.
        """
        now = time.monotonic()
        if self._process is not None:
            self._listen(self._process, now)
        if self._process is None and self._stop_by is None and now >= self._start_at:
            try:
                self._start(now)
            except OSError as error:  # no process, no memory, no descriptor: the server goes on without a worker
                self._forget()
                self._rest(now)
                log.error("worker_not_started", error=str(error), retry_in_s=self._pause_s)

    def _listen(self, process: "subprocess.Popen[bytes]", now: float) -> None:
        # Only what this process was there to hear: after it was stopped itself, the worker gets its minute anew.
        waited_s, self._watched_at = min(now - self._watched_at, 5.0), now
        self._silent_s += waited_s
        if self._pulse is not None and self._pulse.has_beaten():
            self._silent_s, self._has_started = 0.0, True
        if self._silent_s > (_SILENT_S if self._has_started else _START_S) and process.poll() is None:
            log.error("worker_hangs", pid=process.pid, silent_s=round(self._silent_s))
            process.kill()
        # The master reaps all its children, so how it ended is not known.
        if process.poll() is not None:
            ran_s = now - self._started_at
            if ran_s > _WELL_S:
                self._pause_s = 0.5
            self._rest(now)
            log.error("worker_died", ran_s=round(ran_s, 1), restart_in_s=self._pause_s)
            self._forget()

    def _rest(self, now: float) -> None:
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        self._start_at = now + self._pause_s

    def _start(self, now: float) -> None:
        self._pulse = Pulse()
        self._started_at = self._watched_at = now
        self._silent_s, self._has_started = 0.0, False
        command = [sys.executable, "-m", "tillhook", "worker"]
        command += ["--parent", str(os.getpid()), "--pulse", str(self._pulse.writing)]
        try:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, "TILLHOOK_MODULES": ",".join(self._modules)},
                pass_fds=(self._pulse.writing,),
                # In a group of its own: Ctrl-C is for the server, which then ends the worker.
                process_group=0,
            )
        finally:
            self._pulse.close_writing()

    def _forget(self) -> None:
        if self._pulse is not None:
            self._pulse.close()
        self._process = self._pulse = None

    def begin_stop(self) -> None:
        """Tell the worker to end, and start no other; :meth:`stop` waits for it."""
        if self._stop_by is None:
            self._stop_by = time.monotonic() + _GRACE_S
            if self._process is not None:
                self._process.terminate()

    def stop(self) -> None:
        """End the worker, by force when it does not come to its end."""
        self.begin_stop()
        if self._process is None or self._stop_by is None:
            return
        try:
            self._process.wait(max(self._stop_by - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            log.error("worker_killed", pid=self._process.pid)
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILLED_S)
        self._forget()
