"""Declarations that clash or refer to nothing are refused, and both sides are named."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from tillhook import hookimpl
from tillhook.config import Settings
from tillhook.errors import StartupError
from tillhook.hooks import (
    AUTHENTICATED,
    PUBLIC,
    Channel,
    Consumer,
    EventType,
    HookManager,
    Job,
    PaymentMethod,
    Permission,
    Registry,
    RoleDeclaration,
    Route,
    SettingDeclaration,
)


def plugin(**declarations):
    """Return a hook module that declares the given things: ``routes=[...]`` by ``register_routes``."""
    return SimpleNamespace(
        **{f"register_{kind}": hookimpl(lambda things=things: things) for kind, things in declarations.items()}
    )


def registry(*areas, words=None, **plugins):
    """Return the registry of the core's areas and plugins; ``words`` are the manifests' ``event_words``."""
    return Registry(HookManager(areas, list(plugins.items())), Settings(), words)


def refusal(*areas, words=None, **plugins):
    with pytest.raises(StartupError) as refused:
        registry(*areas, words=words, **plugins)
    return str(refused.value)


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


def test_two_plugins_cannot_claim_one_payment_method():
    credit = PaymentMethod(name="credit", title="On account")
    said = refusal(abc=plugin(payment_methods=[credit]), pos=plugin(payment_methods=[credit]))
    assert said == "plugins abc and pos both claim the payment method credit"


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
    with pytest.raises(StartupError, match="not of the form plugin:entity:verb|must begin with pos:"):
        registry(pos=plugin(permissions=[Permission(name=name, title="")]))


@pytest.mark.parametrize("path", ["/x/{key:integer}", "/x/{key", "/x/key}", "/x/{}", "/x/{1st}"])
def test_a_path_that_cannot_be_mounted_is_refused(path):
    with pytest.raises(StartupError, match=r"plugin pos: route GET .*a parameter of a path is \{name\}, \{name:dt\}"):
        registry(pos=plugin(routes=[route(path=path)]))


@pytest.mark.parametrize("path", ["/x/{key}", "/x/{key:int}/y/{code:path}", "/x/{at:dt('%Y')}", "/x/{id_2:uuid}"])
def test_a_path_may_have_any_converter(path):
    assert registry(pos=plugin(routes=[route(path=path)], permissions=[SELL]))


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

    with pytest.raises(StartupError, match=r"channels shop \(plugin abc\) and till \(plugin pos\) both number .* OS…"):
        registry(abc=plugin(channels=[channel("shop")]), pos=plugin(channels=[channel("till")], permissions=[SELL]))


def test_a_channel_has_no_colon():
    channel = Channel(name="pos:offline", title="", number_prefix="OS", permission=SELL.name)
    with pytest.raises(StartupError, match="plugin pos: channel pos:offline must have no colon in its name"):
        registry(pos=plugin(channels=[channel], permissions=[SELL]))


@pytest.mark.parametrize("which", ["stock_policy", "offline_policy"])
def test_a_channel_has_a_stock_policy_that_there_is(which):
    channel = Channel(name="till", title="", number_prefix="OS", permission=SELL.name, **{which: "blocked"})
    said = refusal(pos=plugin(channels=[channel], permissions=[SELL]))
    assert said == "plugin pos: channel till: no stock policy is 'blocked'; there are block, allow, absorb"


def test_sales_that_name_no_channel_are_of_the_one_that_says_so_or_of_the_only_one():
    def declaring(**defaults):
        channels = [
            Channel(name=name, title="", number_prefix=name, permission=SELL.name, is_default=is_default)
            for name, is_default in defaults.items()
        ]
        return {"pos": plugin(channels=channels, permissions=[SELL])}

    def default(**defaults):
        channel = registry(**declaring(**defaults)).default_channel
        return channel and channel.name

    assert default(shop=False, till=True) == "till"
    assert default(shop=False) == "shop"
    assert default(shop=False, till=False) is None and default() is None
    both = "channels shop (plugin pos) and till (plugin pos) both want sales that name no channel"
    assert refusal(**declaring(shop=True, till=True)) == both


def test_the_owner_of_a_declaration_is_known():
    assert registry(pos=plugin(permissions=[SELL])).owner_of("permission", SELL.name) == "pos"


def test_what_a_route_does_not_say_follows_from_its_method():
    get, post = route(), route(method="POST", permission=AUTHENTICATED)
    assert (get.writes, get.idempotent, post.writes, post.idempotent) == (False, False, True, True)
    assert not route(method="POST").idempotent, "a public route has no actor to keep keys for"
    assert not route(method="POST", permission=AUTHENTICATED, writes=False).idempotent, "nothing to keep it with"
    assert get.summary == "Say hello."


def setting(key="pos.x", type=int, default: object = 1, **more):
    return SettingDeclaration(key=key, type=type, default=default, title="", **more)  # type: ignore[arg-type]


def event(name):
    return EventType(name=name, title="", permission=SELL.name)


def consumer(*events):
    return Consumer(name="pos.x", handle=lambda session, events: None, events=events)


def job(name):
    return Job(name=name, every_s=60, run=lambda session: None)


@pytest.mark.parametrize(
    ("kind", "things", "said"),
    [
        ("permissions", [Permission(name="sale:pos:sell", title="")], "permission sale:pos:sell must begin with pos:"),
        ("settings", [setting("width")], "setting width must begin with pos."),
        ("settings", [setting("position.width")], "setting position.width must begin with pos."),
        ("settings", [setting("pos.")], "setting pos. must begin with pos."),
        ("events", [event("till:opened")], "event till:opened must begin with pos: or pos."),
        ("jobs", [job("count")], "job count must begin with pos."),
        ("consumers", [Consumer(name="mail", handle=print)], "consumer mail must begin with pos."),
        ("roles", [RoleDeclaration(name="guard", title="")], "role guard must begin with pos or pos-"),
    ],
)
def test_what_a_plugin_declares_carries_its_name(kind, things, said):
    assert refusal(pos=plugin(**{kind: things})) == f"plugin pos: the {said}"


def test_the_cores_names_are_its_own_choice_and_nobody_elses():
    core = plugin(settings=[setting("currency"), setting("sales.limit")], events=[event("sale:made")])
    permissions = [Permission(name="sales:sale:sell", title=""), SELL]
    core.register_permissions = plugin(permissions=permissions).register_permissions
    assert set(registry(core).settings) == {"currency", "sales.limit"}
    said = refusal(core, sales=plugin(settings=[setting("sales.rush")]))
    assert said == "plugin sales: the setting sales.rush begins with sales, as those of tillhook do"


def test_names_that_carry_the_plugins_name_will_do():
    found = registry(
        pos=plugin(
            permissions=[SELL],
            settings=[setting()],
            events=[event("pos:sold"), event("pos.opened")],
            consumers=[consumer("pos:sold")],
            jobs=[job("pos.count")],
            roles=[RoleDeclaration(name="pos-guard", title="")],
        )
    )
    assert set(found.events) == {"pos:sold", "pos.opened"}


def test_a_manifest_says_with_what_else_events_begin():
    billing, zoo, pos = (plugin(events=[event(name)]) for name in ("bill:made", "bill:paid", "pos:sold"))
    pos.register_permissions = plugin(permissions=[SELL]).register_permissions
    words = {"billing": ("bill",), "zoo": ("bill",)}
    assert "bill:made" in registry(billing=billing, pos=pos, words=words).events
    said = refusal(billing=billing, pos=pos, zoo=zoo, words=words)
    assert said == "plugin zoo: the event bill:paid begins with bill, as those of billing do"


def test_a_role_that_nobody_declares_is_refused_with_the_nearest():
    core = plugin(roles=[RoleDeclaration(name="cashier", title="")])
    sell = Permission(name="pos:sale:sell", title="", roles=("cashiers",))
    said = refusal(core, pos=plugin(permissions=[sell]))
    gives = "plugin pos: it gives pos:sale:sell to the role cashiers"
    assert said == f"{gives}, which nobody declares; did you mean cashier?"


def test_an_event_that_nobody_declares_is_refused_with_the_nearest():
    core = plugin(events=[event("sale:created")])
    said = refusal(core, pos=plugin(consumers=[consumer("sale:craeted")], permissions=[SELL]))
    waits = "plugin pos: consumer pos.x waits for the event sale:craeted"
    assert said == f"{waits}, which nobody declares; did you mean sale:created?"


@pytest.mark.parametrize("name", ["pos:sold", "sales:created", "bill:made", "zoo:fed", "salecreated", "sale:"])
def test_an_event_of_who_is_there_and_declares_none_so_named_is_refused(name):
    core = plugin(permissions=[Permission(name="sales:sale:post", title="")])
    said = refusal(core, pos=plugin(consumers=[consumer(name)]), zoo=plugin(), words={"zoo": ("bill",)})
    assert said == f"plugin pos: consumer pos.x waits for the event {name}, which nobody declares"


def test_one_name_where_several_may_stand_is_refused_as_such():
    said = refusal(pos=SimpleNamespace(register_consumers=hookimpl(lambda: [one_event()])))
    fault = "consumer pos.x: events='sale:created' must be a tuple of names, such as ('sale:created',)"
    assert said == f"plugin pos: register_consumers failed: {fault}"
    with pytest.raises(ValueError, match="permission pos:a:b: roles='cashier' must be a tuple of names"):
        Permission(name="pos:a:b", title="", roles="cashier")  # type: ignore[arg-type]


def one_event():
    return Consumer(name="pos.x", handle=print, events="sale:created")  # type: ignore[arg-type]


def test_a_consumer_may_wait_for_events_of_a_plugin_that_is_absent():
    found = registry(pos=plugin(consumers=[consumer("invoice:created")]))
    assert found.consumers["pos.x"].events == ("invoice:created",)


@pytest.mark.parametrize(
    ("declared", "fault"),
    [
        (setting(type=float, default=1.5), "nobody can set a float; its type must be one of bool, int, str, Decimal"),
        (setting(type=list[str], default=[]), "nobody can set a list; its type must be one of"),
        (setting(type=int, default="1"), "its default '1' is no int"),
        (setting(type=int, default=True), "its default True is no int"),
        (setting(type=Decimal, default=1), "its default 1 is no Decimal"),
        (setting(type=str, default="a", choices=("a", 2)), "its choice 2 is no str"),
        (setting(type=str, default="c", choices=("a", "b")), "its default 'c' is none of its choices"),
        (setting(default=-1, check=lambda value: positive(value)), "its own check refuses its default -1: Must be"),
    ],
)
def test_a_setting_that_cannot_be_set_is_refused(declared, fault):
    assert refusal(pos=plugin(settings=[declared])).startswith(f"plugin pos: setting pos.x: {fault}")


def test_a_setting_may_be_unset_and_checked():
    unset = setting(default=None, check=lambda value: positive(value))
    assert registry(pos=plugin(settings=[unset])).settings == {"pos.x": unset}


def positive(value):
    if value <= 0:
        raise ValueError("Must be positive.")
