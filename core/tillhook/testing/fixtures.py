"""The pytest plugin: one fresh, migrated database per test, on both engines.

``--engine sqlite`` runs the tests of one engine only; ``--quick`` one case of each test that needs SQLite and this
process alone and is not marked ``slow``. A test that needs one engine says
``@pytest.mark.parametrize("engine_name", ["postgresql"])``. A distribution's ``conftest.py`` may override
``modules``, the names of the plugins that are enabled, and ``make_class``, the class of ``make``.

Everything of the application is imported when the first test needs it, so that coverage sees it.
"""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tillhook.testing.databases import ENGINES, SECRET, Databases
from tillhook.testing.postgres import PostgresServer

if TYPE_CHECKING:
    from tillhook.config import Settings
    from tillhook.runtime import Runtime
    from tillhook.server.worker import Worker
    from tillhook.testing.applications import Applications, Runtimes
    from tillhook.testing.client import Client
    from tillhook.testing.compiled import Compiled
    from tillhook.testing.factories import Factory
    from tillhook.testing.people import Tokens
    from tillhook.testing.server import RunningServer

_FOLDER = pytest.StashKey[Path]()
#: What Python announces before it starts a process.
_STARTS = {"os.fork", "os.forkpty", "os.posix_spawn", "subprocess.Popen"}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tillhook")
    group.addoption("--engine", choices=ENGINES, help="run the tests on this engine only (default: on both)")
    group.addoption(
        "--quick", action="store_true", help="one case of each test on SQLite, no other process, nothing slow"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once per engine, unless it names its engines itself."""
    if "engine_name" not in metafunc.fixturenames:
        return
    for marker in metafunc.definition.iter_markers("parametrize"):
        if "engine_name" in str(marker.args[0] if marker.args else marker.kwargs.get("argnames")):
            return
    chosen = _chosen(metafunc.config)
    metafunc.parametrize("engine_name", [chosen] if chosen else ENGINES, scope="session")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Leave out what names only another engine than the chosen one, and what is not quick; begin with what is slow."""
    _leave_out(config, items)
    yield
    # Lest one of several processes is still at it when the others have nothing left.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """Spare the collector of garbage from going through the modules and the tests again and again."""
    gc.collect()
    gc.freeze()


def _leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    engine = _chosen(config)
    chosen = [item for item in items if engine is None or _engine_of(item) in (None, engine)]
    if config.getoption("quick"):
        chosen = _quick(chosen)
    if len(chosen) < len(items):
        left = set(chosen)
        config.hook.pytest_deselected(items=[item for item in items if item not in left])
        items[:] = chosen


def _chosen(config: pytest.Config) -> str | None:
    return "sqlite" if config.getoption("quick") else config.getoption("engine")


def _engine_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("engine_name") if callspec else None


def _quick(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the first case of each test that is not slow and has no server."""
    first: dict[str, pytest.Item] = {}
    for item in items:
        if not item.get_closest_marker("slow") and "server" not in getattr(item, "fixturenames", ()):
            first.setdefault(item.nodeid.partition("[")[0], item)
    return list(first.values())


def pytest_configure(config: pytest.Config) -> None:
    """Let hypothesis take its time on a busy machine, and find the same in every run of CI; shorten logged errors."""
    import structlog
    from hypothesis import settings

    # Its own way with an error shows every variable of every frame, which takes a second of the processor.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])
    examples = 20 if config.getoption("quick") else 100
    is_ci = bool(os.environ.get("CI"))
    settings.register_profile("tillhook", max_examples=examples, deadline=None, derandomize=is_ci, print_blob=True)
    settings.load_profile("tillhook")
    if config.getoption("quick"):
        if config.getoption("engine") == "postgresql":
            raise pytest.UsageError("--quick runs on SQLite")
        config.pluginmanager.register(_OneProcess())


class _OneProcess:
    """Skips a test that is about to start a process."""

    def __init__(self) -> None:
        self._test_runs = False
        sys.addaudithook(self._notice)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        self._test_runs = True
        try:
            return (yield)
        finally:
            self._test_runs = False

    def _notice(self, event: str, _arguments: tuple[Any, ...]) -> None:
        if event in _STARTS and self._test_runs:
            pytest.skip("starts a process, which --quick does not")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist which folder, and so which PostgreSQL, all of them share."""
    node.workerinput["tillhook_folder"] = str(_shared_folder(node.config))


def pytest_unconfigure(config: pytest.Config) -> None:
    # Only the process that made the folder has it in its stash.
    if _FOLDER in config.stash:
        PostgresServer(config.stash[_FOLDER]).stop()


def _shared_folder(config: pytest.Config) -> Path:
    worker_input = getattr(config, "workerinput", None)
    if worker_input is not None:
        return Path(worker_input["tillhook_folder"])
    if _FOLDER not in config.stash:
        config.stash[_FOLDER] = PostgresServer.make_folder()
    return config.stash[_FOLDER]


@pytest.fixture(scope="session")
def databases(pytestconfig: pytest.Config) -> Iterator[Databases]:
    """The session's templates and copies of them; also ``databases.empty(engine)``."""
    from tillhook.testing.plugins import install_counter
    from tillhook.testing.template import fill

    folder = _shared_folder(pytestconfig)
    postgres = PostgresServer(folder)
    with postgres.lock():
        install_counter(folder / "plugins")
    databases = Databases(folder, postgres, fill)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def every_plugin(databases: Databases) -> tuple[str, ...]:
    """Every installed plugin, and the channel ``counter`` of the tests."""
    from importlib.metadata import entry_points

    return tuple(sorted(set(entry_points(group="tillhook.plugins").names)))


@pytest.fixture
def modules(every_plugin: tuple[str, ...]) -> tuple[str, ...]:
    """The enabled plugins: every installed one."""
    return every_plugin


@pytest.fixture
def database_url(databases: Databases, engine_name: str, modules: tuple[str, ...]) -> Iterator[str]:
    """A database with the template's people and warehouses, of this test alone."""
    with databases.copy(engine_name, modules) as url:
        yield url


@pytest.fixture
def settings(database_url: str, modules: tuple[str, ...], tmp_path: Path) -> "Settings":
    from tillhook.config import Settings

    return Settings(data_dir=tmp_path / "data", database_url=database_url, secret=SECRET, modules=modules, demo=False)


@pytest.fixture(scope="session")
def compiled() -> "Compiled":
    """What the session's engines have compiled."""
    from tillhook.testing.compiled import Compiled

    return Compiled()


@pytest.fixture(scope="session")
def runtimes(every_plugin: tuple[str, ...]) -> "Runtimes":
    """The session's runtimes, by their settings."""
    from tillhook.testing.applications import Runtimes

    return Runtimes(every_plugin)


@pytest.fixture
def runtime(settings: "Settings", compiled: "Compiled", runtimes: "Runtimes") -> "Iterator[Runtime]":
    """What the application works with; ``runtime.unit_of_work()`` opens a transaction."""
    from tillhook.server.building import open_database

    database = open_database(settings)
    compiled.share(database.engine)
    runtime = runtimes.of(settings, database)
    yield runtime
    runtime.dispose()


@pytest.fixture(scope="session")
def applications() -> "Applications":
    """The session's applications, by their routes."""
    from tillhook.testing.applications import Applications

    return Applications()


@pytest.fixture
def app(runtime: "Runtime", applications: "Applications") -> Any:
    """The Falcon application."""
    return applications.of(runtime)


@pytest.fixture
def tokens(runtime: "Runtime") -> "Tokens":
    from tillhook.testing.people import Tokens

    return Tokens(runtime)


@pytest.fixture
def client(app: Any, tokens: "Tokens") -> "Client":
    """Requests without a network: ``client.post("/api/sales", {...}, as_="cashier")``."""
    from tillhook.testing.client import Client

    return Client(app, tokens)


@pytest.fixture
def make_class() -> "type[Factory]":
    """The class of ``make``; a plugin's ``conftest.py`` overrides it with a subclass."""
    from tillhook.testing.factories import Factory

    return Factory


@pytest.fixture
def make(client: "Client", runtime: "Runtime", make_class: "type[Factory]") -> "Factory":
    """Makes what a test needs: ``make.product(price="2.50", stock={make.main: 10})``."""
    return make_class(client, runtime)


@pytest.fixture
def worker(runtime: "Runtime") -> "Worker":
    """Does what is due, jobs and consumers, when it is told: ``worker.run_once()``."""
    from tillhook.server.worker import Worker

    return Worker(runtime)


@pytest.fixture
def server(settings: "Settings", databases: Databases, tokens: "Tokens", tmp_path: Path) -> "Iterator[RunningServer]":
    """A real gunicorn with two worker processes on the test's database."""
    from tillhook.testing.server import RunningServer
    from tillhook.testing.template import environment_of

    server = RunningServer(environment_of(settings), tmp_path / "server.log", tokens=tokens)
    server.start()
    yield server
    server.stop()
