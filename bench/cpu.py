"""What work takes: CPU, which spreads far less than rates on a machine that others use too, and write-ahead log.

CPU is counted by the kernel, in steps of 10 ms per process, user and system time together.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]

from tillhook.runtime import Runtime
from tillhook.testing import RunningServer


class Usage(NamedTuple):
    """Seconds of CPU of the application and of the database, and bytes of PostgreSQL's write-ahead log."""

    application: float
    database: float
    wal: int

    def since(self, before: "Usage") -> "Usage":
        return Usage(*(now - then for now, then in zip(self, before, strict=True)))


class Meter:
    """Reads what has been used so far; two readings around some work tell what it took.

    That holds because everybody else is idle meanwhile, and connections stay open. SQLite works inside of the
    application, and its log is not counted: without a ``postmaster`` both of the database's figures are 0.
    """

    def __init__(self, runtime: Runtime, postmaster: int | None) -> None:
        self._runtime = runtime
        self._postmaster = postmaster

    def read(self, application: Callable[[], float]) -> Usage:
        """Return what the application, as it says itself, and the backends of all clients have used."""
        if self._postmaster is None:
            return Usage(application(), 0.0, 0)
        return Usage(application(), _used_for_clients(self._postmaster), self._written())

    def _written(self) -> int:
        with self._runtime.database.connect() as connection:
            position = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
            return int(connection.exec_driver_sql(position).scalar_one())


def cpu_of(server: RunningServer) -> float:
    """Return the seconds of CPU of the server's workers."""
    return sum(_used(psutil.Process(worker)) for worker in server.processes)


def postmaster_of(folder: Path) -> int:
    """Return the process id of the PostgreSQL whose data is below ``folder``."""
    return int((folder / "data" / "postmaster.pid").read_text().split()[0])


def _used_for_clients(postmaster: int) -> float:
    """Return the seconds of CPU of the backends; the cluster's own work belongs to nobody's turn."""
    seconds = 0.0
    for child in psutil.Process(postmaster).children():
        # A vacuum may have come to its end meanwhile.
        with contextlib.suppress(psutil.NoSuchProcess):
            if "[local]" in " ".join(child.cmdline()):
                seconds += _used(child)
    return seconds


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
