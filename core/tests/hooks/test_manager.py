"""What the manager refuses, in which order it calls, and whom it names."""

from types import SimpleNamespace

import pytest

from tillhook import hookimpl
from tillhook.errors import StartupError
from tillhook.hooks import HookError, HookManager, frozen, hookspec
from tillhook.server.building import AREAS


def plugin(**functions):
    """Return a hook module made of the given implementations."""
    return SimpleNamespace(**{name: hookimpl(function) for name, function in functions.items()})


def test_an_unknown_hook_is_refused_with_the_nearest_name():
    def validate_sales(session, draft): ...

    with pytest.raises(StartupError) as refusal:
        HookManager(AREAS, [("pos", plugin(validate_sales=validate_sales))])
    assert str(refusal.value) == "plugin pos: there is no hook validate_sales; did you mean validate_sale?"


def test_an_unknown_argument_is_refused():
    def validate_sale(session, sail): ...

    with pytest.raises(StartupError, match="(?s)plugin pos.*validate_sale.*sail"):
        HookManager(AREAS, [("pos", plugin(validate_sale=validate_sale))])


def test_an_implementation_may_leave_out_arguments():
    seen = []

    def validate_sale(draft):
        seen.append(draft)

    HookManager(AREAS, [("pos", plugin(validate_sale=validate_sale))]).hook.validate_sale(
        session=1, draft=2, earlier=()
    )
    assert seen == [2]


def test_the_core_comes_first_then_the_plugins_by_name():
    seen = []
    plugins = [
        (name, plugin(movements_posted=lambda session, name=name: seen.append(name))) for name in ("zoo", "abc", "pos")
    ]
    core = [plugin(sales_posted=lambda: None, movements_posted=lambda n=n: seen.append(n)) for n in ("one", "two")]
    HookManager([*AREAS, *core], plugins).hook.movements_posted(session=None, movements=())
    assert seen == ["one", "two", "abc", "pos", "zoo"]


def answering(*pairs):
    """Return hooks of plugins that answer the price with the given values, and the list of those that were asked."""
    asked = []

    def answer(name, value):
        def resolve_price(request):
            asked.append(name)
            return value

        return name, plugin(resolve_price=resolve_price)

    return HookManager(AREAS, [answer(*pair) for pair in pairs]), asked


def test_the_first_answer_counts_and_zero_is_one():
    hooks, asked = answering(("c", 3), ("b", 0), ("a", None))
    assert hooks.resolve("resolve_price", session=None, request=None) == 0
    assert asked == ["a", "b"]


def test_when_nobody_answers_there_is_no_answer():
    hooks, asked = answering(("b", None), ("a", None))
    assert hooks.resolve("resolve_price", session=None, request=None) is None
    assert asked == ["a", "b"]
    assert HookManager(AREAS, []).resolve("resolve_price", session=None, request=None) is None


def test_an_answer_that_makes_no_sense_names_plugin_and_hook():
    def positive(answer):
        if answer < 0:
            raise ValueError("must not be negative")

    hooks, _ = answering(("pos", -1))
    with pytest.raises(HookError) as failure:
        hooks.resolve("resolve_price", positive, session=None, request=None)
    assert str(failure.value) == "plugin pos: resolve_price answered -1: must not be negative"
    assert not isinstance(failure.value, ValueError), "nobody takes it for a field of the client's"


def test_an_implementation_does_not_wrap_the_others():
    @hookimpl(wrapper=True)
    def resolve_price(request):
        return (yield)

    with pytest.raises(StartupError, match="plugin pos: resolve_price must not wrap the others"):
        HookManager(AREAS, [("pos", SimpleNamespace(resolve_price=resolve_price))])


def test_what_is_frozen_is_frozen_all_the_way_down():
    value = {"lines": [{"price": "1.00"}], "note": None}
    view = frozen(value)
    assert view["lines"][0]["price"] == "1.00"
    for change in (
        lambda: view.update(note="x"),
        lambda: view["lines"].append({}),
        lambda: view["lines"][0].__setitem__("price", "0.00"),
    ):
        with pytest.raises((TypeError, AttributeError)):
            change()
    value["lines"][0]["price"] = "2.00"
    assert view["lines"][0]["price"] == "1.00", "a later change of the original does not show"


def test_a_failing_implementation_is_named():
    def sales_posted(sales):
        raise ZeroDivisionError("no sales")

    hooks = HookManager(AREAS, [("pos", plugin(sales_posted=sales_posted))])
    with pytest.raises(ZeroDivisionError) as failure:
        hooks.hook.sales_posted(session=None, sales=())
    assert failure.value.__notes__ == ["in hook sales_posted of plugin pos"]


def test_a_failing_declaration_names_its_plugin():
    def register_jobs():
        raise ZeroDivisionError("no jobs")

    hooks = HookManager(AREAS, [("pos", plugin(register_jobs=register_jobs))])
    with pytest.raises(StartupError, match="plugin pos: register_jobs failed: .*no jobs"):
        list(hooks.collect("register_jobs"))


def test_implemented_says_whether_anybody_listens():
    hooks = HookManager(AREAS, [("pos", plugin(sales_posted=lambda sales: None))])
    assert hooks.implemented("sales_posted")
    assert not hooks.implemented("movements_posted")


def specs_of(**functions):
    return SimpleNamespace(**{name: hookspec(function) for name, function in functions.items()})


def test_a_plugin_offers_hooks_that_another_implements():
    seen = []
    specs = specs_of(pos_session_closed=lambda session, report: None)
    offering = plugin(register_hookspecs=lambda: [specs])
    listening = SimpleNamespace(
        pos_session_closed=hookimpl(optionalhook=True)(lambda report: seen.append(report)),
    )
    hooks = HookManager(AREAS, [("abc", listening), ("pos", offering)])
    hooks.hook.pos_session_closed(session=None, report="Z")
    assert seen == ["Z"]
    assert hooks.implemented("pos_session_closed")


def test_a_plugins_hooks_carry_its_name():
    specs = specs_of(session_closed=lambda session: None)
    with pytest.raises(StartupError, match="plugin pos: its hook session_closed must be named pos_…"):
        HookManager(AREAS, [("pos", plugin(register_hookspecs=lambda: [specs]))])


def test_an_optional_implementation_that_nobody_calls_is_listed():
    lonely = SimpleNamespace(pos_session_closed=hookimpl(optionalhook=True)(lambda report: None))
    hooks = HookManager(AREAS, [("abc", lonely)])
    assert hooks.optional_without_spec() == [("abc", "pos_session_closed")]
