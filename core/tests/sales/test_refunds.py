"""Cash rounded to coins that exist, and money back by the tenders that it came in."""

import uuid
from decimal import Decimal

import pytest

from tillhook.testing import clean


@pytest.fixture(autouse=True)
def scrip(make):
    """The shop's own paper vouchers."""
    make.payment_method("scrip", takes_refunds=True)


@pytest.fixture
def rounding(client):
    assert client.patch("/api/settings", {"sales.cash_rounding": "0.05"}).status_code == 200


def sell(client, make, price, *, quantity="1", sync=False, **fields):
    product = make.product(price=price, stock=99)
    item = {"product_id": product["id"], "quantity": quantity}
    body = {"channel": "counter", "warehouse": make.main, "items": [item], "external_id": str(uuid.uuid4()), **fields}
    if not sync:
        return client.post("/api/sales", body)
    return client.post("/api/sales/sync", {"sales": [body]}).json["results"][0]


def take_back(client, sale, quantity="1", **fields):
    lines = [{"line_id": sale["items"][0]["id"], "quantity": quantity}]
    return client.post(f"/api/sales/{sale['id']}/returns", {"lines": lines, **fields})


def paid(sale):
    return [(each["method"], each["amount"]) for each in sale["payments"]]


@pytest.mark.parametrize(
    ("price", "rounded", "due"),
    [("1.02", "-0.02", "1.00"), ("1.03", "0.02", "1.05"), ("1.05", "0.00", "1.05"), ("0.02", "-0.02", "0.00")],
)
def test_cash_is_rounded(client, make, runtime, rounding, price, rounded, due):
    sale = sell(client, make, price).json
    assert (sale["total_amount"], sale["cash_rounding"], sale["amount_due"]) == (price, rounded, due)
    assert paid(sale) == [("cash", due)]
    handed = sell(client, make, price, payments=[{"method": "cash", "amount": "5.00"}]).json
    assert handed["change_due"] == str(Decimal("5.00") - Decimal(due)) and clean(runtime)


def test_only_the_rest_that_cash_pays_is_rounded(client, make, runtime, rounding):
    card = sell(client, make, "1.02", payment_method="card").json
    assert (card["cash_rounding"], paid(card)) == ("0.00", [("card", "1.02")])
    split = [{"method": "card", "amount": "4.00"}, {"method": "cash", "amount": "10.00"}]
    sale = sell(client, make, "10.03", payments=split).json
    assert (sale["cash_rounding"], sale["change_due"]) == ("0.02", "3.95")
    whole = [{"method": "card", "amount": "10.03"}, {"method": "cash", "amount": "0"}]
    assert sell(client, make, "10.03", payments=whole).json["cash_rounding"] == "0.00"
    assert clean(runtime)


def test_cash_to_the_cent_is_too_little_here_and_a_fact_of_a_device(client, make, runtime, rounding):
    exact = [{"method": "cash", "amount": "1.03"}]
    answer = sell(client, make, "1.03", payments=exact)
    assert answer.status_code == 422 and answer.json["code"] == "underpaid" and "1.05" in answer.json["detail"]
    assert sell(client, make, "1.03", payments=exact, sync=True)["sale"]["cash_rounding"] == "0.00"
    known = sell(client, make, "1.03", payments=[{"method": "cash", "amount": "1.05"}], sync=True)["sale"]
    assert known["cash_rounding"] == "0.02" and clean(runtime)


@pytest.mark.parametrize("value", ["-0.05", "1001", "x", "0.00001"])
def test_a_step_that_makes_no_sense_is_refused(client, value):
    assert client.patch("/api/settings", {"sales.cash_rounding": value}).status_code == 422


def test_a_step_that_the_currency_cannot_pay_rounds_nothing(client, make, runtime):
    assert client.patch("/api/settings", {"sales.cash_rounding": "0.025"}).status_code == 200
    assert sell(client, make, "1.02").json["cash_rounding"] == "0.00" and clean(runtime)


@pytest.mark.parametrize("price", ["1.01", "1.02", "1.03", "0.34", "0.01"])
def test_returning_all_of_it_in_parts_gives_back_all_that_was_paid(client, make, runtime, rounding, price):
    sale = sell(client, make, price, quantity="7").json
    back = [take_back(client, sale, quantity).json for quantity in ("1", "3", "2", "1")]
    for part in back:
        due = Decimal(part["amount_due"])
        assert due <= 0 and due % Decimal("0.05") == 0
        assert sum((Decimal(amount) for _, amount in paid(part)), Decimal(0)) == due
    assert sum(Decimal(part["amount_due"]) for part in back) == -Decimal(sale["amount_due"])
    assert clean(runtime)


def test_a_cancelled_sale_pays_its_rounding_back(client, make, runtime, rounding):
    sale = sell(client, make, "1.03").json
    assert client.post(f"/api/sales/{sale['id']}/cancel", {"reason": "x"}).status_code == 200
    assert clean(runtime)


SPLIT = [{"method": "card", "amount": "6.00"}, {"method": "cash", "amount": "20.00"}]


def test_money_goes_back_by_the_tenders_in_their_order(client, make, runtime):
    sale = sell(client, make, "5.00", quantity="3", payments=SPLIT).json
    assert sale["change_due"] == "11.00"
    assert [paid(take_back(client, sale).json) for _ in range(3)] == [
        [("card", "-5.00")],
        [("card", "-1.00"), ("cash", "-4.00")],
        [("cash", "-5.00")],
    ]
    assert clean(runtime)


def test_never_more_than_was_paid_by_a_tender(client, make, runtime):
    sale = sell(client, make, "5.00", quantity="3", payments=SPLIT).json
    for fields, field in (
        ({"refund": "card"}, "refund"),
        ({"refund": "mobile"}, "refund"),
        ({"refunds": [{"method": "card", "amount": "6.01"}, {"method": "cash", "amount": "3.99"}]}, "refunds.0.amount"),
        ({"refunds": [{"method": "cash", "amount": "10"}]}, "refunds.0.amount"),
    ):
        answer = take_back(client, sale, "2", **fields)
        assert answer.status_code == 422 and answer.json["code"] == "refund-more-than-paid", answer.text
        assert answer.json["errors"][0]["field"] == field
    for amounts in (("6", "3"), ("6", "5"), ("0", "9.99")):
        refunds = [{"method": "card", "amount": amounts[0]}, {"method": "scrip", "amount": amounts[1]}]
        answer = take_back(client, sale, "2", refunds=refunds)
        assert answer.status_code == 422 and answer.json["code"] == "refund-not-the-amount", answer.text
    split = [{"method": "cash", "amount": "7.00"}, {"method": "card", "amount": "3.00", "reference": "R1"}]
    answer = take_back(client, sale, "2", refunds=split)
    assert sorted(paid(answer.json)) == [("card", "-3.00"), ("cash", "-7.00")]
    assert {"R1", ""} == {each["reference"] for each in answer.json["payments"]}
    assert take_back(client, sale, refund="cash").json["code"] == "refund-more-than-paid"
    assert paid(take_back(client, sale).json) == [("card", "-3.00"), ("cash", "-2.00")]
    assert clean(runtime)


def test_store_credit_may_take_any(client, make, runtime):
    sale = sell(client, make, "5.00", quantity="3", payments=SPLIT).json
    assert paid(take_back(client, sale, "2", refund="scrip").json) == [("scrip", "-10.00")]
    assert paid(take_back(client, sale, "1").json) == [("card", "-5.00")]
    own = sell(client, make, "5.00", payment_method="scrip").json
    assert paid(take_back(client, own).json) == [("scrip", "-5.00")]
    assert clean(runtime)


def test_a_method_that_nobody_knows(client, make):
    sale = sell(client, make, "5.00").json
    answer = take_back(client, sale, refund="pebbles")
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "refund"


def test_a_split_refund_says_the_rounded_cash(client, make, runtime, rounding):
    sale = sell(client, make, "5.01", quantity="2").json
    assert sale["amount_due"] == "10.00"
    wrong = take_back(client, sale, refunds=[{"method": "cash", "amount": "5.01"}])
    assert wrong.status_code == 422 and wrong.json["code"] == "refund-not-the-amount"
    right = take_back(client, sale, refunds=[{"method": "cash", "amount": "5.00"}]).json
    assert (right["total_amount"], right["cash_rounding"], right["amount_due"]) == ("-5.01", "0.01", "-5.00")
    assert clean(runtime)
