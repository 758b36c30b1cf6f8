"""Variants of one product: each its own level, together one product."""


def variants(client, make, **fields):
    product = make.product(variants=[{"name": "S", "sku": "V-S"}, {"name": "M", "sku": "V-M"}], **fields)
    return product, [variant["id"] for variant in product["variants"]]


def check(client, make, product, variant=None):
    params = {"product_id": product["id"], "warehouse_id": make.main}
    if variant is not None:
        params["variant_id"] = variant
    return client.get("/api/inventory/stock/check", params=params).json


def receive(make, product, *rows, warehouse=None):
    lines = [{"product_id": product["id"], "variant_id": variant, "quantity": quantity} for variant, quantity in rows]
    make.receipt(make.main if warehouse is None else warehouse, lines)


def test_stock_of_a_variant_and_of_the_product(client, make):
    product, (small, medium) = variants(client, make, low_stock_threshold="5")
    receive(make, product, (small, 3), (medium, 4))
    assert check(client, make, product)["current_stock"] == "7"
    assert check(client, make, product)["is_low_stock"] is False
    one = check(client, make, product, small)
    assert (one["variant_id"], one["current_stock"], one["available"]) == (small, "3", "3")
    assert one["last_updated"].endswith("Z")
    params = {"product_id": product["id"], "warehouse_id": make.main, "variant_id": 999999}
    assert client.get("/api/inventory/stock/check", params=params).status_code == 404


def test_an_alert_and_an_event_are_of_the_product_over_variants_and_warehouses(client, make):
    product, (small, medium) = variants(client, make, low_stock_threshold="5")
    receive(make, product, (small, 3), (medium, 4))
    receive(make, product, (small, 10), warehouse=make.other)
    make.sale([{"product_id": product["id"], "variant_id": small, "quantity": "2"}])
    assert client.get("/api/inventory/alerts").json["items"] == []
    make.sale([{"product_id": product["id"], "variant_id": medium, "quantity": "1"}])
    (alert,) = client.get("/api/inventory/alerts").json["items"]
    assert (alert["product"], alert["variant"], alert["current_stock"]) == (product["id"], medium, "4")
    events = client.get("/api/events").json["items"]
    updated = [event for event in events if event["name"] == "product:inventory-updated"]
    assert [event["payload"]["product"]["inventory"] for event in updated] == [7, 17, 15, 14]


def test_the_product_alone_is_not_sold_by_variant(client, make):
    product, (small, _) = variants(client, make)
    receive(make, product, (small, 3))
    sale = {"channel": "counter", "warehouse": make.main, "items": [{"product_id": product["id"], "quantity": 1}]}
    answer = client.post("/api/sales", sale)
    assert answer.status_code == 422 and "sold by variant" in answer.json["detail"]
    shown = make.sale([{"product_id": product["id"], "variant_id": small, "quantity": "1"}])
    assert shown["items"][0]["variant"] == small
