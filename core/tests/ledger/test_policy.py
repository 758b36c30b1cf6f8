"""Which rule of the stock policy wins, and which apply to a sale that has already happened."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from tillhook.ledger import policy_for
from tillhook.ledger.models import StockPolicy
from tillhook.reference import bump_epoch

KEYS = ("product_id", "warehouse", "channel")
#: Rules by what they name, the most specific first.
ORDER = [
    ("product_id", "warehouse", "channel"),
    ("product_id", "warehouse"),
    ("product_id", "channel"),
    ("product_id",),
    ("warehouse", "channel"),
    ("warehouse",),
    ("channel",),
    (),
]


def set_policy(client, make, product, keys, policy, channel="counter"):
    values = {"product_id": product["id"], "warehouse": make.main, "channel": channel}
    body = {"policy": policy, **{key: values[key] for key in keys}}
    assert client.put("/api/stock-policies", body).status_code == 200


def sale(make, product):
    items = [{"product_id": product["id"], "quantity": "1"}]
    return {"channel": "counter", "warehouse": make.main, "items": items}


@pytest.mark.parametrize(("more", "less"), list(itertools.pairwise(ORDER)))
def test_the_more_specific_rule_wins(client, make, more, less):
    product = make.product()
    for winner, loser, status in (("block", "allow", 409), ("allow", "block", 201)):
        set_policy(client, make, product, more, winner)
        set_policy(client, make, product, less, loser)
        assert client.post("/api/sales", sale(make, product)).status_code == status


def test_only_a_rule_that_names_offline_sales_stops_one(client, make):
    product = make.product()
    for keys in ORDER:
        set_policy(client, make, product, keys, "block")
    (result,) = client.post("/api/sales/sync", {"sales": [sale(make, product)]}).json["results"]
    assert result["status"] == "created" and make.stock(product) == -1
    set_policy(client, make, product, ("channel",), "block", channel="counter:offline")
    (result,) = client.post("/api/sales/sync", {"sales": [sale(make, product)]}).json["results"]
    assert result["status"] == "rejected" and result["error"]["code"] == "insufficient-stock"


def walked(rules, product_id, warehouse_id, channel, is_offline, default):
    """Return the policy by looking at every rule: what ``policy_for`` says it does."""
    name = f"{channel}:offline" if is_offline else channel
    best, best_score = default, -1
    for (product, warehouse, named), policy in rules.items():
        if product not in (None, product_id) or warehouse not in (None, warehouse_id):
            continue
        if named != name and (is_offline or named is not None):
            continue
        score = (product is not None) * 4 + (warehouse is not None) * 2 + (named is not None)
        if score > best_score:
            best, best_score = policy, score
    return best


NAMES = ["counter", "counter:offline", "telesales"]
PLACES = st.tuples(st.sampled_from([None, 0, 1]), st.sampled_from([None, 0, 1]), st.sampled_from([None, *NAMES]))


@pytest.fixture
def places(make):
    """Two products and two warehouses that rules may name."""
    return [make.product()["id"] for _ in range(2)], [make.main, make.other]


@pytest.mark.parametrize("engine_name", ["sqlite"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.dictionaries(PLACES, st.sampled_from(["block", "allow", "absorb"]), max_size=20))
def test_looking_up_finds_what_walking_finds(places, runtime, chosen):
    products, warehouses = places
    rules = {
        (None if p is None else products[p], None if w is None else warehouses[w], c): policy
        for (p, w, c), policy in chosen.items()
    }
    with runtime.unit_of_work() as session:
        session.execute(delete(StockPolicy))
        for (product, warehouse, channel), policy in rules.items():
            session.add(StockPolicy(product_id=product, warehouse_id=warehouse, channel=channel, policy=policy))
        session.flush()
        bump_epoch(session)
    with runtime.unit_of_work() as session:
        asked = itertools.product(products, warehouses, [None, "counter", "telesales"], [False, True])
        for product, warehouse, channel, is_offline in asked:
            found = policy_for(session, product, warehouse, channel, is_offline=is_offline, default="block")
            assert found == walked(rules, product, warehouse, channel, is_offline, "block")
