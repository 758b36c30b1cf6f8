"""Plugins: which are installed, which are enabled, which cannot be used and why."""

from tillhook.modules.discovery import (
    BrokenPlugin,
    LoadedPlugin,
    installed_names,
    load_plugins,
)
from tillhook.modules.services import ModuleStatus, disable, enable, list_modules
from tillhook.modules.sources import CORE, migration_sources, tables_of
from tillhook.modules.state import enabled_names

__all__ = [
    "CORE",
    "BrokenPlugin",
    "LoadedPlugin",
    "ModuleStatus",
    "disable",
    "enable",
    "enabled_names",
    "installed_names",
    "list_modules",
    "load_plugins",
    "migration_sources",
    "tables_of",
]
