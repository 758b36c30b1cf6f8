"""The limit of discounts holds for every role but admin, upward too."""

import uuid

import pytest


@pytest.fixture
def sell(client, make):
    product = make.product(tracking="none")

    def sell(as_, *, mode=None, discount=0, **line):
        if mode:
            client.patch(f"/api/products/{product.id}", {"price_mode": mode})
        body = {"channel": "counter", "warehouse": make.main, "payment_method": "cash", "discount_amount": discount}
        body["items"] = [{"product_id": product.id, "quantity": 1, **line}]
        return client.post("/api/sales", body, as_=as_)

    return sell


@pytest.fixture(params=["supplier", "cashier", "custom"])
def seller(request, make):
    if request.param != "custom":
        return make.user(request.param)
    make.post("/api/roles", {"name": "custom", "permissions": ["sales:sale:post", "sales:sale:discount"]})
    return make.user("cashier", roles=["custom"])


def code(answer):
    return answer.status_code if answer.status_code == 201 else answer.json["code"]


def test_the_limit_holds_for_lines_and_for_the_whole_sale(sell, seller):
    assert code(sell(seller, unit_price="8")) == 201
    assert code(sell(seller, discount_per_item="2")) == 201
    assert code(sell(seller, discount="2")) == 201
    for much in ({"unit_price": "7.99"}, {"discount_per_item": "2.01"}, {"discount": "2.01"}):
        assert code(sell(seller, **much)) == "discount-limit"
    assert code(sell(seller, unit_price="9", discount_per_item="0.5", discount="0.6")) == "discount-limit"


def test_nobody_but_an_admin_asks_for_more_than_the_price(sell, seller):
    assert code(sell(seller, unit_price="10.01")) == "price-above-catalogue"
    replaced = sell(seller, mode="list", unit_price="99").json
    assert (replaced["total_amount"], replaced["items"][0]["unit_price"]) == ("10.00", "10.00")
    assert code(sell("admin", mode="bounded", unit_price="99")) == 201
    assert code(sell("admin", unit_price="0.01")) == 201


def test_a_roles_own_limit_counts(client, make, sell):
    make.post(
        "/api/roles",
        {"name": "strict", "discount_limit": "0.05", "permissions": ["sales:sale:post", "sales:sale:discount"]},
    )
    strict = make.user("cashier", roles=["strict"])
    assert code(sell(strict, discount_per_item="0.5")) == 201
    assert code(sell(strict, discount_per_item="0.51")) == "discount-limit"
    assert code(sell(strict, discount="0.51")) == "discount-limit"


def test_a_refusal_names_who_may(client, sell):
    refused = sell("cashier", discount_per_item="4").json
    assert (refused["permission"], refused["roles"]) == ("sales:sale:override_price", ["admin", "manager"])
    assert refused["detail"].endswith("these roles may: admin, manager.")
    assert sell("cashier", discount="6").json["roles"] == ["admin"]
    above = sell("supplier", unit_price="11").json
    assert above["roles"] == ["admin"] and above["detail"].endswith("these roles may: admin.")


def test_what_waits_for_approval_again_is_flagged_when_it_was_sold_offline(client, make):
    product = make.product(as_="supplier", tracking="none")
    client.post(f"/api/products/{product.id}/approve")
    client.patch(f"/api/products/{product.id}", {"price": "0.01"}, as_="supplier")
    for seller, flags in (("cashier", ["not-for-sale"]), ("supplier", [])):
        items = [{"product_id": product.id, "quantity": 1, "unit_price": "0.01"}]
        body = {"external_id": str(uuid.uuid4()), "channel": "counter", "source_device": "t1", "items": items}
        body |= {"warehouse": make.main, "payment_method": "cash", "client_timestamp": "2026-01-31T14:30:00Z"}
        [result] = client.post("/api/sales/sync", {"sales": [body]}, as_=seller).json["results"]
        assert result["sale"]["flags"] == flags


def test_what_was_given_offline_is_flagged(client, make):
    product = make.product(tracking="none")

    def flags(as_, discount=0, **line):
        items = [{"product_id": product.id, "quantity": 1, **line}, {"product_id": product.id, "quantity": 1}]
        body = {"external_id": str(uuid.uuid4()), "channel": "counter", "source_device": "t1", "items": items}
        body |= {"warehouse": make.main, "payment_method": "cash", "discount_amount": discount}
        body["client_timestamp"] = "2026-01-31T14:30:00Z"
        [result] = client.post("/api/sales/sync", {"sales": [body]}, as_=as_).json["results"]
        return [item["flags"] for item in result["sale"]["items"]]

    assert flags("cashier", discount_per_item="2") == [[], []] == flags("cashier", discount="4")
    assert flags("cashier", discount_per_item="2.01") == [["discount-limit"], []]
    assert flags("cashier", discount="4.01") == [["discount-limit"]] * 2
    assert flags("cashier", discount_per_item="2.01", discount="4") == [["discount-limit"]] * 2
    # A price that has changed since is no discount.
    assert flags("cashier", unit_price="5") == [["price-variance"], []]
    assert flags("admin", discount_per_item="9", discount="9") == [[], []]
