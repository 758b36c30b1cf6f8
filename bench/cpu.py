"""CPU time of processes, which spreads far less than rates on a machine that others use too.

As the kernel counts it, in steps of 10 ms per process and user and system time together.
"""

from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]

from tillhook.testing import RunningServer


class Cpu(NamedTuple):
    """Seconds of CPU of the application and of the database."""

    application: float
    database: float

    def since(self, before: "Cpu") -> "Cpu":
        return Cpu(self.application - before.application, self.database - before.database)


def cpu_of(server: RunningServer, postmaster: int | None) -> Cpu:
    """Return what has been used so far by the server's workers, and by the backends of all clients.

    Two readings around a turn tell what the turn took: backends of whoever has no turn are idle, and connections stay
    open. SQLite works inside of the application: without a ``postmaster`` the database's share is 0.
    """
    backends = [] if postmaster is None else _backends(postmaster)
    return Cpu(_used(server.processes), _used(backends))


def postmaster_of(folder: Path) -> int:
    """Return the process id of the PostgreSQL whose data is below ``folder``."""
    return int((folder / "data" / "postmaster.pid").read_text().split()[0])


def _backends(postmaster: int) -> list[int]:
    """Return the processes that serve a client; the cluster's own work belongs to no turn."""
    return [child.pid for child in psutil.Process(postmaster).children() if "[local]" in " ".join(child.cmdline())]


def _used(processes: list[int]) -> float:
    times = (psutil.Process(process).cpu_times() for process in processes)
    return sum(each.user + each.system for each in times)
