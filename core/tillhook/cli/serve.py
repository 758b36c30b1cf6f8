"""``tillhook serve``: everything that a server needs, in one command."""

import json
import mmap
import os
import shlex
import socket
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import click
import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from sqlalchemy import text

from tillhook.cli.context import Context, with_context
from tillhook.cli.demo import create_demo_data, has_users, is_demo
from tillhook.cli.keeper import WorkerKeeper
from tillhook.config import Settings
from tillhook.errors import StartupError
from tillhook.runtime import Runtime
from tillhook.server import logs, metrics
from tillhook.server.app import create_app, tune_process
from tillhook.server.building import rebuild_runtime
from tillhook.server.front import RequestWorker, listen
from tillhook.server.install import install
from tillhook.server.lifeline import die_with

log = structlog.get_logger()
#: Seconds that requests have to come to their end when the server is told to; then they are cut off.
_GRACE_S = 30
#: Seconds after which a process that could not start is tried again.
_SPAWN_AGAIN_S = 1.0
DEMO_USERS = ("admin", "manager", "supplier", "cashier", "accountant", "customer")
DEMO_PASSWORD = "testpass123"
#: Seconds after which a process that gives no sign is killed.
_SILENT_S = 60
#: Seconds between two looks after which the master was suspended itself, as a machine is that sleeps.
_AWAY_S = 5.0
#: Seconds that a reload waits for the new processes.
_START_S = 30.0
#: Where Linux has files in memory.
_MEMORY = "/dev/shm"


@click.command()
@click.option("--safe", is_flag=True, help="Start without the plugins that cannot be used.")
@with_context
def serve(context: Context, safe: bool) -> None:
    """Migrate, make the demo data on the first run, then answer requests until Ctrl-C."""
    settings = context.settings
    _refuse_taken_port(settings)
    logs.configure(settings.log_level)
    logs.divert_output()
    runtime = install(settings, safe=safe, database=context.database)
    for plugin in runtime.broken:
        click.echo(f"started without plugin {plugin.name}:\n{plugin.traceback}", err=True)
    create_app(runtime)  # what cannot be served is said once, and nothing is started
    _prepare_demo(runtime)
    welcome = _welcome(runtime)
    runtime.dispose()  # a connection must not be shared with the processes that are forked now
    # At a reload the old processes and the new are there at once.
    metrics.share(2 * settings.workers)
    _Server(runtime, welcome).run()


class _Server(BaseApplication):
    """gunicorn with our settings; each process builds a runtime of its own, of the master's plugins."""

    def __init__(self, runtime: Runtime, welcome: str) -> None:
        self._runtime, self._settings, self._welcome = runtime, runtime.settings, welcome
        self.keeper = WorkerKeeper([plugin.name for plugin in runtime.plugins])
        # Shared with the processes that are forked: whether one of them ever came as far as to serve.
        self._has_served = mmap.mmap(-1, 1)
        sockets = listen(self._settings.host, self._settings.port, self._settings.workers)
        # gunicorn makes its own of the descriptors.
        self._bind = [f"fd://{each.detach()}" for each in sockets]
        super().__init__()

    @property
    def has_served(self) -> bool:
        """Whether the start is over: since then a process that cannot start stops nobody."""
        return self._has_served[0] != 0

    def run(self) -> None:
        self._master = os.getpid()
        try:
            _Master(self).run()
        finally:
            # However it ends. The processes that are forked come by here too.
            if os.getpid() == self._master:
                self.keeper.stop()

    def load_config(self) -> None:
        for name, value in self._options().items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        die_with(self._master)
        app = create_app(rebuild_runtime(self._runtime))
        tune_process()
        self._has_served[0] = 1
        return app

    def _options(self) -> Mapping[str, Any]:
        settings = self._settings
        return {
            "bind": self._bind,
            "worker_class": RequestWorker,
            "workers": settings.workers,
            "threads": settings.threads,
            # Two installations of one user would share its default path.
            "control_socket_disable": True,
            "keepalive": 75,
            "timeout": _SILENT_S,
            "graceful_timeout": _GRACE_S,
            "loglevel": "warning",
            "proc_name": "tillhook",
            # Each process has an empty file; in a temporary folder that is full there is no room for it.
            "worker_tmp_dir": _MEMORY if os.access(_MEMORY, os.W_OK) else None,
            "when_ready": lambda server: click.echo(self._welcome),
            "pre_fork": _give_part,
            "post_fork": lambda server, worker: metrics.count_in(worker.metrics_part),
        }


def _give_part(server: Arbiter, worker: Any) -> None:
    """Say where the process that is forked next counts its metrics."""
    worker.metrics_part = metrics.free_part(each.metrics_part for each in server.WORKERS.values())


class _Master(Arbiter):
    """gunicorn's master, which looks after the worker as it does after the requests' processes.

    A process that cannot start ends the server while that starts. Later it is tried again each second. A
    reload starts the new ones before it ends the old ones.
    """

    _spawn_at = 0.0
    _looked_at = _back_at = float("-inf")
    _is_stopping = False
    _reloading = False

    def reload(self) -> None:
        self._reloading = True
        try:
            super().reload()
        finally:
            self._reloading = False

    def manage_workers(self) -> None:
        """Called each second, whenever a child has ended, and on a reload when the new processes are there."""
        deadline = time.monotonic() + _START_S
        while self._reloading and time.monotonic() < deadline and self._are_starting():
            time.sleep(0.02)
        super().manage_workers()
        self.app.keeper.watch()

    def murder_workers(self) -> None:
        """Called each second. Processes that were suspended with this one have their minute anew."""
        now = time.monotonic()
        if now > self._looked_at + _AWAY_S:
            self._back_at = now
        self._looked_at = now
        if now > self._back_at + _SILENT_S:
            super().murder_workers()

    def spawn_workers(self) -> None:
        """Called when processes are missing."""
        if time.monotonic() >= self._spawn_at:
            super().spawn_workers()

    def spawn_worker(self) -> int | None:
        """Called for each of them."""
        try:
            pid: int | None = super().spawn_worker()
        except OSError as error:  # no process, no memory, no file
            self._put_up_with(error)
            return None
        return pid

    def reap_workers(self) -> None:
        """Called when a child has ended."""
        try:
            super().reap_workers()
        except HaltServer as error:
            self._put_up_with(error)
            self.reap_workers()  # those that ended with it

    def _put_up_with(self, error: BaseException) -> None:
        if not self.app.has_served and not self._is_stopping:
            raise error
        self._spawn_at = time.monotonic() + _SPAWN_AGAIN_S
        log.error("process_not_started", error=str(error), retry_in_s=_SPAWN_AGAIN_S)

    def stop(self, graceful: bool = True) -> None:
        """End all processes, the worker at the same time."""
        self._is_stopping = True
        self.app.keeper.begin_stop()
        super().stop(graceful)

    def _are_starting(self) -> bool:
        """Say whether there are processes that do not answer yet; the old ones are ended when there are none."""
        self.reap_workers()
        now = time.monotonic()
        # A process's file has the time of its making, of another clock, until it first says that it is alive.
        return any(each.tmp.last_update() > now for each in self.WORKERS.values())


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _refuse_taken_port(settings: Settings) -> None:
    """Refuse a port that somebody has before anything is prepared, and say which."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise StartupError(
                f"cannot listen on {settings.host}:{settings.port} ({error.strerror});"
                " TILLHOOK_PORT chooses another port"
            ) from error


def _prepare_demo(runtime: Runtime) -> None:
    settings = runtime.settings
    demo = is_demo(runtime)
    wanted = settings.demo and (demo or not has_users(runtime))
    if (wanted or demo) and not settings.is_loopback:
        raise StartupError(
            f"everybody knows the demo users' passwords, so demo mode does not listen on {settings.host}:"
            " use TILLHOOK_HOST=127.0.0.1, or TILLHOOK_DEMO=0 with a new database"
        )
    if wanted:
        create_demo_data(runtime)


def _welcome(runtime: Runtime) -> str:
    settings = runtime.settings
    url = f"http://{_bracketed(settings.host)}:{settings.port}"
    lines = ["", f"Tillhook answers at {url}/api (Ctrl-C stops it); docs at {url}/docs"]
    if is_demo(runtime):
        lines += ["", f"Log-ins, all with the password {DEMO_PASSWORD}:"]
        lines += [f"  {name}@test.com" for name in DEMO_USERS]
        lines += _first_sale(runtime, url)
    elif not has_users(runtime):
        lines += ["", "Nobody can log in yet: tillhook users add --role admin you@example.com"]
    return "\n".join(lines) + "\n"


def _first_sale(runtime: Runtime, url: str) -> list[str]:
    """Return commands that post a first sale, for pasting into a shell."""
    channel = runtime.registry.default_channel or next(iter(runtime.registry.channels.values()), None)
    if channel is None:
        return []
    with runtime.database.connect() as connection:
        row = connection.execute(text(_SOMETHING_IN_STOCK)).first()
    if row is None:
        return []
    log_in = json.dumps({"email": "cashier@test.com", "password": DEMO_PASSWORD})
    sale = {
        "external_id": str(uuid4()),
        "channel": channel.name,
        "warehouse": row.location_id,
        "payment_method": "cash",
        "items": [{"product_id": row.product_id, "quantity": "2"}],
    }
    json_type = "-H 'Content-Type: application/json'"
    return [
        "",
        "A first sale (pasted twice it is still one):",
        "",
        f"TOKEN=$(curl -s {url}/api/auth/login {json_type} \\",
        f'  -d {shlex.quote(log_in)} | sed \'s/.*"access_token": *"\\([^"]*\\)".*/\\1/\')',
        f'curl -s {url}/api/sales -H "Authorization: Bearer $TOKEN" {json_type} \\',
        f"  -d {shlex.quote(json.dumps(sale))}; echo",
    ]


# What the demo cashier may sell: in a warehouse of theirs, whole pieces, enough of it.
_SOMETHING_IN_STOCK = """
SELECT variant.product_id, stock_level.location_id
FROM stock_level
JOIN variant ON variant.id = stock_level.variant_id
JOIN product ON product.id = variant.product_id
JOIN user_warehouse ON user_warehouse.location_id = stock_level.location_id
JOIN user_account ON user_account.id = user_warehouse.user_id
WHERE user_account.email = 'cashier@test.com' AND product.status = 'published'
  AND product.tracking = 'quantity' AND NOT product.has_variants AND stock_level.on_hand >= 20000
ORDER BY variant.product_id, stock_level.location_id
LIMIT 1
"""
