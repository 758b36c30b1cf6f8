"""Whose stock a person may count, receive and adjust: a supplier's own, at the own warehouses."""

import pytest


@pytest.fixture
def theirs(make):
    return make.product(stock=5)


@pytest.fixture
def own(client, make):
    product = make.product(as_="supplier")
    client.post(f"/api/products/{product.id}/approve")
    return product


def test_a_supplier_counts_the_own_products_only(client, make, own, theirs):
    counted = client.put(f"/api/products/{own.id}/inventory", {"inventory": 7, "warehouse": make.main}, as_="supplier")
    assert counted.json["inventory"] == "7"
    for body in ({"inventory": 99, "warehouse": make.main}, {"inventory": None}):
        refused = client.put(f"/api/products/{theirs.id}/inventory", body, as_="supplier")
        assert (refused.status_code, refused.json["code"]) == (403, "not-your-product")
    assert make.stock(theirs) == 5
    assert client.get(f"/api/products/{theirs.id}").json["tracking"] == "quantity"


def test_nor_begins_to_track_what_somebody_else_does_not(client, make):
    service = make.product(tracking="none")
    refused = client.put(f"/api/products/{service.id}/inventory", {"inventory": 5}, as_="supplier")
    assert (refused.status_code, refused.json["code"]) == (403, "not-your-product")


@pytest.mark.parametrize("kind", ["counts", "adjustments"])
def test_counts_and_adjustments_are_no_way_round(client, make, own, theirs, kind):
    def body(product):
        line = {"product_id": product.id, "quantity": 3}
        return {"warehouse": make.main, "reason": "Found", "lines": [line]}

    assert client.post(f"/api/inventory/{kind}", body(own), as_="supplier").status_code == 201
    refused = client.post(f"/api/inventory/{kind}", body(theirs), as_="supplier")
    assert (refused.status_code, refused.json["code"]) == (403, "not-your-product")
    assert refused.json["errors"][0]["field"] == "lines.0.product_id"
    assert make.stock(theirs) == 5


def test_what_arrives_is_received_whosever_it_is(client, make, theirs):
    body = {"warehouse": make.main, "lines": [{"product_id": theirs.id, "quantity": 3}]}
    assert client.post("/api/inventory/receipts", body, as_="supplier").status_code == 201 and make.stock(theirs) == 8


def test_who_holds_the_permission_counts_everything_in_the_own_warehouses(client, make, theirs):
    make.post(
        "/api/roles",
        {
            "name": "counting",
            "permissions": ["stock:inventory:set", "stock:level:change_all", "catalogue:product:read"],
        },
    )
    boss = make.user("cashier", roles=["counting"])
    path = f"/api/products/{theirs.id}/inventory"
    assert client.put(path, {"inventory": 8, "warehouse": make.main}, as_=boss).json["inventory"] == "8"
    elsewhere = client.put(path, {"inventory": 8, "warehouse": make.other}, as_=boss)
    assert (elsewhere.status_code, elsewhere.json["code"]) == (403, "foreign-warehouse")
