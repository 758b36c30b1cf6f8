"""What plugins answer to the ledger is looked at before anything moves, and what they are asked is frozen."""

from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest

from tillhook.hooks import HookError
from tillhook.ledger import StockLine


@pytest.fixture
def milk(make, door):
    product = make.product(tracking="lot")
    door.receive(*(StockLine(product_id=product["id"], quantity=Decimal(5), batch_number=name) for name in "AB"))
    return product


@pytest.mark.parametrize("answer", ["blocked", "", 0, True, ["allow"]])
def test_what_is_no_policy_sells_nothing(make, door, hooked, answer):
    product = make.product(stock=5)
    hooked(resolve_stock_policy=lambda session, request: answer)
    with pytest.raises(HookError, match="plugin extra: resolve_stock_policy answered .*: not one of block, allow"):
        door.issue((product, 100_000))
    assert make.stock(product) == 5


def test_a_plugin_says_the_policy(make, door, hooked):
    asked, product = [], make.product(stock=5)
    hooked(resolve_stock_policy=lambda session, request: asked.append(request) or "allow")
    door.issue((product, 7), channel="counter")
    assert make.stock(product) == -2
    assert [(each.product_id, each.warehouse_id, each.channel, each.default) for each in asked] == [
        (product["id"], make.main, "counter", "block")
    ]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda a, b: [(a + 1000, Decimal(1))], "not among those of the request"),
        (lambda a, b: [(a, Decimal(2)), (b, Decimal(2))], "more than the line's 3"),
        (lambda a, b: [(a, Decimal(1)), (a, Decimal(1))], "named twice"),
        (lambda a, b: [(a, Decimal(0))], "must be positive"),
        (lambda a, b: [(a, Decimal("0.00001"))], "at most 4 digits"),
        (lambda a, b: [(a, "three")], "not pairs of"),
        (lambda a, b: [a], "not pairs of"),
        (lambda a, b: a, "not pairs of"),
        (lambda a, b: [(a, Decimal("NaN"))], "InvalidOperation"),
        (lambda a, b: [(a, Decimal("Infinity"))], "InvalidOperation"),
        (lambda a, b: iter([(a, Decimal(1))]), "has no len"),
    ],
)
def test_lots_that_make_no_sense_are_not_picked(make, door, hooked, milk, answer, message):
    hooked(resolve_lots=lambda session, request: answer(*(lot.lot_id for lot in request.lots)))
    with pytest.raises(HookError, match=f"plugin extra: resolve_lots answered .*{message}"):
        door.issue((milk, 3))
    assert make.stock(milk) == 10


def test_a_plugin_picks_the_lots_and_changes_nothing_that_it_is_asked(make, door, hooked, milk):
    def resolve_lots(session, request):
        first, last = request.lots
        with pytest.raises(FrozenInstanceError):
            first.available = Decimal(100)
        with pytest.raises(FrozenInstanceError):
            request.line.quantity = Decimal(100)
        assert first.available == 5
        return [(last.lot_id, request.line.quantity)]

    hooked(resolve_lots=resolve_lots)
    assert [each.batch_number for each in door.issue((milk, 3)).lots[0]] == ["B"]
