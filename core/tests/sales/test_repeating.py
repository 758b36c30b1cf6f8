"""What counts as the same sale under one ``external_id``, and what does not."""

import uuid

import pytest


@pytest.fixture
def shop(client, make):
    """Post a sale of one product; both the warehouse and the means of payment may be left to the server."""
    product = make.product(price="10.00", stock=50)
    client.patch("/api/settings", {"default_warehouse": make.main})
    external_id = str(uuid.uuid4())

    def post(as_="cashier", route="/api/sales", **fields):
        item = {"product_id": product["id"], "quantity": "2"}
        sale = {"channel": "counter", "external_id": external_id, "items": [item], **fields}
        if route.endswith("sync"):
            result = client.post(route, {"sales": [sale]}, as_=as_).json["results"][0]
            return {"created": 201, "duplicate": 200, "rejected": 409}[result["status"]]
        return client.post(route, sale, as_=as_).status_code

    post.product = product
    post.make = make
    return post


@pytest.mark.parametrize("route", ["/api/sales", "/api/sales/sync"])
def test_the_default_warehouse_said_or_not_is_the_same_sale(shop, route):
    assert shop(route=route) == 201
    assert shop(route=route, warehouse=shop.make.main) == 200
    assert shop.make.stock(shop.product) == 48


def test_a_warehouse_said_first_and_then_left_out_is_the_same_sale(shop):
    assert shop(warehouse=shop.make.main) == 201
    assert shop() == 200


def test_another_warehouse_is_another_sale(shop, make):
    make.receipt(make.other, [(shop.product, 9)])
    assert shop(as_="admin", warehouse=make.main) == 201
    assert shop(as_="admin", warehouse=make.other) == 409
    assert make.stock(shop.product, make.other) == 9


def test_a_repeat_stays_one_when_the_default_warehouse_has_changed(shop, client, make):
    assert shop(as_="admin") == 201
    client.patch("/api/settings", {"default_warehouse": make.other})
    assert shop(as_="admin") == 200


def test_cash_said_or_not_is_the_same_sale(shop):
    assert shop(warehouse=shop.make.main) == 201
    assert shop(warehouse=shop.make.main, payment_method="cash") == 200
    assert shop(warehouse=shop.make.main, payment_method="card") == 409


@pytest.mark.parametrize(
    "fields",
    [
        {"notes": "x"},
        {"discount_amount": "0.01"},
        {"customer_name": "Anna"},
        {"source_device": "till-2"},
        {"client_timestamp": "2026-01-31T14:30:00Z"},
        {"payments": [{"method": "cash", "amount": "30"}]},
    ],
)
def test_other_content_is_another_sale(shop, fields):
    assert shop(warehouse=shop.make.main) == 201
    assert shop(warehouse=shop.make.main, **fields) == 409
    assert shop.make.stock(shop.product) == 48


def test_two_of_one_id_in_one_batch(client, make):
    product = make.product(price="10.00", stock=50)
    external_id = str(uuid.uuid4())

    def sale(quantity, **fields):
        item = {"product_id": product["id"], "quantity": quantity}
        return {"channel": "counter", "warehouse": make.main, "external_id": external_id, "items": [item], **fields}

    sales = [sale("1"), sale("1.0"), sale("2"), sale("1", payment_method="cash")]
    results = client.post("/api/sales/sync", {"sales": sales}).json["results"]
    assert [result["status"] for result in results] == ["created", "duplicate", "rejected", "duplicate"]
    assert results[2]["error"]["code"] == "external-id-reused"
    assert make.stock(product) == 49
    kept = client.get("/api/sales/exceptions").json["items"]
    assert [item["payload"]["items"][0]["quantity"] for item in kept] == ["2"]
