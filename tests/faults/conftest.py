"""A whole shop in processes of its own, for the tests that kill, stop, starve and confuse it."""

import os
import signal
import sys

import psutil
import pytest

from tillhook.testing import RunningServer
from tillhook.testing.template import environment_of


class Shop(RunningServer):
    """``tillhook serve`` on the test's database: the master, its processes for requests, and the worker."""

    def start(self):
        # Serving refuses a port that somebody has, this object included.
        self._reservation.close()
        super().start()

    #: A command that runs the one after it, such as a shell with its output elsewhere.
    through = ()

    def _command(self):
        return [*self.through, sys.executable, "-m", "tillhook", "serve"]

    @property
    def master(self):
        """The master, as a ``psutil.Process``."""
        return psutil.Process(self._master.pid)

    @property
    def workers(self):
        """The processes of ``tillhook worker``."""
        return [each for each in self._children() if "worker" in _command_line(each)]

    @property
    def processes(self):
        """The ids of the processes that answer requests."""
        return [each.pid for each in self._children() if "worker" not in _command_line(each)]

    def _children(self):
        return [each for each in self.master.children() if each.status() != psutil.STATUS_ZOMBIE]

    def stop(self):
        """End everything as Ctrl-C would; by force what is left after 20 seconds."""
        if self._master is None or self._master.poll() is not None:
            return
        left = [self.master, *self.master.children(recursive=True)]
        self._master.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(left, 20)
        for each in alive:
            each.kill()
        self._master.wait()


def _command_line(process):
    try:
        return process.cmdline()
    except (psutil.ZombieProcess, psutil.NoSuchProcess):
        return []


@pytest.fixture
def start_shop(settings, tokens, tmp_path):
    """``start_shop(workers=1, threads=4, TILLHOOK_…="…")`` starts ``tillhook serve`` and waits until it answers.

    ``through=("sh", "-c", 'exec "$@" >/dev/full', "sh")`` starts it by another command, which becomes it. Other
    variables are the environment's, such as ``TMPDIR``. Several on one database are several installations of it.
    """
    shops = []

    def start(*, workers=1, threads=4, through=(), **variables):
        log = tmp_path / f"shop{len(shops)}.log"
        shop = Shop(environment_of(settings), log, tokens=tokens, workers=workers, threads=threads)
        shop._environment = {
            **shop._environment,
            "TILLHOOK_PORT": str(shop.port),
            "TILLHOOK_WORKERS": str(workers),
            "TILLHOOK_THREADS": str(threads),
            **variables,
        }
        shop.through = through
        shops.append(shop)
        shop.start()
        return shop

    yield start
    for shop in shops:
        shop.stop()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder for plugins of the test's own (``write_plugin``), on the path of the processes that it starts."""
    folder = tmp_path / "site"
    folder.mkdir()
    # `environment_of` hands this process's path on.
    monkeypatch.setattr(sys, "path", [*sys.path, os.fspath(folder)])
    return folder
