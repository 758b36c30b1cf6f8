"""A plugin that fails: the answer says nothing, and the log names plugin and hook."""

import pytest
import structlog

from tillhook.hooks import frozen
from tillhook.testing import plug


def log_of(client, make, runtime, **hooks):
    """Sell something with further hooks, which fails, and return what the log then says."""
    product = make.product(price="10.00", stock=5)
    plug(runtime, **hooks)
    body = {"channel": "counter", "warehouse": make.main, "items": [{"product_id": product["id"], "quantity": 1}]}
    with structlog.testing.capture_logs() as logs:
        answer = client.post("/api/sales", body)
    assert answer.status_code == 500 and answer.json["code"] == "internal-server-error"
    assert "extra" not in answer.text
    assert make.stock(product) == 5
    (entry,) = [log for log in logs if log["event"] == "unexpected error"]
    return structlog.processors.format_exc_info(None, "error", entry)["exception"]


def change_a_movement(session, movements):
    movements[0].quantity = 100


def change_a_price(session, request):
    request.list_price = 0


def change_a_payload(session, draft):
    frozen({"items": [{"price": "1.00"}]})["items"][0]["price"] = "0.00"


@pytest.mark.parametrize(
    ("hook", "function", "error"),
    [
        ("validate_movements", change_a_movement, "cannot assign to field 'quantity'"),
        ("resolve_price", change_a_price, "cannot assign to field 'list_price'"),
        ("validate_sale", change_a_payload, "'mappingproxy' object does not support item assignment"),
    ],
)
def test_who_changes_what_is_frozen_is_named_in_the_log(client, make, runtime, hook, function, error):
    log = log_of(client, make, runtime, **{hook: function})
    assert error in log and f"in hook {hook} of plugin extra" in log


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (5, "'int' object is not iterable"),
        (["x"], "not enough values to unpack"),
        ([("stock_level", {"on_hand": 1})], "stock_level is no table of its own"),
        ([("extra_thing", {"on_hand": 1})], "extra_thing is no table of its own"),
    ],
)
def test_who_writes_what_makes_no_sense_along_with_sales_is_named_in_the_log(client, make, runtime, answer, fault):
    log = log_of(client, make, runtime, sales_writing=lambda session, drafts: answer)
    assert f"plugin extra: sales_writing answered {answer!r}: {fault}" in log


def test_who_answers_what_makes_no_sense_is_named_in_the_log(client, make, runtime):
    def resolve_product_history(session, product_id, variant_id):
        return False

    plug(runtime, resolve_product_history=resolve_product_history)
    product = make.product()
    with structlog.testing.capture_logs() as logs:
        assert client.delete(f"/api/products/{product['id']}").status_code == 500
    (entry,) = [log for log in logs if log["event"] == "unexpected error"]
    said = str(entry["exc_info"])
    assert said.startswith("plugin extra: resolve_product_history answered False: must be True, or None")
