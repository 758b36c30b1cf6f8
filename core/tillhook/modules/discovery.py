"""Finding plugins through the entry points ``tillhook.plugins``, and loading them one by one."""

import importlib
import importlib.util
import re
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

import tillhook
from tillhook.errors import StartupError, nearest
from tillhook.hooks import Plugin
from tillhook.hooks.manager import CORE_NAME, PluginError

GROUP = "tillhook.plugins"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin whose hook module could be imported, and the package in which it is."""

    manifest: Plugin
    hooks: Any
    package: str

    @property
    def name(self) -> str:
        return self.manifest.name


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that cannot be used, and the traceback that says why."""

    name: str
    traceback: str


def installed_names() -> list[str]:
    """Return the names of all installed plugins, sorted."""
    return sorted(_installed())


def is_opt_in(name: str) -> bool:
    """Return whether an installed plugin waits for a person to enable it; only its manifest is imported."""
    entry = _installed()[name]
    try:
        manifest = getattr(importlib.import_module(_package_of(entry)), "PLUGIN", None)
    except Exception:
        return False  # loading it says what is wrong
    return isinstance(manifest, Plugin) and manifest.opt_in


def load_plugins(names: Iterable[str]) -> tuple[list[LoadedPlugin], list[BrokenPlugin]]:
    """Import the named plugins, in the order of their names.

    Raises:
        StartupError: One of them is not installed.
    """
    installed = _installed()
    loaded, broken = [], []
    for name in sorted(names):
        if name not in installed:
            raise StartupError(f"plugin {name} is not installed{nearest(name, installed)}")
        try:
            loaded.append(_load(installed[name]))
        except Exception:
            broken.append(BrokenPlugin(name, traceback.format_exc()))
    return loaded, broken


def check_set(plugins: Sequence[LoadedPlugin]) -> None:
    """Check that the plugins fit this core and each other.

    Raises:
        PluginError: Names the plugin that does not.
    """
    names = {plugin.name for plugin in plugins}
    for plugin in plugins:
        for required in plugin.manifest.requires:
            if required not in names:
                raise PluginError(plugin.name, f"plugin {plugin.name} requires {required}, which is not enabled")


def _installed() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise StartupError(f"two distributions install a plugin {entry.name}: {other.value} and {entry.value}")
    return found


def _load(entry: EntryPoint) -> LoadedPlugin:
    if not _NAME.fullmatch(entry.name) or entry.name == CORE_NAME:
        raise StartupError(f"no plugin can be named {entry.name!r}: only a-z, 0-9 and _, and not {CORE_NAME}")
    package = importlib.import_module(_package_of(entry))
    manifest = getattr(package, "PLUGIN", None)
    if not isinstance(manifest, Plugin):
        raise StartupError(f"{package.__name__} has no manifest: PLUGIN = Plugin(name={entry.name!r}, ...)")
    if manifest.name != entry.name:
        raise StartupError(f"the manifest says {manifest.name!r}, the entry point {entry.name!r}")
    _check_core_version(manifest)  # before the hooks: they may import what another core does not have
    hooks = entry.load()
    models = f"{package.__name__}.models"
    if importlib.util.find_spec(models):
        importlib.import_module(models)
    return LoadedPlugin(manifest, hooks, package.__name__)


def _package_of(entry: EntryPoint) -> str:
    return entry.module.rpartition(".")[0] or entry.module


def _check_core_version(manifest: Plugin) -> None:
    try:
        fits = SpecifierSet(manifest.core).contains(tillhook.__version__, prereleases=True)
    except InvalidSpecifier as error:
        raise StartupError(f"plugin {manifest.name}: core={manifest.core!r} is no version specifier") from error
    if not fits:
        raise StartupError(
            f"plugin {manifest.name} {manifest.version} works with tillhook {manifest.core},"
            f" and this is tillhook {tillhook.__version__}"
        )
