"""Exchanges, and returns in a sale's own body: one document, one settlement, nothing back twice."""

import uuid
from decimal import Decimal

import pytest

from tillhook.testing import at_once, clean


@pytest.fixture
def post(client, make):
    """Post a document that takes goods of a sale back, and sells others."""

    def post(sale, back, items=(), as_="admin", **fields):
        lines = [
            {"position": position, "quantity": quantity, **more}
            for position, quantity, *rest in back
            for more in [rest[0] if rest else {}]
        ]
        body = {
            "channel": "counter",
            "warehouse": make.main,
            "items": [{"product_id": product["id"], "quantity": quantity} for product, quantity in items],
            "returns": {"sale_id": sale["id"], "lines": lines},
            **fields,
        }
        return client.post("/api/sales", body, as_=as_)

    return post


def paid(answer):
    return [(each["method"], each["amount"]) for each in answer.json["payments"]]


def test_the_customer_pays_the_difference(client, make, runtime, post):
    tax = make.tax("0.1")
    shirt, coat = (
        make.product(price="20.00", stock=9, tax=tax["id"]),
        make.product(price="50.00", stock=9, tax=tax["id"]),
    )
    sale = make.sale([(shirt, 2)], payment_method="card")
    answer = post(sale, [(0, "1")], [(coat, "1")], payments=[{"method": "cash", "amount": "40.00"}])
    assert answer.status_code == 201, answer.text
    shown = answer.json
    assert (shown["kind"], shown["origin"]) == ("exchange", sale.id)
    assert (shown["subtotal"], shown["tax_amount"], shown["total_amount"]) == ("30.00", "3.00", "33.00")
    assert (shown["change_due"], paid(answer)) == ("7.00", [("cash", "40.00")])
    assert [(line["quantity"], line["total_price"], line["origin_line"]) for line in shown["items"]] == [
        ("1", "50.00", None),
        ("-1", "-20.00", sale["items"][0]["id"]),
    ]
    assert shown["items"][1]["restock"] is True
    assert (make.stock(shirt), make.stock(coat)) == (8, 8)
    assert client.get(f"/api/sales/{sale.id}").json["items"][0]["returned_quantity"] == "1"
    assert client.get(f"/api/sales/{shown['id']}").json == shown
    kinds = [each["kind"] for each in client.get("/api/sales").json["items"]]
    assert sorted(kinds) == ["exchange", "sale"]
    assert clean(runtime)


def test_the_shop_pays_the_difference_by_the_tender_that_it_came_in(make, runtime, post):
    dear, cheap = make.product(price="50.00", stock=9), make.product(price="20.00", stock=9)
    sale = make.sale([(dear, 1)], payments=[{"method": "card", "amount": "25"}, {"method": "cash", "amount": "30"}])
    answer = post(sale, [(0, "1", {"restock": False})], [(cheap, "1")])
    assert answer.status_code == 201, answer.text
    assert answer.json["total_amount"] == "-30.00"
    assert paid(answer) == [("card", "-25.00"), ("cash", "-5.00")]
    assert (make.stock(dear), make.stock(cheap)) == (8, 8) and clean(runtime)


def test_an_even_exchange_moves_no_money(make, runtime, post):
    product = make.product(price="50.00", stock=9)
    sale = make.sale([(product, 1)])
    answer = post(sale, [(0, "1")], [(product, "1")], refund="cash", payment_method="card")
    assert answer.status_code == 201 and answer.json["payments"] == []
    assert make.stock(product) == 8 and clean(runtime)


def test_a_return_in_the_body_of_a_sale(client, make, runtime, post):
    product = make.product(price="5.00", stock=9)
    sale = make.sale([(product, 3)], customer_name="Anna")
    answer = post(sale, [(0, "2")], warehouse=None)
    assert answer.status_code == 201, answer.text
    assert (answer.json["kind"], answer.json["total_amount"], paid(answer)) == (
        "return",
        "-10.00",
        [("cash", "-10.00")],
    )
    assert (answer.json["warehouse"], answer.json["customer_name"]) == (make.main, "Anna")
    assert answer.json["sale_number"][2] == "R" or "R" in answer.json["sale_number"]
    again = post(sale, [(0, "2")])
    assert again.status_code == 422 and again.json["code"] == "returns-more-than-sold"
    assert again.json["errors"][0]["field"] == "returns.lines.0.quantity"
    assert make.stock(product) == 8 and clean(runtime)


def test_what_an_exchange_sold_comes_back_and_pays_what_the_first_goods_were_paid_by(client, make, runtime, post):
    product, other = make.product(price="20.00", stock=9), make.product(price="15.00", stock=9)
    sale = make.sale([(product, 1)], payment_method="card")
    exchange = post(sale, [(0, "1")], [(other, "1")])
    assert paid(exchange) == [("card", "-5.00")]
    assert (
        client.post(f"/api/sales/{exchange.json['id']}/cancel", {"reason": "x"}).json["code"]
        == "exchange-not-cancellable"
    )
    assert client.post(f"/api/sales/{sale.id}/cancel", {"reason": "x"}).json["code"] == "sale-has-returns"
    assert post(exchange.json, [(1, "1")]).json["errors"][0]["field"] == "returns.lines.0.position"
    back = post(exchange.json, [(0, "1")])
    assert back.status_code == 201 and paid(back) == [("card", "-15.00")]
    assert client.get(f"/api/sales/{exchange.json['id']}").json["items"][0]["returned_quantity"] == "1"
    assert post(sale, [(0, "1")]).status_code == 422
    assert (make.stock(product), make.stock(other)) == (9, 9) and clean(runtime)


def test_lots_go_back_to_where_they_came_from(client, make, runtime, post):
    product = make.product(price="1.00", tracking="lot")
    for batch, day in (("A", "2027-01-01"), ("B", "2028-01-01")):
        line = {"product_id": product["id"], "quantity": "2", "batch_number": batch, "expiry_date": day}
        make.receipt(make.main, [line])
    sale = make.sale([(product, 3)])
    assert post(sale, [(0, "2")], [(make.product(price="9.00", stock=1), "1")]).status_code == 201
    with runtime.database.connect() as connection:
        levels = connection.exec_driver_sql(
            "SELECT t.batch_number, l.on_hand / 10000 FROM stock_level l JOIN lot t ON t.id = l.lot_id ORDER BY 1"
        ).all()
    assert [tuple(row) for row in levels] == [("A", 2), ("B", 1)] and clean(runtime)


def test_an_exchange_is_posted_once_per_external_id(client, make, runtime, post):
    product, external_id = make.product(price="5.00", stock=9), str(uuid.uuid4())
    sale = make.sale([(product, 3)])
    first = post(sale, [(0, "1")], [(product, "1")], external_id=external_id)
    again = post(sale, [(0, "1.0")], [(product, "1.0")], external_id=external_id.upper())
    assert (first.status_code, again.status_code) == (201, 200) and first.json == again.json
    assert post(sale, [(0, "2")], [(product, "1")], external_id=external_id).json["code"] == "external-id-reused"
    assert make.stock(product) == 6 and clean(runtime)


def test_a_short_exchange_leaves_nothing_behind(make, runtime, post):
    product, rare = make.product(price="5.00", stock=9), make.product(stock=1)
    sale = make.sale([(product, 3)])
    answer = post(sale, [(0, "1")], [(rare, "2")])
    assert answer.status_code == 409 and answer.json["code"] == "insufficient-stock"
    assert (make.stock(product), make.stock(rare)) == (6, 1) and clean(runtime)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"returns": None, "items": []}, "items"),
        ({"returns": {"lines": [{"position": 0, "quantity": "1"}]}}, "returns.sale_id"),
        (
            {"returns": {"sale_id": 1, "external_id": str(uuid.uuid4()), "lines": [{"position": 0, "quantity": "1"}]}},
            "returns.sale_id",
        ),
        ({"returns": {"sale_id": 1, "lines": []}}, "returns.lines"),
        ({"returns": {"sale_id": 1, "lines": [{"quantity": "1"}]}}, "returns.lines.0.line_id"),
        ({"returns": {"sale_id": 1, "lines": [{"position": 0, "quantity": "-1"}]}}, "returns.lines.0.quantity"),
        ({"returns": {"sale_id": 999999, "lines": [{"position": 0, "quantity": "1"}]}}, "returns.sale_id"),
        (
            {"returns": {"external_id": str(uuid.uuid4()), "lines": [{"position": 0, "quantity": "1"}]}},
            "returns.external_id",
        ),
        ({"refund": "cash", "refunds": [{"method": "cash", "amount": "1"}]}, "refund"),
        ({"refund": "pebbles"}, "refund"),
        ({"refunds": [{"method": "pebbles", "amount": "1"}]}, "refunds.0.method"),
        ({"refunds": [{"method": "cash", "amount": "4.99"}]}, "refunds"),
        ({"refunds": [{"method": "cash", "amount": "5.001"}]}, "refunds.0.amount"),
        ({"refund": "card"}, "refund"),
        ({"discount_amount": "1"}, "discount_amount"),
        ({"payments": [{"method": "cash", "amount": "1"}]}, "payments"),
    ],
)
def test_bad_bodies_name_their_field(make, runtime, post, fields, field):
    product = make.product(price="5.00", stock=9)
    sale = make.sale([(product, 3)])
    answer = post(sale, [(0, "1")], **fields)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert make.stock(product) == 6 and clean(runtime)


def test_whose_sale_it_is_and_who_may(client, make, post):
    product = make.product(price="5.00", stock=9)
    sale = make.sale([(product, 3)], as_="supplier")
    assert post(sale, [(0, "1")], as_="cashier").json["errors"][0]["field"] == "returns.sale_id"
    own = make.sale([(product, 1)], as_="cashier")
    assert post(own, [(0, "1")], as_="cashier").status_code == 201
    role = client.post("/api/roles", {"name": "seller", "permissions": ["sales:sale:post", "sales:sale:read"]})
    assert role.status_code == 201, role.text
    seller = make.user("seller")
    mine = make.sale([(product, 1)], as_=seller)
    answer = post(mine, [(0, "1")], as_=seller)
    assert answer.status_code == 403 and answer.json["permission"] == "sales:sale:return"
    assert make.stock(product) == 5


def test_the_device_is_the_one_at_which_it_happens(client, make, post):
    product = make.product(price="5.00", stock=9)
    sale = make.sale([(product, 5)], source_device="till-1")
    lines = [{"line_id": sale["items"][0]["id"], "quantity": "1"}]
    path = f"/api/sales/{sale.id}/returns"
    assert client.post(path, {"lines": lines}).json["source_device"] == "web"
    assert client.post(path, {"lines": lines, "source_device": "till-2"}).json["source_device"] == "till-2"
    assert post(sale, [(0, "1")], source_device="till-3").json["source_device"] == "till-3"
    other = make.sale([(product, 1)], source_device="till-1")
    assert client.post(f"/api/sales/{other.id}/cancel", {"reason": "x", "source_device": "till-2"}).status_code == 200


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_at_once_nothing_comes_back_twice(client, make, runtime, post):
    product, other = make.product(price="5.00", stock=30), make.product(price="7.00", stock=30)
    for _ in range(3):
        sale = make.sale([(product, 2)], payment_method="card")
        lines = [{"line_id": sale["items"][0]["id"], "quantity": "1"}]
        external_id = str(uuid.uuid4())
        offline = {
            "channel": "counter",
            "warehouse": make.main,
            "external_id": external_id,
            "items": [],
            "returns": {"sale_id": sale.id, "lines": [{"position": 0, "quantity": "1"}]},
        }
        answers = at_once(
            lambda sale=sale: post(sale, [(0, "1")], [(other, "1")], payment_method="cash"),
            lambda sale=sale: post(sale, [(0, "1")], [(other, "1")], payment_method="cash"),
            lambda sale=sale, lines=lines: client.post(f"/api/sales/{sale.id}/returns", {"lines": lines}),
            lambda offline=offline: client.post("/api/sales/sync", {"sales": [offline]}),
            lambda sale=sale: client.post(f"/api/sales/{sale.id}/cancel", {"reason": "x"}),
        )
        shown = client.get(f"/api/sales/{sale.id}").json
        if shown["is_cancelled"]:
            assert shown["items"][0]["returned_quantity"] == "0"
        else:
            assert Decimal(shown["items"][0]["returned_quantity"]) == 2
        assert all(answer.status_code in (200, 201, 409, 422) for answer in answers)
    assert make.stock(product) == 30 and clean(runtime)


def test_an_exchange_sent_twice_at_once_is_one(client, make, runtime, post):
    product, other = make.product(price="5.00", stock=9), make.product(price="8.00", stock=9)
    for _ in range(3):
        sale, external_id = make.sale([(product, 1)]), str(uuid.uuid4())
        answers = at_once(*[lambda: post(sale, [(0, "1")], [(other, "1")], external_id=external_id)] * 4)  # noqa: B023
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201], [a.text for a in answers]
        assert len({answer.json["id"] for answer in answers}) == 1
    assert clean(runtime)


def test_goods_paid_for_in_another_currency_go_back_alone(client, make, runtime, post):
    product, other = make.product(price="5.00", stock=9), make.product(price="8.00", stock=9)
    sale = make.sale([(product, 3)])
    client.patch("/api/settings", {"currency": "USD"})
    answer = post(sale, [(0, "1")], [(other, "1")])
    assert answer.status_code == 409 and answer.json["code"] == "other-currency"
    assert make.stock(product) == 6 and make.stock(other) == 9
    back = post(sale, [(0, "1")])
    assert back.status_code == 201 and back.json["currency"] == sale["currency"] != "USD"
    lines = [{"position": 0, "quantity": "1"}]
    assert client.post(f"/api/sales/{sale.id}/returns", {"lines": lines}).json["currency"] == sale["currency"]
    assert clean(runtime)
