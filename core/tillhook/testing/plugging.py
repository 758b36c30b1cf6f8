"""Trying hooks without writing a plugin around them."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from tillhook import hookimpl
from tillhook.hooks import HookManager
from tillhook.runtime import Runtime
from tillhook.server.building import AREAS


def plug(runtime: Runtime, **hooks: Callable[..., Any]) -> None:
    """Have the process call these functions as the hooks of one more plugin, by the names of the hooks.

    What is declared at start-up is not read again: this is for hooks that are called while the process works.
    """
    extra = SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})
    runtime.hooks = HookManager(AREAS, [*((plugin.name, plugin.hooks) for plugin in runtime.plugins), ("extra", extra)])
