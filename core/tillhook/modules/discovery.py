"""Finding plugins through the entry points ``tillhook.plugins``, and loading them one by one."""

import difflib
import importlib
import importlib.util
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

import tillhook
from tillhook.db import Base
from tillhook.errors import StartupError
from tillhook.hooks import HookManager, MigrationSource, Plugin
from tillhook.hooks.manager import PluginError

GROUP = "tillhook.plugins"

#: The core's own revisions.
CORE = MigrationSource(name="tillhook", package="tillhook.migrations")


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin whose hook module could be imported."""

    manifest: Plugin
    hooks: Any

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
            nearest = difflib.get_close_matches(name, installed, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            raise StartupError(f"plugin {name} is not installed{hint}")
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


def migration_sources(plugins: Sequence[LoadedPlugin], hooks: HookManager) -> tuple[MigrationSource, ...]:
    """Return the plugins' sources of revisions, each after those it requires, otherwise by name.

    Raises:
        PluginError: Two sources have one name or overlapping prefixes, or require each other.
    """
    found = {}
    for plugin in plugins:
        if plugin.manifest.migrations:
            found[plugin.name] = MigrationSource(
                name=plugin.name,
                package=plugin.manifest.migrations,
                requires=plugin.manifest.requires,
                table_prefix=plugin.manifest.table_prefix,
            )
    claims = [(plugin.name, plugin.manifest.table_prefix) for plugin in plugins]
    for owner, source in hooks.collect("register_migrations"):
        if source.name in found or not source.name.startswith(f"{owner}_") or not source.table_prefix:
            raise PluginError(
                owner,
                f"plugin {owner}: the migrations {source.name!r} need a name of their own that begins with"
                f" {owner}_, and a table prefix",
            )
        claims.append((owner, source.table_prefix))
        found[source.name] = source
    _refuse_overlap(claims)
    return tuple(_in_order(found))


def _installed() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise StartupError(f"two distributions install a plugin {entry.name}: {other.value} and {entry.value}")
    return found


def _load(entry: EntryPoint) -> LoadedPlugin:
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
    return LoadedPlugin(manifest, hooks)


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


def _refuse_overlap(claims: Sequence[tuple[str, str]]) -> None:
    core = [
        str(mapper.class_.__tablename__)
        for mapper in Base.registry.mappers
        if mapper.class_.__module__.startswith("tillhook.")
    ]
    for number, (plugin, prefix) in enumerate(claims):
        both = f"and {plugin} both claim the table prefix {prefix}"
        for other, theirs in claims[:number]:
            if prefix.startswith(theirs) or theirs.startswith(prefix):
                raise PluginError(plugin, f"plugins {other} {both} ({other}: {theirs})")
        if taken := [table for table in core if table.startswith(prefix)]:
            raise PluginError(plugin, f"plugins tillhook {both} ({taken[0]})")


def _in_order(sources: dict[str, MigrationSource]) -> list[MigrationSource]:
    ordered: list[MigrationSource] = []
    waiting = sorted(sources)
    while waiting:
        placed = {source.name for source in ordered}
        # What has no revisions need not be waited for.
        ready = [name for name in waiting if placed.issuperset(set(sources[name].requires) & set(sources))]
        if not ready:
            raise PluginError(waiting[0], f"plugins require each other: {', '.join(waiting)}")
        ordered.append(sources[ready[0]])
        waiting.remove(ready[0])
    return ordered
