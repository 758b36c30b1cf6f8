"""One process's database, hooks, declarations and cached reference data, and the transaction around work."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from tillhook.actor import SYSTEM, Actor
from tillhook.config import Settings
from tillhook.db import Database, RetryTransaction
from tillhook.hooks import HookManager, MigrationSource, Registry
from tillhook.modules import CORE, BrokenPlugin, LoadedPlugin, migration_sources
from tillhook.reference import Snapshot, SnapshotCache

#: In ``Session.info``.
_ASSUMED = "epoch_assumed"


class OldReferenceData(RetryTransaction):
    """The transaction began with reference data that has changed since."""


class Runtime:
    """What a process needs to work; built once and shared by its threads.

    Args:
        areas: The hook modules of the core's own areas.
        broken: Plugins that safe mode left out.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        areas: Sequence[Any],
        plugins: tuple[LoadedPlugin, ...],
        broken: tuple[BrokenPlugin, ...] = (),
    ) -> None:
        self.settings = settings
        self.database = database
        self.plugins = plugins
        self.broken = broken
        self.hooks = HookManager(areas, [(plugin.name, plugin.hooks) for plugin in plugins])
        words = {plugin.name: plugin.manifest.event_words for plugin in plugins}
        self.registry = Registry(self.hooks, settings, words)
        self.migrations: tuple[MigrationSource, ...] = (CORE, *migration_sources(plugins, self.hooks))
        self.snapshots = SnapshotCache(self.registry)

    @contextlib.contextmanager
    def unit_of_work(
        self, actor: Actor | None = None, *, write: bool = True, lazy: bool = False, request_id: str = ""
    ) -> Iterator[Session]:
        """Yield a session that commits at the end and rolls back on any exception.

        Args:
            actor: In whose name; ``SYSTEM`` by default.
            write: Whether anything is written; SQLite takes its writer lock at the beginning.
            lazy: SQLite takes it with the first statement that writes or locks a row, see ``Database.transaction``.
        """
        with self.database.connect() as connection:
            snapshot = self.snapshots.current(connection)
            with self.database.transaction(connection, write=write, lazy=lazy) as session:
                self.bind(session, snapshot, actor or SYSTEM, request_id)
                yield session

    @contextlib.contextmanager
    def probe(self) -> Iterator[Session]:
        """Yield a session to look how things are: on a connection of its own, and nothing waits for two seconds.

        It knows its runtime and nothing else: reference data might have to be waited for.
        """
        with self.database.probe() as connection, self.database.transaction(connection, write=False) as session:
            session.info["runtime"] = self
            yield session

    def bind(self, session: Session, snapshot: Snapshot, actor: Actor, request_id: str = "") -> None:
        """Tell the session whose it is, for :func:`runtime_of` and its like."""
        session.info["runtime"] = self
        session.info["snapshot"] = snapshot
        session.info["actor"] = actor
        session.info["request_id"] = request_id

    def confirm(self, session: Session) -> None:
        """Make sure that the session's reference data is still true, where nobody has looked yet.

        Raises:
            OldReferenceData: It has changed since.
        """
        if _ASSUMED in session.info:
            confirm_epoch(session, self.snapshots.epoch(session.connection()))

    def dispose(self) -> None:
        """Close the database's connections."""
        self.database.dispose()


def runtime_of(opened: Session | Connection) -> Runtime:
    """Return the runtime that opened the session, or the connection that ``verify`` reads by."""
    options = opened.info if isinstance(opened, Session) else opened.get_execution_options()
    return cast(Runtime, options["runtime"])


def snapshot_of(session: Session) -> Snapshot:
    """Return the reference data as it was when the session began."""
    return cast(Snapshot, session.info["snapshot"])


def assume_settings(session: Session, settings: Mapping[str, Any]) -> None:
    """Let the session go by settings that it has just written; others see them after the commit."""
    snapshot = snapshot_of(session)
    session.info["snapshot"] = replace(snapshot, settings={**snapshot.settings, **settings})


def assume_epoch(session: Session) -> None:
    """Note that nobody has looked yet whether the session's reference data is true."""
    session.info[_ASSUMED] = True


def confirm_epoch(session: Session, epoch: int) -> None:
    """Tell which epoch was read in the session's transaction, along with other things.

    Raises:
        OldReferenceData: The session's is of another one.
    """
    if epoch != snapshot_of(session).epoch:
        raise OldReferenceData
    session.info.pop(_ASSUMED, None)


def actor_of(session: Session) -> Actor:
    """Return in whose name the session acts."""
    return cast(Actor, session.info["actor"])


def request_id_of(session: Session) -> str:
    """Return the id of the request that the session serves; empty outside of one."""
    return cast(str, session.info["request_id"])


__all__ = [
    "OldReferenceData",
    "Runtime",
    "actor_of",
    "assume_epoch",
    "assume_settings",
    "confirm_epoch",
    "request_id_of",
    "runtime_of",
    "snapshot_of",
]
