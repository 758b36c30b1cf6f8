"""Putting the core's areas and the enabled plugins together."""

import traceback
from collections.abc import Iterable

import tillhook.access.hooks
import tillhook.catalogue.hooks
import tillhook.catalogue.hookspecs
import tillhook.events.hooks
import tillhook.hooks.specs
import tillhook.ledger.hooks
import tillhook.ledger.hookspecs
import tillhook.parties.hooks
import tillhook.sales.hooks
import tillhook.sales.hookspecs
import tillhook.server.hooks
import tillhook.settings.hooks
import tillhook.settings.hookspecs
from tillhook.config import Settings
from tillhook.db import Database
from tillhook.errors import StartupError
from tillhook.hooks.manager import PluginError
from tillhook.modules import BrokenPlugin, enabled_names, load_plugins
from tillhook.modules.discovery import check_set
from tillhook.runtime import Runtime

#: The core's own features, which register themselves by the same hooks as anybody's plugin; called in this order.
#: With them every table of the core is known.
AREAS = (
    tillhook.settings.hooks,
    tillhook.access.hooks,
    tillhook.parties.hooks,
    tillhook.catalogue.hooks,
    tillhook.ledger.hooks,
    tillhook.sales.hooks,
    tillhook.events.hooks,
    tillhook.server.hooks,
)

#: Every module of hook specifications, in the order of the page that is made of them.
SPECS = (
    tillhook.hooks.specs,
    tillhook.settings.hookspecs,
    tillhook.catalogue.hookspecs,
    tillhook.ledger.hookspecs,
    tillhook.sales.hookspecs,
)


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
            return Runtime(settings, database, AREAS, tuple(loaded), tuple(broken))
        except PluginError as error:
            if not safe or error.plugin not in {plugin.name for plugin in loaded}:
                raise
            loaded = [plugin for plugin in loaded if plugin.name != error.plugin]
            broken.append(BrokenPlugin(error.plugin, traceback.format_exc()))


def rebuild_runtime(runtime: Runtime) -> Runtime:
    """Return another runtime of the same settings and plugins, for a process forked from the one that loaded them.

    Neither the database nor the disk is asked: whatever was enabled, installed or lost since, the process is like
    the others.
    """
    settings = runtime.settings
    return Runtime(settings, open_database(settings), AREAS, runtime.plugins, runtime.broken)


def open_database(settings: Settings) -> Database:
    """Return the database of the settings.

    Raises:
        StartupError: The URL is not one of SQLite or PostgreSQL.
    """
    try:
        return Database(
            settings.database_url,
            pool_size=settings.threads,
            lock_timeout_s=settings.lock_timeout_s,
            statement_timeout_s=settings.statement_timeout_s,
        )
    except ValueError as error:
        raise StartupError(str(error)) from error
