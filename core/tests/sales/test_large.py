"""The largest that one request may hold: 5,000 sales, 1,000 lines."""

import tracemalloc
import uuid

import pytest

from tillhook.testing import clean

pytestmark = pytest.mark.slow


def test_a_sale_of_1000_lines_posts_comes_back_and_is_cancelled(client, make, runtime):
    products = [make.product(price="1.01", stock=1000) for _ in range(3)]
    items = [{"product_id": products[n % 3]["id"], "quantity": "1"} for n in range(1000)]
    first, second = (make.sale(items, discount_amount="7.77") for _ in range(2))
    assert first.total_amount == "1002.23" and len(first["items"]) == 1000
    lines = [{"line_id": item["id"], "quantity": "1"} for item in first["items"]]
    back = client.post(f"/api/sales/{first.id}/returns", {"lines": lines})
    assert back.status_code == 201 and back.json["total_amount"] == "-1002.23"
    assert client.post(f"/api/sales/{second.id}/cancel", {"reason": "x"}).status_code == 200
    assert [make.stock(product) for product in products] == [1000] * 3
    assert clean(runtime)


def test_a_batch_of_5000_with_a_bad_one_in_it(client, make, runtime):
    products = [make.product(price="1.00", stock=10_000) for _ in range(10)]
    sales = [
        {
            "channel": "counter",
            "warehouse": make.main,
            "external_id": str(uuid.uuid4()),
            "items": [{"product_id": products[n % 10]["id"], "quantity": "2"}],
        }
        for n in range(5000)
    ]
    sales[4321]["items"][0]["product_id"] = 999_999
    results = client.post("/api/sales/sync", {"sales": sales}).json["results"]
    assert [result["external_id"] for result in results] == [sale["external_id"] for sale in sales]
    assert [n for n, result in enumerate(results) if result["status"] != "created"] == [4321]
    again = client.post("/api/sales/sync", {"sales": sales}).json["results"]
    assert {result["status"] for result in again} == {"duplicate", "rejected"}
    assert sum(make.stock(product) for product in products) == 100_000 - 2 * 4999
    assert clean(runtime)
    too_many = client.post("/api/sales/sync", {"sales": [*sales, sales[0]]})
    assert too_many.status_code == 422 and too_many.json["errors"][0]["field"] == "sales"


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_what_a_batch_needs_of_memory_grows_little_with_its_sales(client, make):
    """Answers are encoded as each part is posted; as dicts, a whole batch's took 8 KB a sale."""
    product = make.product(price="1.00", stock=10_000)

    def peak(count):
        item = {"product_id": product["id"], "quantity": "1"}
        sale = {"channel": "counter", "warehouse": make.main, "items": [item, item]}
        sales = [{**sale, "external_id": str(uuid.uuid4())} for _ in range(count)]
        tracemalloc.start()
        try:
            assert client.post("/api/sales/sync", {"sales": sales}).status_code == 200
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    few, many = peak(500), peak(1100)
    assert (many - few) / 600 < 5000, "bytes per sale, the client's own included"
