"""Payment methods of the shop's own: made, used on sale and refund, switched off, and kept for old documents."""

import uuid

import pytest

from tillhook.testing import clean

MEALS = {"name": "meals", "title": "Meal voucher"}
PATH = "/api/payment-methods"


def methods(client, as_="admin"):
    return {each["name"]: each for each in client.get(PATH, as_=as_).json["items"]}


@pytest.fixture
def bread(make):
    return make.product(price="3.99", stock=50)


def sell(client, make, product, path="/api/sales", as_="cashier", **fields):
    item = {"product_id": product.id, "quantity": "1", "unit_price": product.price}
    body = {"channel": "counter", "warehouse": make.main, "external_id": str(uuid.uuid4()), "items": [item], **fields}
    return client.post(path, body if path != "/api/sales/sync" else {"sales": [body]}, as_=as_)


def test_the_declared_ones_are_listed_for_every_seller(client):
    for role in ("cashier", "supplier", "accountant"):
        assert set(methods(client, role)) >= {"cash", "card", "bank_transfer", "mobile", "other"}
    assert methods(client)["cash"] == {
        **{"name": "cash", "title": "Cash", "is_active": True, "is_declared": True, "takes_refunds": False},
        **dict.fromkeys(("opens_drawer", "gives_change", "counts_as_cash"), True),
    }
    assert client.post(PATH, MEALS, as_="cashier").status_code == 403


def test_a_method_is_made_and_used_from_the_next_request(client, make, bread, runtime):
    refused = sell(client, make, bread, payment_method="meals")
    assert refused.status_code == 422 and refused.json["code"] == "unknown-payment-method"
    made = client.post(PATH, {**MEALS, "gives_change": True})
    assert made.status_code == 201 and made.json == methods(client)["meals"]
    paid = [{"method": "meals", "amount": "5.00", "reference": "M1"}]
    assert sell(client, make, bread, "/api/sales/quote", payments=paid).json["change_due"] == "1.01"
    sale = sell(client, make, bread, payments=paid).json
    assert sale["payments"] == [{"method": "meals", "amount": "5.00", "change": "1.01", "reference": "M1"}]
    [synced] = sell(client, make, bread, "/api/sales/sync", payment_method="meals").json["results"]
    assert synced["sale"]["payment_method"] == "meals"
    back = {"lines": [{"position": 0, "quantity": "1"}], "refund": "meals"}
    returned = client.post(f"/api/sales/{sale['id']}/returns", back)
    assert [(each["method"], each["amount"]) for each in returned.json["payments"]] == [("meals", "-3.99")]
    assert clean(runtime)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("fields", "status", "field"),
    [
        ({"name": "cash"}, 409, "name"),
        ({"name": "meals"}, 409, "name"),
        ({"name": "Meals 2"}, 422, "name"),
        ({"name": "split"}, 422, "name"),
        ({"name": ""}, 422, "name"),
        ({"name": "x" * 41}, 422, "name"),
        ({"name": "cheque", "title": ""}, 422, "title"),
        ({"name": "cheque", "gives_change": "yes"}, 422, "gives_change"),
        ({"name": "cheque", "is_declared": True}, 422, "is_declared"),
    ],
)
def test_a_bad_method_is_refused_by_name(client, fields, status, field):
    assert client.post(PATH, MEALS).status_code == 201
    before = methods(client)
    answer = client.post(PATH, {**MEALS, **fields})
    assert answer.status_code == status and answer.json["errors"][0]["field"] == field, answer.text
    assert methods(client) == before


def test_one_that_was_used_is_only_switched_off(client, make, bread, runtime):
    make.payment_method("meals", takes_refunds=True)
    assert client.patch(f"{PATH}/meals", {"takes_refunds": False, "title": "Meals"}).status_code == 200
    sale = sell(client, make, bread, payment_method="meals").json
    refused = client.patch(f"{PATH}/meals", {"counts_as_cash": True})
    assert refused.status_code == 409 and refused.json["code"] == "payment-method-used"
    assert client.patch(f"{PATH}/meals", {"title": "Luncheon"}).json["title"] == "Luncheon"
    assert client.delete(f"{PATH}/meals").status_code == 204
    assert methods(client)["meals"]["is_active"] is False
    refused = sell(client, make, bread, payment_method="meals")
    assert refused.status_code == 422 and refused.json["code"] == "payment-method-off"
    assert sell(client, make, bread, "/api/sales/quote", payment_method="meals").status_code == 422
    back = {"lines": [{"position": 0, "quantity": "1"}]}
    path = f"/api/sales/{sale['id']}/returns"
    assert client.post(path, {**back, "refund": "meals"}).json["code"] == "payment-method-off"
    [synced] = sell(client, make, bread, "/api/sales/sync", payment_method="meals").json["results"]
    assert synced["status"] == "created"
    assert client.post(path, back).json["payments"][0]["method"] == "meals"
    assert client.patch(f"{PATH}/meals", {"is_active": True}).json["is_active"] is True
    assert sell(client, make, bread, payment_method="meals").status_code == 201
    assert clean(runtime)


def test_nothing_goes_back_by_one_whose_plugin_is_not_enabled(client, make, bread, runtime, monkeypatch):
    sale = sell(client, make, bread, payment_method="card").json
    monkeypatch.delitem(runtime.registry.payment_methods, "card")
    make.payment_method("meals")  # a new epoch
    path = f"/api/sales/{sale['id']}"
    refused = [
        client.post(f"{path}/returns", {"lines": [{"position": 0, "quantity": "1"}]}),
        client.post(f"{path}/cancel", {"reason": "x"}),
    ]
    assert [(each.status_code, each.json["code"]) for each in refused] == [(409, "payment-method-gone")] * 2
    assert client.get(path).json["is_cancelled"] is False


def test_one_that_nobody_used_is_gone(client, make):
    make.payment_method("meals")
    assert client.delete(f"{PATH}/meals").status_code == 204
    assert "meals" not in methods(client)
    assert client.delete(f"{PATH}/meals").status_code == 404
    assert client.patch(f"{PATH}/meals", {"is_active": True}).status_code == 404
    assert [each["action"] for each in client.get("/api/audit", params={"entity": "payment_method"}).json["items"]] == [
        "delete",
        "create",
    ]


def test_a_declared_one_is_switched_off_and_not_changed(client, make, bread):
    refused = client.patch(f"{PATH}/cash", {"title": "Coins"})
    assert refused.status_code == 409 and refused.json["code"] == "payment-method-declared"
    assert client.delete(f"{PATH}/card").status_code == 204
    assert methods(client)["card"]["is_active"] is False and methods(client)["card"]["title"] == "Card"
    assert sell(client, make, bread, payment_method="card").json["code"] == "payment-method-off"
    assert client.patch(f"{PATH}/card", {"is_active": True}).json["is_active"] is True
    assert sell(client, make, bread, payment_method="card").status_code == 201


def test_coins_are_rounded_for_what_counts_as_cash(client, make, bread, runtime):
    assert client.patch("/api/settings", {"sales.cash_rounding": "0.05"}).status_code == 200
    make.payment_method("euros", counts_as_cash=True)
    make.payment_method("meals", gives_change=True)
    assert sell(client, make, bread, payment_method="euros").json["amount_due"] == "4.00"
    assert sell(client, make, bread, payments=[{"method": "euros", "amount": "5"}]).json["code"] == "overpaid"
    meal = sell(client, make, bread, payments=[{"method": "meals", "amount": "5"}]).json
    assert (meal["amount_due"], meal["change_due"]) == ("3.99", "1.01")
    assert clean(runtime)


def test_a_sale_cancelled_for_a_method_that_takes_refunds(client, make, bread, runtime):
    make.payment_method("scrip", takes_refunds=True)
    paid = [{"method": "card", "amount": "1.00"}, {"method": "cash", "amount": "5.00"}]
    sale = sell(client, make, bread, payments=paid).json
    path = f"/api/sales/{sale['id']}/cancel"
    for method, code in (("card", "refund-more-than-paid"), ("pebbles", "unknown-payment-method")):
        answer = client.post(path, {"reason": "x", "refund": method})
        assert answer.status_code == 422 and answer.json["code"] == code
        assert answer.json["errors"][0]["field"] == "refund"
    refunds = client.post(path, {"reason": "x", "refund": "scrip"}).json["refunds"]
    assert [(each["method"], each["amount"]) for each in refunds] == [("scrip", "-3.99")]
    assert clean(runtime)


def test_a_method_that_says_no_title_is_called_by_its_name(client):
    made = client.post("/api/payment-methods", {"name": "cheque"})
    assert (made.status_code, made.json["title"]) == (201, "cheque")
