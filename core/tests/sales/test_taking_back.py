"""Returns and cancellations: at once, repeated, of every kind of product."""

import uuid
from decimal import Decimal

import pytest

from tillhook.testing import at_once, clean


def take_back(client, sale, quantity="1", line=0, **fields):
    lines = [{"line_id": sale["items"][line]["id"], "quantity": quantity, **fields.pop("line_fields", {})}]
    return client.post(f"/api/sales/{sale['id']}/returns", {"lines": lines, **fields})


def test_two_cancellations_at_once(client, make, runtime):
    product = make.product(stock=10)
    sale = make.sale([(product, 4)])
    answers = at_once(*[lambda: client.post(f"/api/sales/{sale.id}/cancel", {"reason": "x"})] * 4)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert make.stock(product) == 10 and clean(runtime)


def test_returns_at_once_never_take_back_more_than_was_sold(client, make, runtime):
    product = make.product(stock=10)
    sale = make.sale([(product, 3)])
    answers = at_once(*[lambda: take_back(client, sale)] * 5)
    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 422, 422]
    assert make.stock(product) == 10 and clean(runtime)


def test_a_cancellation_against_a_return(client, make, runtime):
    product = make.product(stock=100)
    for _ in range(5):
        sale = make.sale([(product, 3)])
        cancelled, returned = at_once(
            lambda sale=sale: client.post(f"/api/sales/{sale.id}/cancel", {"reason": "x"}),
            lambda sale=sale: take_back(client, sale, "3"),
        )
        assert (cancelled.status_code, returned.status_code) in ((200, 409), (409, 201))
    assert make.stock(product) == 100 and clean(runtime)


def test_a_return_is_posted_once_per_external_id(client, make, runtime):
    product = make.product(stock=10)
    sale = make.sale([(product, 3)])
    external_id = str(uuid.uuid4())
    first = take_back(client, sale, external_id=external_id)
    again = take_back(client, sale, "1.0", external_id=external_id.upper())
    assert (first.status_code, again.status_code) == (201, 200) and first.json == again.json
    assert make.stock(product) == 8
    other = take_back(client, sale, "2", external_id=external_id)
    assert other.status_code == 409 and other.json["code"] == "external-id-reused"
    assert make.stock(product) == 8 and clean(runtime)


@pytest.mark.parametrize("kind", ["return", "sale"])
def test_an_external_id_of_something_else_is_kept_for_a_person(client, make, kind):
    product = make.product(stock=10)
    sale, external_id = make.sale([(product, 3)]), str(uuid.uuid4())
    if kind == "sale":
        make.sale([(product, 1)], external_id=external_id)
    else:
        take_back(client, sale, "2", external_id=external_id)
    for _ in range(2):
        answer = take_back(client, sale, external_id=external_id, reason="mine")
        assert answer.status_code == 409 and answer.json["code"] == "external-id-reused"
        assert answer.headers["content-type"].startswith("application/problem+json")
    kept = client.get("/api/sales/exceptions").json["items"]
    assert [(item["external_id"], item["attempts"], item["payload"]["returns"]["reason"]) for item in kept] == [
        (external_id, 2, "mine")
    ]


def test_a_return_at_another_time_is_another_return(client, make):
    sale, external_id = make.sale([(make.product(stock=10), 3)]), str(uuid.uuid4())
    assert take_back(client, sale, external_id=external_id, client_timestamp="2026-02-01T10:00:00Z").status_code == 201
    assert take_back(client, sale, external_id=external_id, client_timestamp="2026-02-02T10:00:00Z").status_code == 409


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_two_returns_of_two_sales_race_for_one_external_id(client, make, come_between, runtime):
    product = make.product(stock=10)
    sales, external_id = [make.sale([(product, 2)]) for _ in range(2)], str(uuid.uuid4())
    come_between(lambda: take_back(client, sales[1], external_id=external_id))
    answer = take_back(client, sales[0], external_id=external_id)
    assert answer.status_code == 409 and answer.json["code"] == "external-id-reused"
    assert make.stock(product) == 7 and clean(runtime)


def test_untracked_and_inline_products_come_back_as_money_only(client, make, runtime):
    bread = make.product(tracking="none", price="2.00")
    inline = {"product_data": {"name": "Bread by weight", "tracking": "none"}, "quantity": "0.5", "unit_price": "3"}
    sale = make.sale([{"product_id": bread["id"], "quantity": "2"}, inline])
    for line, quantity, amount in ((0, "1", "-2.00"), (1, "0.25", "-0.75")):
        answer = take_back(client, sale, quantity, line=line)
        assert answer.status_code == 201 and answer.json["total_amount"] == amount
    scrapped = take_back(client, sale, line=0, line_fields={"restock": False})
    assert scrapped.status_code == 201 and clean(runtime)


def test_a_fraction_of_a_piece_does_not_come_back(client, make):
    product = make.product(stock=10, unit=make.unit(precision=0)["id"])
    sale = make.sale([(product, 3)])
    answer = take_back(client, sale, "0.5")
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "lines.0.quantity"
    assert make.stock(product) == 7


def test_discounted_lines_with_inclusive_tax_come_back_to_the_cent(client, make, runtime):
    tax = make.tax("0.19", is_inclusive=True)
    products = [make.product(price=price, stock=20, tax=tax["id"]) for price in ("3.33", "0.99")]
    sale = make.sale(
        [{"product_id": product["id"], "quantity": "7", "discount_per_item": "0.11"} for product in products],
        discount_amount="1.01",
    )
    back = {"total_amount": Decimal(0), "tax_amount": Decimal(0), "discount_amount": Decimal(0), "subtotal": Decimal(0)}
    for line in (0, 1):
        for quantity in ("1", "2", "1", "3"):
            answer = take_back(client, sale, quantity, line=line)
            assert answer.status_code == 201, answer.text
            for name in back:
                back[name] += Decimal(answer.json[name])
    assert back == {name: -Decimal(sale[name]) for name in back}
    assert clean(runtime)


def test_a_gift_is_sold_and_taken_back(client, make, runtime):
    product = make.product(price="10.00", stock=5)
    sale = make.sale([{"product_id": product["id"], "quantity": "2", "discount_per_item": "10.00"}])
    assert sale.total_amount == "0.00" and sale["payments"][0]["amount"] == "0.00"
    whole = make.sale([(product, 1)], discount_amount="10.00")
    assert whole.total_amount == "0.00"
    answer = take_back(client, sale, "2")
    assert answer.status_code == 201 and answer.json["payments"] == []
    assert client.post(f"/api/sales/{whole.id}/cancel", {"reason": "x"}).status_code == 200
    assert make.stock(product) == 5 and clean(runtime)
