"""What the tests of the core and of anybody's plugin are written with.

Installed, the pytest plugin brings the fixtures ``engine_name``, ``modules``, ``settings``, ``runtime``,
``app``, ``client``, ``make``, ``worker`` and ``server``. A plugin inherits :class:`PluginContract` in two lines.
"""

from typing import Any

__all__ = [
    "Client",
    "Databases",
    "Factory",
    "Person",
    "PluginContract",
    "PostgresServer",
    "RunningServer",
    "Tokens",
    "plug",
    "write_plugin",
]

# pytest imports this package before coverage begins to measure: the application is only imported on demand.
_HOMES = {
    "Client": "client",
    "Databases": "databases",
    "Factory": "factories",
    "Person": "people",
    "PluginContract": "contract",
    "PostgresServer": "postgres",
    "RunningServer": "server",
    "Tokens": "people",
    "plug": "plugins",
    "write_plugin": "plugins",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"tillhook.testing.{_HOMES[name]}"), name)
