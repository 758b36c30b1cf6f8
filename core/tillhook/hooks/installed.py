"""Which plugins are installed, by their entry points ``tillhook.plugins``, and their manifests; no hook is imported."""

import importlib
from importlib.metadata import EntryPoint, entry_points

from tillhook.errors import StartupError
from tillhook.hooks.declarations import Plugin

GROUP = "tillhook.plugins"


def installed() -> dict[str, EntryPoint]:
    """Return the entry point of every installed plugin, by its name.

    Raises:
        StartupError: Two distributions install one of the same name.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise StartupError(f"two distributions install a plugin {entry.name}: {other.value} and {entry.value}")
    return found


def package_of(entry: EntryPoint) -> str:
    """Return the name of the package in which the plugin is."""
    return entry.module.rpartition(".")[0] or entry.module


def manifest_of(entry: EntryPoint) -> Plugin:
    """Return the plugin's manifest; its package is imported.

    Raises:
        StartupError: It has none, or another plugin's.
    """
    package = importlib.import_module(package_of(entry))
    manifest = getattr(package, "PLUGIN", None)
    if not isinstance(manifest, Plugin):
        raise StartupError(f"{package.__name__} has no manifest: PLUGIN = Plugin(name={entry.name!r}, ...)")
    if manifest.name != entry.name:
        raise StartupError(f"the manifest says {manifest.name!r}, the entry point {entry.name!r}")
    return manifest
