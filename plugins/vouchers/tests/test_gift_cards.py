"""Gift cards sold as goods, and taken back while nobody has spent them."""

import pytest

from tillhook.testing import clean


def cards(client, sale, as_="admin"):
    return client.get("/api/vouchers", params={"sale": sale["id"], "ordering": "id"}, as_=as_).json["items"]


def test_each_unit_is_a_voucher(client, make, bread, runtime):
    card = make.gift_card("50.00")
    sale = client.post("/api/sales", make.body(card, "3"), as_="cashier").json
    assert sale["tax_amount"] == "0.00"
    mine = cards(client, sale, as_="cashier")
    assert [(each["kind"], each["balance"], each["issued_at"] > "2026") for each in mine] == [
        ("gift_card", "50.00", True)
    ] * 3
    assert len({each["code"] for each in mine}) == 3 and all(len(each["code"]) == 19 for each in mine)
    paid = client.post("/api/sales", make.body(bread, payments=make.by(mine[0]["code"], "20.00")))
    assert paid.status_code == 201
    assert client.post("/api/sales", make.body(bread), as_="cashier").status_code == 201
    assert clean(runtime)


def test_no_more_is_owed_than_was_paid(client, make, runtime):
    card = make.gift_card("10.00")
    body = make.body(card, "3", discount_amount="1.00")
    sale = client.post("/api/sales", body).json
    assert sorted(each["balance"] for each in cards(client, sale)) == ["9.66", "9.67", "9.67"]
    half = client.post("/api/sales", make.body(card, "1.5"))
    assert half.status_code == 422 and half.json["errors"][0]["field"] == "items.0.quantity"
    assert clean(runtime)


def test_an_unspent_card_comes_back_and_a_spent_one_does_not(client, make, bread, runtime):
    card = make.gift_card("50.00")
    sale = client.post("/api/sales", make.body(card, "3")).json
    codes = [each["code"] for each in cards(client, sale)]
    client.post("/api/sales", make.body(bread, payments=make.by(codes[0], "20.00")))
    path = f"/api/sales/{sale['id']}"
    refused = client.post(f"{path}/cancel", {"reason": "x"})
    assert refused.status_code == 409 and refused.json["code"] == "vouchers-spent"
    lines = [{"position": 0, "quantity": "3"}]
    assert client.post(f"{path}/returns", {"lines": lines}).json["code"] == "vouchers-spent"
    lines = [{"position": 0, "quantity": "2"}]
    assert client.post(f"{path}/returns", {"lines": lines}).status_code == 201
    assert [(each["balance"], each["status"]) for each in cards(client, sale)] == [
        ("30.00", "active"),
        ("0.00", "voided"),
        ("0.00", "voided"),
    ]
    assert (
        client.post("/api/sales", make.body(bread, payments=make.by(codes[1], "20.00"))).json["code"] == "vouchers-void"
    )
    assert clean(runtime)


def test_a_cancelled_sale_and_an_exchange_void_their_cards(client, make, bread, runtime):
    card = make.gift_card("50.00")
    sale, other = (client.post("/api/sales", make.body(card)).json for _ in range(2))
    assert client.post(f"/api/sales/{sale['id']}/cancel", {"reason": "x"}).status_code == 200
    back = {"sale_id": other["id"], "lines": [{"position": 0, "quantity": "1"}]}
    assert client.post("/api/sales", make.body(bread, returns=back)).status_code == 201
    assert [each["status"] for each in cards(client, sale) + cards(client, other)] == ["voided", "voided"]
    assert clean(runtime)


def test_a_spent_card_that_came_back_offline_is_overdrawn(client, make, bread, runtime):
    card = make.gift_card("50.00")
    sale = client.post("/api/sales", make.body(card)).json
    [code] = [each["code"] for each in cards(client, sale)]
    client.post("/api/sales", make.body(bread, payments=make.by(code, "20.00")))
    body = make.body(bread, returns={"sale_id": sale["id"], "lines": [{"position": 0, "quantity": "1"}]})
    del body["items"]
    [result] = client.post("/api/sales/sync", {"sales": [body]}).json["results"]
    assert result["status"] == "created", result
    assert client.get(f"/api/vouchers/{code}").json["balance"] == "-20.00"
    assert clean(runtime)


@pytest.mark.parametrize(
    ("fields", "code"),
    [({}, "vouchers-tracked-product"), ({"tracking": "none", "tax": True}, "vouchers-taxed-product")],
)
def test_what_is_no_gift_card(client, make, fields, code):
    if "tax" in fields:
        fields = {**fields, "tax": make.tax("0.2").id}
    answer = client.put(f"/api/vouchers/products/{make.product(price='50', **fields).id}")
    assert answer.status_code == 409 and answer.json["code"] == code
    assert client.put("/api/vouchers/products/999").status_code == 404


def test_a_product_that_is_none_any_more_sells_as_goods(client, make, runtime):
    card = make.gift_card("50.00")
    assert client.get("/api/vouchers/products").json["items"] == [{"product_id": card.id}]
    assert client.delete(f"/api/vouchers/products/{card.id}").status_code == 204
    sale = client.post("/api/sales", make.body(card)).json
    assert cards(client, sale) == []
    assert client.put(f"/api/vouchers/products/{card.id}", as_="cashier").status_code == 403


def test_a_card_that_was_voided_by_hand_is_not_paid_back(client, make, bread, runtime):
    card = make.gift_card("50.00")
    sale = client.post("/api/sales", make.body(card)).json
    [code] = [each["code"] for each in cards(client, sale)]
    client.post("/api/sales", make.body(bread, payments=make.by(code, "20.00")))
    assert client.post(f"/api/vouchers/{code}/void", {"reason": "lost"}).status_code == 200
    path = f"/api/sales/{sale['id']}"
    assert client.post(f"{path}/cancel", {"reason": "x"}).json["code"] == "vouchers-spent"
    lines = [{"position": 0, "quantity": "1"}]
    assert client.post(f"{path}/returns", {"lines": lines}).json["code"] == "vouchers-spent"
    assert clean(runtime)
