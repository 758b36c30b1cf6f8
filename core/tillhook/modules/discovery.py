"""Loading the installed plugins one by one."""

import importlib
import importlib.util
import re
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

import tillhook
from tillhook.errors import StartupError, nearest
from tillhook.hooks import Plugin
from tillhook.hooks.installed import installed, manifest_of, package_of
from tillhook.hooks.manager import CORE_NAME, PluginError

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
    return sorted(installed())


def is_opt_in(name: str) -> bool:
    """Return whether an installed plugin waits for a person to enable it; only its manifest is imported."""
    try:
        return manifest_of(installed()[name]).opt_in
    except Exception:
        return False  # loading it says what is wrong


def load_plugins(names: Iterable[str]) -> tuple[list[LoadedPlugin], list[BrokenPlugin]]:
    """Import the named plugins, in the order of their names.

    Raises:
        StartupError: One of them is not installed.
    """
    entries = installed()
    loaded, broken = [], []
    for name in sorted(names):
        if name not in entries:
            raise StartupError(f"plugin {name} is not installed{nearest(name, entries)}")
        try:
            loaded.append(_load(entries[name]))
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


def _load(entry: EntryPoint) -> LoadedPlugin:
    if not _NAME.fullmatch(entry.name) or entry.name == CORE_NAME:
        raise StartupError(f"no plugin can be named {entry.name!r}: only a-z, 0-9 and _, and not {CORE_NAME}")
    manifest = manifest_of(entry)
    _check_core_version(manifest)  # before the hooks: they may import what another core does not have
    hooks = entry.load()
    package = package_of(entry)
    models = f"{package}.models"
    if importlib.util.find_spec(models):
        importlib.import_module(models)
    return LoadedPlugin(manifest, hooks, package)


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
