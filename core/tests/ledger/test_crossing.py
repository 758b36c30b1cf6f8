"""Postings that cross each other: what each of them says afterwards is still true."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from tillhook.ledger import StockCommand, StockLine, post_adjustment
from tillhook.testing import at_once, clean


def last_inventory(client, product):
    events = client.get("/api/events", params={"limit": "1000"}).json["items"]
    name, key = "product:inventory-updated", product["id"]
    return [
        event["payload"]["product"]["inventory"]
        for event in events
        if event["name"] == name and event["payload"]["product"]["_id"] == key
    ][-1]


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_the_last_event_is_true_when_two_warehouses_sell_at_once(client, make, come_between):
    product = make.product(stock={make.main: 10, make.other: 10})
    come_between(lambda: make.sale([(product, 3)], warehouse=make.other))
    make.sale([(product, 2)])
    assert last_inventory(client, product) == 15


def test_what_comes_between_plan_and_writing_counts(client, make, runtime, come_between):
    client.put("/api/stock-policies", {"policy": "block", "channel": "counter"})
    product = make.product(stock=5)
    url = f"/api/products/{product['id']}/inventory"
    come_between(lambda: client.put(url, {"inventory": 1, "warehouse": make.main}))
    items = [{"product_id": product["id"], "quantity": "2"}]
    answer = client.post("/api/sales", {"channel": "counter", "warehouse": make.main, "items": items})
    assert (answer.status_code, answer.json["code"]) == (409, "insufficient-stock")
    assert make.stock(product) == 1 and clean(runtime)


def test_two_counts_at_once(client, make, runtime):
    product = make.product(stock=5)
    url = f"/api/products/{product['id']}/inventory"
    counts = [lambda n=n: client.put(url, {"inventory": n, "warehouse": make.main}) for n in (7, 9)]
    assert [answer.status_code for answer in at_once(*counts, *counts)] == [200] * 4
    assert make.stock(product) in (7, 9) and clean(runtime)
    expected = make.stock(product)
    stale = [
        lambda n=n: client.put(url, {"inventory": n, "warehouse": make.main, "expected": str(expected)})
        for n in (20, 30)
    ]
    assert sorted(answer.status_code for answer in at_once(*stale)) == [200, 409]


def test_a_count_against_sales(client, make, runtime):
    product = make.product(stock=50)
    url = f"/api/products/{product['id']}/inventory"
    at_once(
        *[lambda: make.sale([(product, 1)]) for _ in range(6)],
        lambda: client.put(url, {"inventory": 100, "warehouse": make.main}),
    )
    assert 94 <= make.stock(product) <= 100 and clean(runtime)


def test_one_new_lot_from_many_receipts_at_once(client, make, runtime):
    products = [make.product(tracking="lot") for _ in range(2)]

    def receive(order):
        lines = [
            {"product_id": product["id"], "quantity": 1, "batch_number": "NEW", "expiry_date": "2150-01-01"}
            for product in products[::order]
        ]
        return client.post("/api/inventory/receipts", {"warehouse": make.main, "lines": lines}).status_code

    assert at_once(*[lambda n=n: receive(1 if n % 2 else -1) for n in range(8)]) == [201] * 8
    assert [make.stock(product) for product in products] == [8, 8] and clean(runtime)


def test_one_alert_of_lots_that_are_sold_at_once(client, make, runtime):
    product = make.product(tracking="lot", low_stock_threshold="5")
    for name in "AB":
        line = {"product_id": product["id"], "quantity": 5, "batch_number": name, "expiry_date": "2150-01-01"}
        make.receipt(make.main, [line])

    def sell(batch):
        item = {"product_id": product["id"], "quantity": 3, "batch_number": batch}
        return client.post("/api/sales", {"channel": "counter", "warehouse": make.main, "items": [item]}).status_code

    assert at_once(lambda: sell("A"), lambda: sell("B")) == [201, 201]
    (alert,) = client.get("/api/inventory/alerts").json["items"]
    assert (alert["current_stock"], alert["status"]) == ("4", "open")
    assert last_inventory(client, product) == 4 and clean(runtime)


def test_transfers_back_and_forth_at_once(client, make, runtime):
    products = [make.product(stock={make.main: 20, make.other: 20}) for _ in range(2)]

    def move(number):
        there, back = (make.main, make.other) if number % 2 else (make.other, make.main)
        lines = [{"product_id": p["id"], "quantity": 1} for p in (products if number % 3 else products[::-1])]
        body = {"from_warehouse": there, "to_warehouse": back, "lines": lines}
        return client.post("/api/inventory/transfers", body).status_code

    assert at_once(*[lambda n=n: move(n) for n in range(8)]) == [201] * 8
    assert [make.stock(p, w) for p in products for w in (make.main, make.other)] == [20] * 4 and clean(runtime)


def test_two_batches_with_the_same_sales_in_other_orders(client, make, runtime):
    products = [make.product(stock=100) for _ in range(3)]
    sales = [
        {
            "channel": "counter",
            "warehouse": make.main,
            "external_id": str(uuid.uuid4()),
            "items": [{"product_id": p["id"], "quantity": "1"} for p in (products if n % 2 else products[::-1])],
        }
        for n in range(20)
    ]
    answers = at_once(
        *[lambda s=s: client.post("/api/sales/sync", {"sales": s}).json["results"] for s in (sales, sales[::-1])]
    )
    for results, sent in zip(answers, (sales, sales[::-1]), strict=True):
        assert [result["external_id"] for result in results] == [sale["external_id"] for sale in sent]
    assert (
        sorted(result["status"] for results in answers for result in results) == ["created"] * 20 + ["duplicate"] * 20
    )
    assert [make.stock(product) for product in products] == [80] * 3 and clean(runtime)


def test_a_hook_that_moves_goods_of_its_own(make, runtime, hooked):
    """A deposit bottle goes out with every crate; levels are then locked out of order, which nobody notices."""
    bottle, crate = make.product(stock=100), make.product(stock=100)

    def sales_posted(session, sales):
        for sale in sales:
            if sale.sale["items"][0]["product"] == crate["id"]:
                line = StockLine(product_id=bottle["id"], quantity=Decimal(-1))
                post_adjustment(session, StockCommand(warehouse=make.main, lines=(line,), reason="deposit"))

    hooked(sales_posted=sales_posted)
    calls = [lambda: make.sale([(crate, 1)]), lambda: make.sale([(bottle, 1), (crate, 1)])] * 4
    at_once(*calls)
    assert make.stock(crate) == 92 and make.stock(bottle) == 92 and clean(runtime)


@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.parametrize("planned", ["without locks", "with locks", "with a lot"])
def test_levels_are_locked_in_the_order_of_their_keys(client, make, runtime, planned):
    """Whatever the order of the lines: who waits for the first level does not hold the second."""
    first = make.product(stock=20)
    if planned == "with a lot":
        second = make.product(tracking="lot")
        make.receipt(make.main, [{"product_id": second["id"], "quantity": "20", "batch_number": "L"}])
    else:
        second = make.product(stock=20)
    if planned == "with locks":
        client.put("/api/stock-policies", {"policy": "block", "channel": "counter:offline"})
    items = [{"product_id": product["id"], "quantity": "1"} for product in (second, first)]
    sale = {"channel": "counter", "warehouse": make.main, "items": items}
    level = "SELECT 1 FROM stock_level l JOIN variant v ON v.id = l.variant_id WHERE v.product_id = {} FOR UPDATE OF l"
    with ThreadPoolExecutor(1) as pool:
        with runtime.database.connect() as connection:
            connection.exec_driver_sql(level.format(first["id"]))
            if planned == "with locks":
                waiting = pool.submit(client.post, "/api/sales/sync", {"sales": [sale, sale]})
            else:
                waiting = pool.submit(client.post, "/api/sales", sale)
            with pytest.raises(TimeoutError):
                waiting.result(0.4)
            connection.exec_driver_sql(level.format(second["id"]) + " NOWAIT")
        assert waiting.result(5).status_code in (200, 201)
