"""Products of open price: who may say the price."""

import uuid

import pytest


@pytest.fixture
def sell(client, make):
    """Sell one piece at a price that is said, or not."""
    client.post("/api/roles", {"name": "stall", "permissions": ["sales:sale:post", "sales:sale:sync"]})
    stall = make.user("stall")

    def post(product, price=None, as_=stall, route="/api/sales", **item):
        body = {"product_id": product.id, "quantity": "1", **item}
        body |= {} if price is None else {"unit_price": price}
        sale = {"channel": "counter", "warehouse": make.main, "external_id": str(uuid.uuid4()), "items": [body]}
        return client.post(route, {"sales": [sale]} if route.endswith("sync") else sale, as_=as_)

    return post


def test_another_price_than_the_remembered_one_needs_the_permission(sell, make):
    product = make.product(price="3.00", price_mode="open", stock=9)
    assert sell(product).json["total_amount"] == "3.00"
    assert sell(product, "3.000").status_code == 201
    for price in ("2.99", "3.01", "0"):
        answer = sell(product, price)
        assert (answer.status_code, answer.json["code"]) == (403, "open-price")
        assert answer.json["permission"] == "sales:sale:open_price"
        assert answer.json["errors"][0]["field"] == "items.0.unit_price"
    assert make.stock(product) == 7
    # Who may say it has said it for everybody.
    assert sell(product, "2.50", as_="cashier").status_code == 201
    assert sell(product, "2.50").status_code == 201
    assert sell(product, "3.00").status_code == 403


def test_a_product_that_never_had_a_price_needs_the_permission(sell, make):
    product = make.product(price="0", price_mode="open", stock=9)
    assert sell(product).status_code == 422
    assert sell(product, "1.00").status_code == 403
    assert sell(product, "1.00", as_="supplier").status_code == 201


def test_a_price_charged_offline_is_a_fact(sell, make):
    product = make.product(price="3.00", price_mode="open", stock=9)
    result = sell(product, "1.00", route="/api/sales/sync").json["results"][0]
    assert result["status"] == "created" and result["sale"]["total_amount"] == "1.00"


def test_a_discount_counts_against_the_price_that_is_charged(sell, client, make):
    product = make.product(price="100.00", price_mode="open", stock=9)
    assert sell(product, "50.00", as_="cashier", discount_per_item="10.00").status_code == 201
    item = {"product_id": product.id, "quantity": "1", "unit_price": "40.00"}
    sale = {"channel": "counter", "warehouse": make.main, "items": [item]}
    assert client.post("/api/sales", {**sale, "discount_amount": "8.00"}, as_="cashier").status_code == 201
    assert client.post("/api/sales", {**sale, "discount_amount": "8.01"}, as_="cashier").status_code == 403
