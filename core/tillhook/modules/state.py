"""Which plugins are enabled: ``TILLHOOK_MODULES``, else what the database says."""

import logging
from collections.abc import Iterable

from sqlalchemy import Connection, inspect, select
from sqlalchemy.orm import Session

from tillhook.config import Settings
from tillhook.db import Database, utc_now
from tillhook.modules.discovery import LoadedPlugin, installed_names, is_opt_in
from tillhook.modules.models import Module

logger = logging.getLogger(__name__)


def enabled_names(settings: Settings, database: Database) -> list[str]:
    """Return the names of the plugins that this process runs, sorted.

    A plugin that the database has never met is not among them: its tables are not there before the first
    ``tillhook migrate``, which enables it. One that is enabled but not installed any more is left out, with a
    warning, so that an uninstalled wheel stops nobody.
    """
    if settings.modules is not None:
        return sorted(settings.modules)
    stored = stored_states(database)
    installed = set(installed_names())
    for name in sorted(name for name, is_enabled in stored.items() if is_enabled and name not in installed):
        logger.warning("plugin %s is enabled but not installed", name)
    return sorted(name for name in installed if stored.get(name, False))


def names_to_migrate(settings: Settings, database: Database) -> list[str]:
    """Return what :func:`enabled_names` does, and the plugins that the database has never met but those that opt in."""
    if settings.modules is not None:
        return sorted(settings.modules)
    stored = stored_states(database)
    return sorted(name for name in installed_names() if (stored[name] if name in stored else not is_opt_in(name)))


def stored_states(database: Database) -> dict[str, bool]:
    """Return whether each plugin that the database has met is enabled; nothing before the first migration."""
    with database.connect() as connection:
        return _read(connection)


def remember(session: Session, plugins: Iterable[LoadedPlugin]) -> None:
    """Keep which plugins have their tables now; the new ones are enabled."""
    known = {module.name: module for module in session.scalars(select(Module))}
    for plugin in plugins:
        module = known.get(plugin.name)
        if module is None:
            session.add(Module(name=plugin.name, version=plugin.manifest.version, installed_at=utc_now()))
        else:
            module.version = plugin.manifest.version
    session.flush()


def _read(connection: Connection) -> dict[str, bool]:
    if not inspect(connection).has_table(Module.__tablename__):
        return {}
    return {row.name: row.is_enabled for row in connection.execute(select(Module.name, Module.is_enabled))}
