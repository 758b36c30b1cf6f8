"""Amounts in currencies of no, two and three digits after the point."""

from decimal import Decimal

import pytest

from tillhook.testing import clean


def use(client, currency, places):
    answer = client.patch("/api/settings", {"currency": currency, "currency_places": places})
    assert answer.status_code == 200, answer.text


def sell(client, make, product, quantity, **fields):
    items = [{"product_id": product["id"], "quantity": quantity}]
    return client.post("/api/sales", {"channel": "counter", "warehouse": make.main, "items": items, **fields})


def test_a_currency_without_coins_below_one(client, make, runtime):
    use(client, "JPY", 0)
    tax = make.tax("0.1")
    product = make.product(price="333", stock=20, tax=tax["id"], unit="kg")
    answer = sell(client, make, product, "1.5", discount_amount="7", payments=[{"method": "cash", "amount": "1000"}])
    assert answer.status_code == 201, answer.text
    sale = answer.json
    # 499.5 is 500; 500 - 7 = 493; the tax is 49.3, so 49.
    assert [Decimal(sale[name]) for name in ("subtotal", "discount_amount", "tax_amount", "total_amount")] == [
        500,
        7,
        49,
        542,
    ]
    assert Decimal(sale["change_due"]) == 458
    lines = [{"line_id": sale["items"][0]["id"], "quantity": "0.5"}]
    back = client.post(f"/api/sales/{sale['id']}/returns", {"lines": lines}).json
    assert Decimal(back["total_amount"]) == Decimal(back["total_amount"]).to_integral_value()
    lines = [{"line_id": sale["items"][0]["id"], "quantity": "1"}]
    rest = client.post(f"/api/sales/{sale['id']}/returns", {"lines": lines}).json
    assert Decimal(back["total_amount"]) + Decimal(rest["total_amount"]) == -542
    assert clean(runtime)


@pytest.mark.parametrize(("currency", "places", "amount"), [("JPY", 0, "20.5"), ("EUR", 2, "20.005")])
def test_nobody_pays_what_there_is_no_coin_for(client, make, currency, places, amount):
    use(client, currency, places)
    product = make.product(price="10", stock=20)
    answer = sell(client, make, product, "2", payments=[{"method": "cash", "amount": amount}])
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "payments.0.amount"
    assert sell(client, make, product, "2", payments=[{"method": "cash", "amount": "21.0"}]).status_code == 201


def test_change_comes_from_cash_and_never_more_than_was_handed_over(client, make):
    product = make.product(price="10.00", stock=20)

    def pay(*payments):
        tenders = [{"method": method, "amount": amount} for method, amount in payments]
        return sell(client, make, product, "2", payments=tenders)

    assert pay(("card", "15"), ("cash", "10")).json["change_due"] == "5.00"
    assert pay(("card", "25"), ("cash", "5")).json["code"] == "overpaid"
    assert pay(("cash", "0"), ("card", "20")).json["change_due"] == "0.00"
    split = pay(("cash", "15"), ("cash", "15")).json
    assert [payment["change"] for payment in split["payments"]] == ["0.00", "10.00"]
