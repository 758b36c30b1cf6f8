"""Declarations that clash or refer to nothing are refused, and both sides are named."""

from types import SimpleNamespace

import click
import pytest

from tillhook import hookimpl
from tillhook.config import Settings
from tillhook.errors import StartupError
from tillhook.hooks import (
    AUTHENTICATED,
    PUBLIC,
    Channel,
    EventType,
    HookManager,
    Permission,
    Registry,
    Route,
)


def plugin(**declarations):
    """Return a hook module that declares the given things: ``routes=[...]`` by ``register_routes``."""
    return SimpleNamespace(
        **{f"register_{kind}": hookimpl(lambda things=things: things) for kind, things in declarations.items()}
    )


def registry(**plugins):
    return Registry(HookManager([], list(plugins.items())), Settings())


def handler(call):
    """Say hello.

    More than that.
    """


SELL = Permission(name="pos:sale:sell", title="Sell")


def route(path="/pos/hello", permission: object = PUBLIC, method="GET", **more):
    return Route(method=method, path=path, handler=handler, permission=permission, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "two"),
    [("/carts/{id:int}", "/carts/{number:int}"), ("/carts/{id:int}", "/carts/{cart}/"), ("/carts", "/carts")],
)
def test_two_plugins_cannot_claim_one_route(one, two):
    with pytest.raises(StartupError, match="plugins abc and pos both claim the route GET /carts"):
        registry(abc=plugin(routes=[route(one)]), pos=plugin(routes=[route(two)]))


def test_two_methods_of_one_path_are_two_routes():
    permissions = [SELL]
    found = registry(pos=plugin(routes=[route(), route(method="POST", permission=SELL.name)], permissions=permissions))
    assert [each.method for each in found.routes] == ["GET", "POST"]


def test_two_plugins_cannot_claim_one_permission():
    with pytest.raises(StartupError, match="plugins abc and pos both claim the permission pos:sale:sell"):
        registry(abc=plugin(permissions=[SELL]), pos=plugin(permissions=[SELL]))


def test_one_plugin_cannot_declare_a_thing_twice():
    with pytest.raises(StartupError, match="plugin pos claims twice the permission pos:sale:sell"):
        registry(pos=plugin(permissions=[SELL, SELL]))


@pytest.mark.parametrize("permission", [None, ""])
def test_a_route_without_permission_is_refused(permission):
    with pytest.raises(StartupError, match="plugin pos: route GET /pos/hello has neither a permission nor PUBLIC"):
        registry(pos=plugin(routes=[route(permission=permission)]))


def test_a_route_with_an_undeclared_permission_is_refused():
    with pytest.raises(StartupError, match="route GET /pos/hello asks for the permission pos:sale:sel, which nobody"):
        registry(pos=plugin(routes=[route(permission="pos:sale:sel")], permissions=[SELL]))


@pytest.mark.parametrize("name", ["pos", "pos:sale", "pos:sale:sell:now", "Pos:sale:sell", "pos::sell"])
def test_a_permission_has_three_parts(name):
    with pytest.raises(StartupError, match="not of the form module:entity:verb"):
        registry(pos=plugin(permissions=[Permission(name=name, title="")]))


def test_methods_and_paths_are_checked():
    with pytest.raises(StartupError, match="the method is none of"):
        registry(pos=plugin(routes=[route(method="get")]))
    with pytest.raises(StartupError, match="the path must begin with /"):
        registry(pos=plugin(routes=[route("pos/hello")]))


def test_a_declaration_of_another_type_is_refused():
    with pytest.raises(StartupError, match="plugin pos: register_permissions returned 'pos:sale:sell', not a Perm"):
        registry(pos=plugin(permissions=["pos:sale:sell"]))
    with pytest.raises(StartupError, match="plugin pos: register_routes returned '/pos', not a Route"):
        registry(pos=plugin(routes=["/pos"]))


@pytest.mark.parametrize(
    "declared",
    [
        {"channels": [Channel(name="pos", title="Counter", number_prefix="OS", permission="pos:sale:post")]},
        {"events": [EventType(name="pos.sold", title="Sold", permission="pos:sale:post")]},
    ],
)
def test_what_asks_for_an_undeclared_permission_is_refused(declared):
    with pytest.raises(StartupError, match="asks for the permission pos:sale:post, which nobody declares"):
        registry(pos=plugin(**declared))


def test_two_channels_cannot_share_a_number_prefix():
    def channel(name):
        return Channel(name=name, title=name, number_prefix="OS", permission=SELL.name)

    with pytest.raises(StartupError, match="channels shop and till both number their sales OS…"):
        registry(abc=plugin(channels=[channel("shop")], permissions=[SELL]), pos=plugin(channels=[channel("till")]))


def test_a_channel_has_no_colon():
    channel = Channel(name="pos:offline", title="", number_prefix="OS", permission=SELL.name)
    with pytest.raises(StartupError, match="plugin pos: channel pos:offline must have no colon in its name"):
        registry(pos=plugin(channels=[channel], permissions=[SELL]))


def test_two_plugins_cannot_claim_one_command():
    command = click.Command("hello")
    found = registry(abc=plugin(commands=[command]), pos=plugin(commands=[command]))
    with pytest.raises(StartupError, match="plugins abc and pos both claim the command hello"):
        found.commands()


def test_the_owner_of_a_declaration_is_known():
    assert registry(pos=plugin(permissions=[SELL])).owner_of("permission", SELL.name) == "pos"


def test_what_a_route_does_not_say_follows_from_its_method():
    get, post = route(), route(method="POST", permission=AUTHENTICATED)
    assert (get.writes, get.idempotent, post.writes, post.idempotent) == (False, False, True, True)
    assert not route(method="POST").idempotent, "a public route has no actor to keep keys for"
    assert get.summary == "Say hello."
