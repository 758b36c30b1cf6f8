"""The limit of discounts holds for every role but admin, upward too."""

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
