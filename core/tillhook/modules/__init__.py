"""Plugins: which are installed, which are enabled, which cannot be used and why."""

from tillhook.modules.discovery import (
    CORE,
    BrokenPlugin,
    LoadedPlugin,
    installed_names,
    load_plugins,
    migration_sources,
)
from tillhook.modules.services import ModuleStatus, disable, enable, list_modules
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
]
