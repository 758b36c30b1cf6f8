"""Every declaration of the core and the enabled plugins, checked against each other."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn, TypeVar, get_args

from tillhook.config import Settings
from tillhook.errors import nearest
from tillhook.hooks.checks import Names, check_setting
from tillhook.hooks.declarations import (
    Authenticated,
    Channel,
    Consumer,
    DemoData,
    DocumentType,
    EventType,
    Invariant,
    Job,
    PaymentMethod,
    Permission,
    Public,
    RoleDeclaration,
    Route,
    SettingDeclaration,
    StockPolicy,
)
from tillhook.hooks.manager import HookManager, PluginError
from tillhook.reporting import Report

Declaration = TypeVar("Declaration")

#: What a parameter of a path may be turned into, besides text.
CONVERTERS = ("dt", "float", "int", "path", "uuid")
METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_PERMISSION = re.compile(r"[a-z][a-z0-9_]*(:[a-z][a-z0-9_]*){2}")
_PARAMETER = re.compile(r"\{[^}]*\}")
_FIELD = re.compile(rf"\{{[A-Za-z_]\w*(?::(?:{'|'.join(CONVERTERS)})(?:\([^)]*\))?)?\}}", re.ASCII)
_BRACE = re.compile(r"[{}]")


class Registry:
    """What the hooks of the ``register_…`` family returned. Read only once built.

    Args:
        event_words: By plugin, what its events may begin with besides its name.

    Raises:
        PluginError: Two plugins claim one thing, or a declaration has a name that is not its plugin's, makes no
            sense, or refers to something undeclared.
    """

    def __init__(
        self, hooks: HookManager, settings: Settings, event_words: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._hooks = hooks
        self._owners: dict[tuple[str, str], str] = {}
        self._names = Names(event_words or {}, hooks.plugin_names)
        self.roles = self._named("role", RoleDeclaration)
        self.permissions = self._named("permission", Permission)
        self.settings = self._named("setting", SettingDeclaration)
        self.channels = self._named("channel", Channel)
        self.payment_methods = self._named("payment_method", PaymentMethod)
        self.events = self._named("event", EventType)
        self.consumers = self._named("consumer", Consumer)
        self.reports = self._named("report", Report)
        self.document_types = self._named("document_type", DocumentType)
        self.jobs = self._named("job", Job)
        self.invariants = self._named("invariant", Invariant)
        self.demo_data = self._named("demo_data", DemoData, hook="register_demo_data")
        self.routes = self._routes(settings)
        self._check_permissions()
        self._check_channels()
        for name, setting in self.settings.items():
            check_setting(self.owner_of("setting", name), setting)
        for name, consumer in self.consumers.items():
            self._names.check_events_of(self.owner_of("consumer", name), name, consumer.events or (), self.events)

    def owner_of(self, kind: str, name: str) -> str:
        """Return the plugin that declared a thing; ``tillhook`` is the core."""
        return self._owners[kind, name]

    @property
    def default_channel(self) -> Channel | None:
        """The channel of sales that name none: the one that says so, else the only one there is."""
        channels = list(self.channels.values())
        return next((each for each in channels if each.is_default), channels[0] if len(channels) == 1 else None)

    def _named(self, kind: str, type_: type[Declaration], hook: str | None = None) -> dict[str, Declaration]:
        hook = hook or f"register_{kind}s"
        found: dict[str, Declaration] = {}
        for plugin, declaration in self._hooks.collect(hook):
            if not isinstance(declaration, type_):
                returned = f"{hook} returned {declaration!r}, not a {type_.__name__}"
                raise PluginError(plugin, f"plugin {plugin}: {returned}")
            name = str(declaration.name)  # type: ignore[attr-defined]
            self._names.claim(kind, name, plugin)
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
        if _BRACE.search(_FIELD.sub("", route.path)):
            kinds = ", ".join(f"{{name:{kind}}}" for kind in CONVERTERS)
            raise PluginError(plugin, f"{what}: a parameter of a path is {{name}}, {kinds}")
        if isinstance(route.permission, Public | Authenticated):
            return
        if not isinstance(route.permission, str) or not route.permission:
            raise PluginError(plugin, f"{what} has neither a permission nor PUBLIC")
        if route.permission not in self.permissions:
            raise PluginError(plugin, f"{what} asks for the permission {route.permission}, which nobody declares")

    def _check_permissions(self) -> None:
        for name, permission in self.permissions.items():
            owner = self.owner_of("permission", name)
            if not _PERMISSION.fullmatch(name):
                raise PluginError(owner, f"plugin {owner}: permission {name} is not of the form plugin:entity:verb")
            for role in permission.roles:
                if role not in self.roles:
                    gives = f"gives {name} to the role {role}, which nobody declares{nearest(role, self.roles)}"
                    raise PluginError(owner, f"plugin {owner}: it {gives}")
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
        default = ""
        for name, channel in self.channels.items():
            if channel.is_default:
                if default:
                    self._refuse_channels(default, name, "both want sales that name no channel")
                default = name
            owner = self.owner_of("channel", name)
            if ":" in name:
                raise PluginError(owner, f"plugin {owner}: channel {name} must have no colon in its name")
            for policy in (channel.stock_policy, channel.offline_policy):
                if policy not in get_args(StockPolicy):
                    wanted = ", ".join(get_args(StockPolicy))
                    raise PluginError(
                        owner, f"plugin {owner}: channel {name}: no stock policy is {policy!r}; there are {wanted}"
                    )
            other = seen.setdefault(channel.number_prefix, name)
            if other != name:
                self._refuse_channels(other, name, f"both number their sales {channel.number_prefix}…")

    def _refuse_channels(self, one: str, other: str, fault: str) -> NoReturn:
        owners = (self.owner_of("channel", one), self.owner_of("channel", other))
        raise PluginError(owners[1], f"channels {one} (plugin {owners[0]}) and {other} (plugin {owners[1]}) {fault}")


__all__ = ["METHODS", "Registry"]
