"""Every declaration of the core and the enabled plugins, checked against each other."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from tillhook.config import Settings
from tillhook.hooks.declarations import (
    Authenticated,
    Channel,
    Consumer,
    DemoData,
    EventType,
    Invariant,
    Job,
    PaymentMethod,
    Permission,
    Public,
    Route,
    SettingDeclaration,
)
from tillhook.hooks.manager import HookManager, PluginError
from tillhook.reporting import Report

if TYPE_CHECKING:
    import click

Declaration = TypeVar("Declaration")

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_PERMISSION = re.compile(r"[a-z][a-z0-9_]*(:[a-z][a-z0-9_]*){2}")
_PARAMETER = re.compile(r"\{[^}]*\}")


class Registry:
    """What the hooks of the ``register_…`` family returned. Read only once built.

    Raises:
        PluginError: Two plugins claim one thing, or a declaration refers to something undeclared.
    """

    def __init__(self, hooks: HookManager, settings: Settings) -> None:
        self._hooks = hooks
        self._owners: dict[tuple[str, str], str] = {}
        self._commands: dict[str, click.Command] | None = None
        self.permissions = self._named("permission", Permission)
        self.settings = self._named("setting", SettingDeclaration)
        self.channels = self._named("channel", Channel)
        self.payment_methods = self._named("payment_method", PaymentMethod)
        self.events = self._named("event", EventType)
        self.consumers = self._named("consumer", Consumer)
        self.reports = self._named("report", Report)
        self.jobs = self._named("job", Job)
        self.invariants = self._named("invariant", Invariant)
        self.demo_data = self._named("demo_data", DemoData, hook="register_demo_data")
        self.routes = self._routes(settings)
        self._check_permissions()
        self._check_channels()

    def owner_of(self, kind: str, name: str) -> str:
        """Return the plugin that declared a thing; ``tillhook`` is the core."""
        return self._owners[kind, name]

    def commands(self) -> "dict[str, click.Command]":
        """Return the plugins' commands; only the command line asks."""
        if self._commands is None:
            found: dict[str, click.Command] = {}
            for plugin, command in self._hooks.collect("register_commands"):
                self._claim("command", str(command.name), plugin)
                found[str(command.name)] = command
            self._commands = found
        return self._commands

    def _named(self, kind: str, type_: type[Declaration], hook: str | None = None) -> dict[str, Declaration]:
        found: dict[str, Declaration] = {}
        for plugin, declaration in self._hooks.collect(hook or f"register_{kind}s"):
            if not isinstance(declaration, type_):
                raise PluginError(
                    plugin,
                    f"plugin {plugin}: register_{kind}s returned {declaration!r}, not a {type_.__name__}",
                )
            name = str(declaration.name)  # type: ignore[attr-defined]
            self._claim(kind, name, plugin)
            found[name] = declaration
        return found

    def _claim(self, kind: str, name: str, plugin: str) -> None:
        if (kind, name) in self._owners:
            other = self._owners[kind, name]
            both = f"plugins {other} and {plugin} both claim" if other != plugin else f"plugin {plugin} claims twice"
            raise PluginError(plugin, f"{both} the {kind.replace('_', ' ')} {name}")
        self._owners[kind, name] = plugin

    def _routes(self, settings: Settings) -> tuple[Route, ...]:
        routes = []
        for plugin, route in self._hooks.collect("register_routes", settings=settings):
            if not isinstance(route, Route):
                raise PluginError(plugin, f"plugin {plugin}: register_routes returned {route!r}, not a Route")
            self._check_route(plugin, route)
            # Two names of one path parameter are one path.
            self._claim("route", f"{route.method} {_PARAMETER.sub('{}', route.path.rstrip('/'))}", plugin)
            routes.append(route)
        return tuple(routes)

    def _check_route(self, plugin: str, route: Route) -> None:
        what = f"plugin {plugin}: route {route.method} {route.path}"
        if route.method not in METHODS:
            raise PluginError(plugin, f"{what}: the method is none of {', '.join(METHODS)}")
        if not route.path.startswith("/"):
            raise PluginError(plugin, f"{what}: the path must begin with /")
        if isinstance(route.permission, Public | Authenticated):
            return
        if not isinstance(route.permission, str) or not route.permission:
            raise PluginError(plugin, f"{what} has neither a permission nor PUBLIC")
        if route.permission not in self.permissions:
            raise PluginError(plugin, f"{what} asks for the permission {route.permission}, which nobody declares")

    def _check_permissions(self) -> None:
        for name in self.permissions:
            if not _PERMISSION.fullmatch(name):
                owner = self.owner_of("permission", name)
                raise PluginError(owner, f"plugin {owner}: permission {name} is not of the form module:entity:verb")
        self._check_declared("channel", ((each.name, each.permission) for each in self.channels.values()))
        self._check_declared("event", ((each.name, each.permission) for each in self.events.values()))
        self._check_declared("report", ((each.name, each.permission) for each in self.reports.values()))

    def _check_declared(self, kind: str, wanted: Iterable[tuple[str, str]]) -> None:
        for name, permission in wanted:
            if permission not in self.permissions:
                owner = self.owner_of(kind, name)
                wants = f"asks for the permission {permission}, which nobody declares"
                raise PluginError(owner, f"plugin {owner}: {kind} {name} {wants}")

    def _check_channels(self) -> None:
        seen: dict[str, str] = {}
        for name, channel in self.channels.items():
            if ":" in name:
                owner = self.owner_of("channel", name)
                raise PluginError(owner, f"plugin {owner}: channel {name} must have no colon in its name")
            other = seen.setdefault(channel.number_prefix, name)
            if other != name:
                owner = self.owner_of("channel", name)
                raise PluginError(
                    owner, f"channels {other} and {name} both number their sales {channel.number_prefix}…"
                )


__all__ = ["METHODS", "Registry"]
