"""A real gunicorn with worker processes, for what only real processes show."""

import http.client
import json as json_module
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tillhook.server.front import listen
from tillhook.testing.people import Tokens

APPLICATION = "tillhook.server.app:get_app()"


class RunningServer:
    """A gunicorn master and its workers, on a free port of the loopback.

    Args:
        environment: The ``TILLHOOK_…`` variables, of which none is inherited, and others that are.
        log: File that takes everything the processes print.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        log: Path,
        *,
        tokens: Tokens | None = None,
        application: str = APPLICATION,
        workers: int = 2,
        threads: int = 8,
    ) -> None:
        self._environment = environment
        self._application = application
        self._workers, self._threads = workers, threads
        self._tokens = tokens
        self.log = log
        # Bound and not listening, so it gets no connection, and nobody else is given the port.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reservation.bind(("127.0.0.1", 0))
        self.port: int = self._reservation.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._master: subprocess.Popen[bytes] | None = None
        self._listening: list[socket.socket] = []

    def start(self) -> None:
        """Start the processes and return when each of the workers runs and one answers."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TILLHOOK_")}
        with self.log.open("ab") as log:
            self._master = subprocess.Popen(
                self._command(),
                pass_fds=[each.fileno() for each in self._listening],
                env={**environment, **self._environment, "PYTHONUNBUFFERED": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        while self._listening:
            self._listening.pop().close()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def _command(self) -> list[str]:
        self._listening = listen("127.0.0.1", self.port, self._workers)
        return [
            *(sys.executable, "-m", "gunicorn", self._application),
            *("--config", "python:tillhook.testing.preloaded"),
            *(f"--bind=fd://{each.fileno()}" for each in self._listening),
            *("--worker-class", "tillhook.server.front.RequestWorker"),
            *("--workers", str(self._workers), "--threads", str(self._threads)),
            # Two instances would share the default socket's path.
            *("--no-control-socket", "--keep-alive", "60", "--graceful-timeout", "3"),
            *("--log-level", "warning"),
        ]

    @property
    def processes(self) -> list[int]:
        """The workers' process ids."""
        import psutil  # type: ignore[import-untyped]

        assert self._master is not None
        return [child.pid for child in psutil.Process(self._master.pid).children()]

    def kill_worker(self) -> int:
        """Kill one worker as the kernel would, wait until another answers in its place, return its id."""
        victim = self.processes[0]
        os.kill(victim, signal.SIGKILL)
        self.wait_ready(without=victim)
        return victim

    def wait_ready(self, *, without: int | None = None, timeout_s: float = 60) -> None:
        """Return when all workers are there, ``without`` is gone, and a request succeeds.

        Raises:
            RuntimeError: The master ended, or it takes too long; the log is in the text.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            assert self._master is not None
            if self._master.poll() is not None:
                raise RuntimeError(f"the server has ended:\n{self.logs()}")
            workers = self.processes
            if len(workers) >= self._workers and without not in workers and self._answers():
                return
            time.sleep(0.02)
        raise RuntimeError(f"the server is not ready:\n{self.logs()}")

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/healthz", as_=None, timeout_s=2)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def connect(self, *, timeout_s: float = 30) -> http.client.HTTPConnection:
        """Return a connection that stays open between requests; not to be shared by threads."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        as_: Any = "admin",
        connection: http.client.HTTPConnection | None = None,
        timeout_s: float = 30,
    ) -> tuple[int, Any]:
        """Send a request and return the status and the answer's JSON, ``None`` when it has none.

        Args:
            as_: As in ``client``.
            connection: One of :meth:`connect`; by default a new one for this request alone.

        Raises:
            OSError, http.client.HTTPException: No answer; whether the request took effect is unknown.
        """
        headers = self._tokens.headers(as_) if self._tokens else {}
        own = connection or self.connect(timeout_s=timeout_s)
        try:
            body = None if json is None else json_module.dumps(json).encode()
            own.request(method, path, body, {**headers, "Content-Type": "application/json"})
            answer = own.getresponse()
            text = answer.read()
            is_json = "json" in (answer.getheader("Content-Type") or "")
            return answer.status, json_module.loads(text) if text and is_json else None
        finally:
            if connection is None:
                own.close()

    def get(self, path: str, **options: Any) -> tuple[int, Any]:
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> tuple[int, Any]:
        return self.request("POST", path, json, **options)

    def logs(self) -> str:
        """Return what the processes have printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self) -> None:
        """End all processes, by force if they do not end by themselves."""
        self._reservation.close()
        if self._master is None or self._master.poll() is not None:
            return
        workers = self.processes
        self._master.terminate()
        try:
            self._master.wait(10)
        except subprocess.TimeoutExpired:
            for pid in [self._master.pid, *workers]:
                os.kill(pid, signal.SIGKILL)
            self._master.wait()
