"""Listing plugins and switching them on and off."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from tillhook.config import Settings
from tillhook.db import Database, utc_now
from tillhook.errors import StartupError
from tillhook.hooks.installed import installed
from tillhook.modules.discovery import LoadedPlugin, installed_names, load_plugins
from tillhook.modules.models import Module
from tillhook.modules.state import stored_states


@dataclass(frozen=True)
class ModuleStatus:
    """One plugin as ``tillhook modules list`` shows it.

    ``state`` is ``enabled``, ``disabled``, ``new`` (before its first migration), ``broken`` or ``missing``
    (the database knows it, and it is not installed).
    """

    name: str
    version: str
    state: str
    title: str = ""
    traceback: str = ""


def list_modules(settings: Settings, database: Database) -> list[ModuleStatus]:
    """Return every plugin that is installed or that the database has met, by name."""
    stored = stored_states(database)
    loaded, broken = load_plugins(installed_names())
    versions = {entry.name: entry.dist.version for entry in installed().values() if entry.dist}
    found = [_status(plugin, settings, stored) for plugin in loaded]
    found += [
        ModuleStatus(each.name, versions.get(each.name, "?"), "broken", traceback=each.traceback) for each in broken
    ]
    found += [ModuleStatus(name, "?", "missing") for name in stored if name not in versions]
    return sorted(found, key=lambda status: status.name)


def enable(session: Session, plugin: LoadedPlugin) -> None:
    """Switch a plugin on; its tables must be there. Servers and workers that run notice at their next start."""
    module = session.get(Module, plugin.name)
    if module is None:
        session.add(Module(name=plugin.name, version=plugin.manifest.version, installed_at=utc_now()))
    else:
        module.is_enabled, module.version = True, plugin.manifest.version
    session.flush()


def disable(session: Session, name: str) -> None:
    """Switch a plugin off and keep its data. Servers and workers that run notice at their next start.

    Raises:
        StartupError: It is unknown, or an enabled plugin requires it.
    """
    loaded, _ = load_plugins(installed_names())
    module = session.get(Module, name)
    if module is None and name not in {plugin.name for plugin in loaded}:
        raise StartupError(f"there is no plugin {name}")
    for plugin in loaded:
        other = session.get(Module, plugin.name)
        if other is not None and other.is_enabled and name in plugin.manifest.requires:
            raise StartupError(f"plugin {plugin.name} requires {name}; disable it first")
    if module is None:
        version = next(plugin.manifest.version for plugin in loaded if plugin.name == name)
        session.add(Module(name=name, version=version, is_enabled=False, installed_at=utc_now()))
    else:
        module.is_enabled = False
    session.flush()


def _status(plugin: LoadedPlugin, settings: Settings, stored: dict[str, bool]) -> ModuleStatus:
    if settings.modules is not None:
        state = "enabled" if plugin.name in settings.modules else "disabled"
    else:
        state = {True: "enabled", False: "disabled", None: "new"}[stored.get(plugin.name)]
    return ModuleStatus(plugin.name, plugin.manifest.version, state, plugin.manifest.title)
