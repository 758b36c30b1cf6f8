"""What other tests lean on: it says what is wrong, and hides no failure."""

import threading

import pytest

from tillhook.errors import Conflict
from tillhook.testing import at_once, clean, damage, differences, many_at_once, plug


def test_damage_goes_past_the_triggers_and_each_difference_is_named(runtime, make):
    sale = make.sale([(make.product(price="2.00", stock=5), 1)])
    assert clean(runtime)
    damage(runtime, "UPDATE sale SET change_due = change_due + 10000", "UPDATE stock_level SET on_hand = 0")
    assert len(differences(runtime)) == 2
    with pytest.raises(AssertionError) as raised:
        clean(runtime)
    assert f"sale {sale.sale_number}: change: 1.0000, not 0.0000" in str(raised.value)
    assert "stock levels" in str(raised.value)


def test_calls_are_under_way_together_and_answer_in_their_order():
    together = threading.Barrier(3)
    assert sorted(at_once(*[lambda: together.wait(timeout=30)] * 3)) == [0, 1, 2]
    assert many_at_once(4, lambda number: number * number) == [0, 1, 4, 9]


def test_what_a_call_raises_is_raised():
    def fail():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        at_once(fail, lambda: 1)


def test_a_plugged_hook_is_called(runtime, client, make):
    def veto(session, draft):
        raise Conflict("Not today.", code="not-today")

    product = make.product(stock=5)
    plug(runtime, validate_sale=veto)
    body = {"channel": "counter", "warehouse": make.main, "items": [{"product_id": product.id, "quantity": 1}]}
    assert client.post("/api/sales", body).json["code"] == "not-today"
