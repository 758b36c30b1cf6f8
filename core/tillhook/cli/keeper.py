"""The worker beside the server's processes: started again when it dies, ended with the server."""

import subprocess
import sys
import time
from os import getpid

import structlog

log = structlog.get_logger()
_LONGEST_PAUSE_S = 60.0
#: Seconds for which a worker ran well, so that its end is the first one again.
_WELL_S = 60.0
#: Seconds that it has to end by itself; its jobs and consumers have fewer.
_GRACE_S = 10.0


class WorkerKeeper:
    """Keeps one worker running; its methods are called by the server's master."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._pause_s = 1.0

    def watch(self) -> None:
        """Start the worker when there is none; after an early death only some time later, longer each time."""
        now = time.monotonic()
        # The master reaps all its children, so how it ended is not known.
        if self._process is not None and self._process.poll() is not None:
            ran_s = now - self._started_at
            self._pause_s = 1.0 if ran_s > _WELL_S else min(self._pause_s * 2, _LONGEST_PAUSE_S)
            self._start_at = now + self._pause_s
            log.error("worker_died", ran_s=round(ran_s, 1), restart_in_s=self._pause_s)
            self._process = None
        if self._process is None and now >= self._start_at:
            self._started_at = now
            # In a group of its own: Ctrl-C is for the server, which then ends the worker.
            command = [sys.executable, "-m", "tillhook", "worker", "--parent", str(getpid())]
            self._process = subprocess.Popen(command, process_group=0)

    def stop(self) -> None:
        """End the worker, by force when it does not come to its end."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            log.error("worker_killed")
            self._process.kill()
            self._process.wait()
