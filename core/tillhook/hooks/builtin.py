"""The core's own features, which register themselves through the same hooks as anybody's plugin.

They are named, not imported: the hooks are below them.
"""

import importlib
from types import ModuleType
from typing import Any

#: Called in this order.
MODULES = (
    "tillhook.reference.hooks",
    "tillhook.access.hooks",
    "tillhook.parties.hooks",
    "tillhook.catalogue.hooks",
    "tillhook.ledger.hooks",
    "tillhook.sales.hooks",
    "tillhook.events.hooks",
    "tillhook.http.hooks",
)


def load_builtin() -> list[ModuleType]:
    """Import the core's hook modules."""
    return [importlib.import_module(name) for name in MODULES]


def system_actor() -> Any:
    """Return ``tillhook.access.SYSTEM``, in whose name jobs and commands act."""
    return importlib.import_module("tillhook.access").SYSTEM
