"""How plugins meet the core: the manifest, the declarations, the hooks."""

from tillhook.hooks.declarations import (
    AUTHENTICATED,
    PUBLIC,
    Authenticated,
    Channel,
    Command,
    Consumer,
    DemoData,
    Difference,
    Event,
    EventType,
    Invariant,
    Job,
    MigrationSource,
    PaymentMethod,
    Permission,
    Plugin,
    Public,
    RoleDeclaration,
    Route,
    SettingDeclaration,
    within,
)
from tillhook.hooks.frozen import frozen
from tillhook.hooks.manager import HookError, HookManager
from tillhook.hooks.registry import Registry
from tillhook.hooks.specs import hookspec

__all__ = [
    "AUTHENTICATED",
    "PUBLIC",
    "Authenticated",
    "Channel",
    "Command",
    "Consumer",
    "DemoData",
    "Difference",
    "Event",
    "EventType",
    "HookError",
    "HookManager",
    "Invariant",
    "Job",
    "MigrationSource",
    "PaymentMethod",
    "Permission",
    "Plugin",
    "Public",
    "Registry",
    "RoleDeclaration",
    "Route",
    "SettingDeclaration",
    "frozen",
    "hookspec",
    "within",
]
