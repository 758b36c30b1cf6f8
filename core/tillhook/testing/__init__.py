"""What the tests of the core and of anybody's plugin are written with.

Installed, the pytest plugin brings the fixtures ``engine_name``, ``modules``, ``settings``, ``runtime``,
``app``, ``client``, ``make``, ``worker`` and ``server``. A plugin inherits :class:`PluginContract` in two lines.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tillhook.testing.client import Client
    from tillhook.testing.contract import PluginContract
    from tillhook.testing.databases import Databases
    from tillhook.testing.factories import Factory, Made, key_of
    from tillhook.testing.people import Person, Tokens
    from tillhook.testing.plugins import plug, write_plugin
    from tillhook.testing.postgres import PostgresServer
    from tillhook.testing.server import RunningServer

__all__ = [
    "Client",
    "Databases",
    "Factory",
    "Made",
    "Person",
    "PluginContract",
    "PostgresServer",
    "RunningServer",
    "Tokens",
    "at_once",
    "clean",
    "damage",
    "differences",
    "key_of",
    "many_at_once",
    "plug",
    "write_plugin",
]

# pytest imports this package before coverage begins to measure: the application is only imported on demand.
_HOMES = {
    "Client": "client",
    "Databases": "databases",
    "Factory": "factories",
    "Made": "factories",
    "Person": "people",
    "PluginContract": "contract",
    "PostgresServer": "postgres",
    "RunningServer": "server",
    "Tokens": "people",
    "at_once": "concurrency",
    "clean": "checking",
    "damage": "checking",
    "differences": "checking",
    "many_at_once": "concurrency",
    "key_of": "factories",
    "plug": "plugins",
    "write_plugin": "plugins",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"tillhook.testing.{_HOMES[name]}"), name)
