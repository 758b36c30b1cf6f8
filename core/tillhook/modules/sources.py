"""Whose tables are whose: the sources of revisions, their prefixes, and the tables that plugins map."""

import functools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Table

from tillhook.db import Base
from tillhook.hooks import HookManager, MigrationSource
from tillhook.hooks.manager import CORE_NAME, PluginError
from tillhook.modules.discovery import LoadedPlugin

#: The core's own revisions.
CORE = MigrationSource(name=CORE_NAME, package="tillhook.migrations")


@dataclass(frozen=True)
class _Claim:
    """A prefix of tables' names, and whose it is."""

    plugin: str
    prefix: str

    @property
    def is_own_name(self) -> bool:
        return self.prefix.startswith(f"{self.plugin}_")


def migration_sources(plugins: Sequence[LoadedPlugin], hooks: HookManager) -> tuple[MigrationSource, ...]:
    """Return the plugins' sources of revisions, each after those it requires, otherwise by name.

    Raises:
        PluginError: Two sources have one name or overlapping prefixes, or require each other; a plugin maps a table
            that has another's prefix or none, or has tables and no revisions.
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
    claims = [_Claim(plugin.name, plugin.manifest.table_prefix) for plugin in plugins]
    for owner, source in hooks.collect("register_migrations"):
        if source.name in found or not source.name.startswith(f"{owner}_") or not source.table_prefix:
            raise PluginError(
                owner,
                f"plugin {owner}: the migrations {source.name!r} need a name of their own that begins with"
                f" {owner}_, and a table prefix",
            )
        claims.append(_Claim(owner, source.table_prefix))
        found[source.name] = source
    _refuse_overlap(claims)
    migrated = {source.table_prefix for source in found.values()}
    for plugin in plugins:
        _check_tables(plugin, claims, migrated)
    return tuple(_in_order(found))


def tables_of(package: str) -> dict[str, str]:
    """Return the tables that a package maps, or makes without mapping them: where, by the table's name."""
    found = {}
    mapped = {mapper.local_table: mapper.class_ for mapper in Base.registry.mappers}
    for table, class_ in mapped.items():
        if isinstance(table, Table) and _is_within(class_.__module__, package):
            found[table.name] = f"{class_.__module__}.{class_.__name__}"
    for module, name, value in _globals_of(package):
        if isinstance(value, Table) and value.metadata is Base.metadata and value not in mapped:
            found.setdefault(value.name, f"{module}.{name}")
    return dict(sorted(found.items()))


def _is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _globals_of(package: str) -> Iterator[tuple[str, str, object]]:
    for module_name, module in list(sys.modules.items()):
        if _is_within(module_name, package):
            yield from ((module_name, name, value) for name, value in list(vars(module).items()))


@functools.cache
def _core_tables() -> frozenset[str]:
    # All of the core is imported before any plugin is looked at.
    return frozenset(tables_of(CORE_NAME))


def _refuse_overlap(claims: Sequence[_Claim]) -> None:
    core = _core_tables()
    for number, claim in enumerate(claims):
        for other in claims[:number]:
            if claim.prefix.startswith(other.prefix) or other.prefix.startswith(claim.prefix):
                # To blame is who goes by another name than its own.
                fault, right = (other, claim) if claim.is_own_name and not other.is_own_name else (claim, other)
                both = f"plugins {right.plugin} and {fault.plugin} both claim the table prefix {fault.prefix}"
                raise PluginError(fault.plugin, f"{both} ({right.plugin}: {right.prefix})")
        if taken := sorted(table for table in core if table.startswith(claim.prefix)):
            both = f"plugins {CORE_NAME} and {claim.plugin} both claim the table prefix {claim.prefix}"
            raise PluginError(claim.plugin, f"{both} ({taken[0]})")


def _check_tables(plugin: LoadedPlugin, claims: Sequence[_Claim], migrated: set[str]) -> None:
    own = tuple(claim.prefix for claim in claims if claim.plugin == plugin.name)
    for table, where in tables_of(plugin.package).items():
        maps = f"plugin {plugin.name}: it maps the table {table} ({where})"
        if not table.startswith(own):
            theirs = next((f" is {c.plugin}'s" for c in claims if table.startswith(c.prefix)), " carries no prefix")
            raise PluginError(plugin.name, f"{maps}, which{theirs}; its name must begin with {' or '.join(own)}")
        if not any(table.startswith(prefix) for prefix in migrated):
            package = f"{plugin.package}.migrations"
            raise PluginError(plugin.name, f"{maps} and has no revisions; its manifest needs migrations={package!r}")


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
