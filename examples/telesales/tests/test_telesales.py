"""What the example promises, through public faces only."""

from pathlib import Path

import tillhook_telesales.hooks
from tillhook.testing import PluginContract


class TestContract(PluginContract):
    plugin = "telesales"


def order(make, product, quantity=1, **fields):
    items = [{"product_id": product["id"], "quantity": quantity}]
    return {"warehouse": make.main, "items": items, "payment_method": "bank_transfer", **fields}


def test_an_order_is_a_sale_of_the_channel(client, make):
    product = make.product(price="20.00", stock=50)
    answer = client.post("/api/telesales/orders", order(make, product, 2, customer_phone="555-0100"), as_="cashier")
    assert answer.status_code == 201, answer.text
    assert answer.json["channel"] == "telesales"
    assert answer.json["sale_number"].startswith("TS")
    assert make.stock(product) == 48


def test_the_surcharge_is_a_setting(client, make):
    product = make.product(price="20.00", stock=50)
    assert client.patch("/api/settings", {"telesales.surcharge": "1.50"}).status_code == 200
    answer = client.post("/api/telesales/orders", order(make, product), as_="cashier")
    assert answer.json["total_amount"] == "21.50"


def test_it_reacts_to_low_stock(client, make, worker):
    product = make.product(price="20.00", stock=10)
    client.post("/api/telesales/orders", order(make, product))
    worker.run_once()
    entries = client.get("/api/audit", params={"action": "stop-offering"}).json["items"]
    assert [entry["entity_id"] for entry in entries] == [str(product["id"])]


def test_a_channel_takes_fifty_lines():
    source = Path(tillhook_telesales.hooks.__file__).read_text()
    assert len(source.splitlines()) <= 50
