"""One process's database, hooks, declarations and cached reference data, and the transaction around work."""

import contextlib
import traceback
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from sqlalchemy.orm import Session

from tillhook.config import Settings
from tillhook.db import Database
from tillhook.errors import StartupError
from tillhook.hooks import HookManager, MigrationSource, Registry
from tillhook.hooks.builtin import load_builtin, system_actor
from tillhook.hooks.manager import PluginError
from tillhook.modules.discovery import (
    CORE,
    BrokenPlugin,
    LoadedPlugin,
    check_set,
    load_plugins,
    migration_sources,
)
from tillhook.modules.state import enabled_names
from tillhook.reference.snapshot import Snapshot, SnapshotCache

if TYPE_CHECKING:
    from tillhook.access import Actor


class Runtime:
    """What a process needs to work; built once by :func:`build_runtime` and shared by its threads."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        plugins: tuple[LoadedPlugin, ...],
        broken: tuple[BrokenPlugin, ...] = (),
    ) -> None:
        self.settings = settings
        self.database = database
        self.plugins = plugins
        #: Plugins that safe mode left out.
        self.broken = broken
        self.hooks = HookManager(load_builtin(), [(plugin.name, plugin.hooks) for plugin in plugins])
        self.registry = Registry(self.hooks, settings)
        self.migrations: tuple[MigrationSource, ...] = (CORE, *migration_sources(plugins, self.hooks))
        self.snapshots = SnapshotCache(self.registry)

    @contextlib.contextmanager
    def unit_of_work(
        self, actor: "Actor | None" = None, *, write: bool = True, request_id: str = ""
    ) -> Iterator[Session]:
        """Yield a session that commits at the end and rolls back on any exception.

        Args:
            actor: In whose name; ``SYSTEM`` by default.
            write: Whether anything is written; SQLite takes its write lock at the beginning.
        """
        with self.database.connect() as connection:
            snapshot = self.snapshots.current(connection)
            with self.database.transaction(connection, write=write) as session:
                self.bind(session, snapshot, actor or system_actor(), request_id)
                yield session

    def bind(self, session: Session, snapshot: Snapshot, actor: "Actor", request_id: str = "") -> None:
        """Tell the session whose it is, for :func:`runtime_of` and its like."""
        session.info["runtime"] = self
        session.info["snapshot"] = snapshot
        session.info["actor"] = actor
        session.info["request_id"] = request_id

    def dispose(self) -> None:
        """Close the database's connections."""
        self.database.dispose()


def build_runtime(
    settings: Settings,
    *,
    safe: bool = False,
    database: Database | None = None,
    names: Iterable[str] | None = None,
) -> Runtime:
    """Return the runtime of the plugins that are enabled.

    Args:
        safe: Leave out plugins that cannot be used, and say so in ``Runtime.broken``, instead of refusing.
        database: One that is open already.
        names: The plugins, if not those that settings and database say.

    Raises:
        StartupError: Says which plugin cannot be used and why.
    """
    database = database or open_database(settings)
    loaded, broken = load_plugins(enabled_names(settings, database) if names is None else names)
    if broken and not safe:
        raise PluginError(broken[0].name, f"plugin {broken[0].name} cannot be used:\n{broken[0].traceback}")
    while True:
        try:
            check_set(loaded)
            return Runtime(settings, database, tuple(loaded), tuple(broken))
        except PluginError as error:
            if not safe or error.plugin not in {plugin.name for plugin in loaded}:
                raise
            loaded = [plugin for plugin in loaded if plugin.name != error.plugin]
            broken.append(BrokenPlugin(error.plugin, traceback.format_exc()))


def open_database(settings: Settings) -> Database:
    """Return the database of the settings.

    Raises:
        StartupError: The URL is not one of SQLite or PostgreSQL.
    """
    try:
        return Database(settings.database_url, pool_size=settings.threads)
    except ValueError as error:
        raise StartupError(str(error)) from error


def runtime_of(session: Session) -> Runtime:
    """Return the runtime that opened the session."""
    return cast(Runtime, session.info["runtime"])


def snapshot_of(session: Session) -> Snapshot:
    """Return the reference data as it was when the session began."""
    return cast(Snapshot, session.info["snapshot"])


def actor_of(session: Session) -> "Actor":
    """Return in whose name the session acts."""
    return cast("Actor", session.info["actor"])


def request_id_of(session: Session) -> str:
    """Return the id of the request that the session serves; empty outside of one."""
    return cast(str, session.info["request_id"])
