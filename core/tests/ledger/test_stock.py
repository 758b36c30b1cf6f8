"""The ledger over HTTP: receipts, adjustments, transfers, counts, checks, thresholds and alerts."""

from decimal import Decimal

import pytest


def check(client, product, warehouse):
    return client.get(
        "/api/inventory/stock/check", params={"product_id": product["id"], "warehouse_id": warehouse}
    ).json


def test_a_receipt_puts_goods_on_hand(client, make):
    product = make.product()
    answer = client.post(
        "/api/inventory/receipts",
        {"warehouse": make.main, "lines": [{"product_id": product["id"], "quantity": "12", "unit_cost": "3.20"}]},
    )
    assert answer.status_code == 201 and answer.json["number"].startswith("REC")
    stock = check(client, product, make.main)
    assert (stock["current_stock"], stock["available"], stock["low_stock_threshold"], stock["is_low_stock"]) == (
        "12",
        "12",
        "10",
        False,
    )
    assert client.get(f"/api/products/{product['id']}").json["inventory"] == "12"


def test_an_adjustment_needs_a_reason_and_never_takes_more_than_there_is(client, make):
    product = make.product(stock=5)

    def adjust(quantity, reason="broken"):
        lines = [{"product_id": product["id"], "quantity": quantity}]
        return client.post("/api/inventory/adjustments", {"warehouse": make.main, "reason": reason, "lines": lines})

    assert adjust("-2").status_code == 201 and make.stock(product) == 3
    assert adjust("4").status_code == 201 and make.stock(product) == 7
    assert adjust("-8").json["code"] == "insufficient-stock" and make.stock(product) == 7
    assert adjust("1", reason="").json["errors"][0]["field"] == "reason"
    assert adjust("0").status_code == 422


def test_a_transfer_moves_between_warehouses(client, make):
    product = make.product(stock=5)
    lines = [{"product_id": product["id"], "quantity": "3"}]
    body = {"from_warehouse": make.main, "to_warehouse": make.other, "lines": lines}
    assert client.post("/api/inventory/transfers", body).status_code == 201
    assert (make.stock(product), make.stock(product, make.other)) == (2, 3)
    assert client.post("/api/inventory/transfers", body).json["code"] == "insufficient-stock"
    same = client.post("/api/inventory/transfers", body | {"to_warehouse": make.main})
    assert same.json["errors"][0]["field"] == "to_warehouse"
    foreign = client.post("/api/inventory/transfers", body, as_="supplier")
    assert foreign.status_code == 403 and foreign.json["errors"][0]["field"] == "to_warehouse"


def test_setting_the_inventory_posts_the_difference(client, make):
    product = make.product(stock=5)
    url = f"/api/products/{product['id']}/inventory"
    assert client.put(url, {"inventory": 50, "warehouse": make.main}).status_code == 200
    assert make.stock(product) == 50
    stale = client.put(url, {"inventory": 7, "warehouse": make.main, "expected": 5})
    assert stale.status_code == 409 and make.stock(product) == 50
    assert client.put(url, {"inventory": -1, "warehouse": make.main}).status_code == 422
    movements = client.get("/api/inventory/movements", params={"product": product["id"]}).json["items"]
    assert [(row["document_type"], row["quantity"]) for row in movements] == [("count", "45"), ("receipt", "5")]


def test_over_all_locations_every_variant_sums_to_zero(client, make, runtime):
    product = make.product(stock=5)
    make.sale([(product, 2)])
    with runtime.database.connect() as connection:
        total = connection.exec_driver_sql(
            "SELECT SUM(q) FROM (SELECT quantity AS q FROM stock_movement UNION ALL"
            " SELECT -quantity FROM stock_movement) AS both_sides"
        ).scalar_one()
    assert total == 0


def alerts(client, **params):
    return client.get("/api/inventory/alerts", params=params).json["items"]


def test_one_alert_opens_on_crossing_down_and_resolves_on_crossing_up(client, make):
    product = make.product(stock=12)
    assert alerts(client) == []
    make.sale([(product, 2)])
    assert alerts(client) == []  # 10 is not below 10
    sale = make.sale([(product, 1)])
    make.sale([(product, 1)])
    opened = alerts(client, status="open")
    told = [(row["product"], row["stock_at_opening"], row["current_stock"], row["threshold"]) for row in opened]
    assert told == [(product["id"], "9", "8", "10")]
    client.post(f"/api/sales/{sale.id}/cancel", {"reason": "x"})
    assert len(alerts(client, status="open")) == 1  # 9 again
    make.receipt(make.main, [(product, 1)])
    assert alerts(client, status="open") == []
    (resolved,) = alerts(client, status="resolved")
    assert resolved["resolved_at"] and (resolved["stock_at_opening"], resolved["current_stock"]) == ("9", "10")


def test_an_alert_counts_lots_and_variants_together(client, make):
    product = make.product(tracking="lot", low_stock_threshold="5")
    for batch in ("A", "B"):
        line = {"product_id": product["id"], "quantity": "3", "batch_number": batch}
        make.receipt(make.main, [line])
    make.sale([(product, 1)])
    assert alerts(client, status="open") == []
    make.sale([(product, 1)])
    assert [row["current_stock"] for row in alerts(client, status="open")] == ["4"]


def test_thresholds_go_warehouse_product_setting(client, make):
    product = make.product(stock=7, low_stock_threshold="5")
    assert check(client, product, make.main)["is_low_stock"] is False
    url = f"/api/inventory/{product['id']}/threshold"
    answer = client.put(url, {"warehouse": make.main, "threshold": 8})
    assert answer.json["is_low_stock"] is True
    assert len(alerts(client, status="open")) == 1
    assert client.put(url, {"warehouse": make.main, "threshold": None}).json["low_stock_threshold"] == "5"
    assert alerts(client, status="open") == []


def test_first_expired_goes_first_over_several_lots(client, make):
    product = make.product(tracking="lot")
    for batch, expiry, quantity in (("LATE", "2150-01-01", 5), ("SOON", "2149-01-01", 2), ("OLD", "2020-01-01", 9)):
        line = {"product_id": product["id"], "quantity": quantity, "batch_number": batch, "expiry_date": expiry}
        make.receipt(make.main, [line])
    sale = make.sale([(product, 3)])
    taken = [(lot["batch_number"], lot["expiry_date"]) for lot in sale["items"][0]["lots"]]
    assert taken == [("SOON", "2149-01-01"), ("LATE", "2150-01-01")]
    levels = client.get("/api/inventory", params={"product": product["id"]}).json["items"]
    assert {row["batch_number"]: row["on_hand"] for row in levels} == {"SOON": "0", "LATE": "4", "OLD": "9"}
    short = client.post(
        "/api/sales",
        {"channel": "counter", "warehouse": make.main, "items": [{"product_id": product["id"], "quantity": 5}]},
        as_="cashier",
    )
    assert short.json["short_lines"][0]["available"] == "4"  # expired goods are not for sale


def test_a_named_lot_is_the_lot_sold_and_an_expired_one_needs_permission(client, make):
    product = make.product(tracking="lot")
    for batch, expiry in (("NEW", "2150-01-01"), ("OLD", "2020-01-01")):
        line = {"product_id": product["id"], "quantity": 5, "batch_number": batch, "expiry_date": expiry}
        make.receipt(make.main, [line])

    def sell(batch, as_):
        item = {"product_id": product["id"], "quantity": 1, "batch_number": batch}
        return client.post("/api/sales", {"channel": "counter", "warehouse": make.main, "items": [item]}, as_=as_)

    assert sell("OLD", "cashier").json["code"] == "lot-expired"
    assert sell("OLD", "admin").json["items"][0]["batch_number"] == "OLD"
    assert sell("NONE", "cashier").json["errors"][0]["field"] == "items.0.batch_number"
    assert sell("NEW", "cashier").status_code == 201


def test_returned_goods_go_back_to_the_lots_they_came_from(client, make):
    product = make.product(tracking="lot")
    for batch, expiry in (("A", "2149-01-01"), ("B", "2150-01-01")):
        line = {"product_id": product["id"], "quantity": 2, "batch_number": batch, "expiry_date": expiry}
        make.receipt(make.main, [line])
    sale = make.sale([(product, 3)])
    lines = [{"line_id": sale["items"][0]["id"], "quantity": "2"}]
    assert client.post(f"/api/sales/{sale.id}/returns", {"lines": lines}).status_code == 201
    levels = client.get("/api/inventory", params={"product": product["id"]}).json["items"]
    assert {row["batch_number"]: row["on_hand"] for row in levels} == {"A": "2", "B": "1"}


@pytest.mark.parametrize("field", ["batch_number", "expiry_date"])
def test_lots_are_told_apart(client, make, field):
    product = make.product(tracking="lot")
    line = {"product_id": product["id"], "quantity": 2, "batch_number": "A", "expiry_date": "2149-01-01"}
    make.receipt(make.main, [line])
    wrong = (
        {key: value for key, value in line.items() if key != field}
        if field == "batch_number"
        else line | {"expiry_date": "2148-01-01"}
    )
    answer = client.post("/api/inventory/receipts", {"warehouse": make.main, "lines": [wrong]})
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == f"lines.0.{field}"


def test_stock_as_it_was(client, make):
    product = make.product()
    make.receipt(make.main, [(product, 10)], occurred_at="2026-01-10T10:00:00Z")
    make.receipt(make.main, [(product, 5)], occurred_at="2026-01-20T10:00:00Z")
    params = {"product": product["id"], "as_of": "2026-01-15T00:00:00Z"}
    assert [row["on_hand"] for row in client.get("/api/inventory", params=params).json["items"]] == ["10"]
    unknown = params | {"known_at": "2026-01-15T00:00:00Z"}
    assert client.get("/api/inventory", params=unknown).json["items"] == []


def test_sellers_see_their_own_warehouses_only(client, make):
    product = make.product(stock={make.main: 3, make.other: 4})
    mine = client.get("/api/inventory", params={"product": product["id"]}, as_="cashier").json["items"]
    assert [row["warehouse_id"] for row in mine] == [make.main]
    assert client.get(f"/api/products/{product['id']}", as_="cashier").json["inventory"] == "3"
    foreign = client.get(
        "/api/inventory/stock/check", params={"product_id": product["id"], "warehouse_id": make.other}, as_="cashier"
    )
    assert foreign.status_code == 403
    names = {row["id"] for row in client.get("/api/warehouses", as_="cashier").json["items"]}
    assert names == {make.main}


def test_levels_are_paged(client, make):
    for _ in range(3):
        make.product(stock=1)
    first = client.get("/api/inventory", params={"limit": "2"}).json
    rest = client.get("/api/inventory", params={"cursor": first["next_cursor"]}).json
    keys = [(row["product_id"], row["warehouse_id"]) for row in first["items"] + rest["items"]]
    assert len(keys) == 3 == len(set(keys)) and rest["next_cursor"] is None
    assert client.get("/api/inventory", params={"cursor": "x"}).status_code == 422


def test_a_closed_warehouse_sells_nothing(client, make):
    warehouse = make.warehouse()
    product = make.product(stock={warehouse: 2})
    url = f"/api/warehouses/{warehouse.id}"
    assert client.patch(url, {"is_active": False}).json["code"] == "warehouse-not-empty"
    client.put(f"/api/products/{product['id']}/inventory", {"inventory": 0, "warehouse": warehouse.id})
    assert client.patch(url, {"is_active": False}).status_code == 200
    items = [{"product_id": product["id"], "quantity": 1}]
    answer = client.post("/api/sales", {"channel": "counter", "warehouse": warehouse.id, "items": items})
    assert answer.json["errors"][0]["field"] == "warehouse"


def test_quantities_keep_their_digits(client, make):
    product = make.product(unit=make.unit(precision=3)["id"])
    make.receipt(make.main, [(product, "0.125")])
    assert make.stock(product) == Decimal("0.125")
    finer = {"product_id": product["id"], "quantity": "0.1234"}
    answer = client.post("/api/inventory/receipts", {"warehouse": make.main, "lines": [finer]})
    assert answer.json["errors"][0]["field"] == "lines.0.quantity"
