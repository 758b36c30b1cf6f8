"""Plugins written on the spot: an installed distribution as far as Python can tell."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tillhook.runtime import Runtime

#: The channel of tests that need one and are not about any: prefix ``CT``, stock policy ``block``.
COUNTER = "counter"
_COUNTER_HOOKS = """
from tillhook import hookimpl
from tillhook.hooks import Channel


@hookimpl
def register_channels():
    return [Channel(name="counter", title="Counter of the tests", number_prefix="CT")]
"""


def write_plugin(folder: Path, name: str, hooks: str, *, manifest: str = "", names: str = "") -> str:
    """Write the distribution ``tillhook-<name>`` into ``folder``, which must be on the path to be found.

    Args:
        hooks: Source of ``tillhook_<name>/hooks.py``.
        manifest: Further arguments of its ``Plugin``, such as ``'requires=("pos",)'``.
        names: What else these need of ``tillhook.hooks``.

    Returns:
        The package's name.
    """
    package = f"tillhook_{name}"
    home = folder / package
    home.mkdir(parents=True, exist_ok=True)
    (home / "__init__.py").write_text(
        f"from tillhook.hooks import Plugin{', ' if names else ''}{names}\n\n"
        f'PLUGIN = Plugin(name="{name}", version="1.0"{", " if manifest else ""}{manifest})\n'
    )
    (home / "hooks.py").write_text(hooks)
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tillhook-{name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[tillhook.plugins]\n{name} = {package}.hooks\n")
    importlib.invalidate_caches()
    return package


def plug(runtime: "Runtime", **functions: Callable[..., Any]) -> None:
    """Have the runtime call the functions as the hooks of one more plugin, ``extra``; not those of ``register_…``."""
    from tillhook import hookimpl
    from tillhook.hooks import HookManager
    from tillhook.server.building import AREAS

    extra = SimpleNamespace(**{name: hookimpl(function) for name, function in functions.items()})
    plugins = [(plugin.name, plugin.hooks) for plugin in runtime.plugins]
    runtime.hooks = HookManager(AREAS, [*plugins, ("extra", extra)])


def install_counter(folder: Path) -> None:
    """Make the channel ``counter`` an installed plugin of this process."""
    if str(folder) not in sys.path:
        # Several processes share the folder; none rewrites what another may be reading.
        if not (folder / f"tillhook_{COUNTER}-1.0.dist-info" / "entry_points.txt").exists():
            write_plugin(folder, COUNTER, _COUNTER_HOOKS)
        sys.path.insert(0, str(folder))
