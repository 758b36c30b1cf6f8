"""Which rule of the stock policy wins, and which apply to a sale that has already happened."""

import itertools

import pytest

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
