"""What the database itself refuses, and what each movement carries."""

import pytest

from tillhook.server.verify import verify

COLUMNS = (
    "product_id, variant_id, lot_id, quantity, source_id, destination_id, occurred_at, recorded_at,"
    " document_type, document_id, document_line, effect, reverses_id"
)
NOW = "'2026-01-31T00:00:00.000000Z'"


def movements(client, product, **params):
    return client.get("/api/inventory/movements", params={"product": product["id"], **params}).json["items"]


def copied(**changes):
    """Return an insert of the sale's movement once more, as another document unless ``changes`` say otherwise."""
    values = {name.strip(): name.strip() for name in COLUMNS.split(",")} | {"document_id": "999"} | changes
    return (
        f"INSERT INTO stock_movement ({COLUMNS}) SELECT {', '.join(values.values())} FROM stock_movement"
        " WHERE document_type = 'sale'"
    )


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"quantity": "0"}, "positive"),
        ({"quantity": "-quantity"}, "positive"),
        ({"quantity": "1000000000000000"}, "quantity"),
        ({"destination_id": "source_id"}, "moves"),
        ({"document_id": "document_id"}, "effect"),
        ({"variant_id": "999"}, "(?i)foreign key"),
    ],
)
def test_the_database_refuses(client, make, runtime, changes, constraint):
    make.sale([(make.product(stock=5), 1)])
    with pytest.raises(Exception, match=constraint), runtime.unit_of_work() as session:
        session.connection().exec_driver_sql(copied(**changes))
    with runtime.unit_of_work() as session:
        session.connection().exec_driver_sql(copied())  # nothing but the change was refused


def test_a_movement_is_undone_by_no_more_than_it_moved(client, make, runtime):
    sale = make.sale([(make.product(stock=5), 1)])
    client.post(f"/api/sales/{sale.id}/cancel", {"reason": "x"})
    back = {"source_id": "destination_id", "destination_id": "source_id", "reverses_id": "id", "effect": "'again'"}
    with runtime.unit_of_work() as session:
        session.connection().exec_driver_sql(copied(**back))
    (found,) = [found for name, found in verify(runtime) if name == "reversals"]
    assert [(each.expected, each.actual) for each in found] == [("1.0000", "2.0000")]


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("quantity", ["'abc'", "1.5", "9223372036854775807 + 1"])
def test_sqlite_keeps_whole_numbers_only(make, runtime, quantity):
    make.sale([(make.product(stock=5), 1)])
    with pytest.raises(Exception, match="quantity_exact"), runtime.unit_of_work() as session:
        session.connection().exec_driver_sql(copied(quantity=quantity))


def test_what_the_shops_hold_is_what_the_world_outside_gave(client, make, runtime):
    """Stock comes from somewhere: all levels together are what vendors, customers and adjustments are short of."""
    product = make.product(stock={make.main: 20, make.other: 5})
    client.put("/api/stock-policies", {"policy": "absorb", "warehouse": make.other})
    sale = make.sale([(product, 3)])
    make.sale([(product, 9)], warehouse=make.other)
    lines = [{"line_id": sale["items"][0]["id"], "quantity": "1", "restock": False}]
    client.post(f"/api/sales/{sale.id}/returns", {"lines": lines})
    client.put(f"/api/products/{product['id']}/inventory", {"inventory": 30, "warehouse": make.main})
    lines = [{"product_id": product["id"], "quantity": 4}]
    body = {"from_warehouse": make.main, "to_warehouse": make.other, "lines": lines}
    assert client.post("/api/inventory/transfers", body).status_code == 201
    with runtime.database.connect() as connection:
        held = connection.exec_driver_sql("SELECT SUM(on_hand) FROM stock_level").scalar_one()
        rows = connection.exec_driver_sql("SELECT source_id, destination_id, quantity FROM stock_movement").all()
    outside = {}
    for source, destination, quantity in rows:
        for place, change in ((source, -quantity), (destination, quantity)):
            if place < 0:
                outside[place] = outside.get(place, 0) + change
    assert held == 30_0000 and sum(outside.values()) == -held
    # Vendors gave 25; customers have 3 + 9 - 1; 4 were absorbed and 13 counted in; 1 is scrap.
    assert outside == {-1: -25_0000, -2: 11_0000, -3: -17_0000, -4: 1_0000}


def test_a_movement_has_the_time_it_happened_and_the_time_it_was_learned_of(client, make):
    product = make.product(stock=5)
    item = {"product_id": product["id"], "quantity": "1"}
    at = "2026-01-31T14:30:00.000000Z"
    sale = {"channel": "counter", "warehouse": make.main, "items": [item], "client_timestamp": at}
    (result,) = client.post("/api/sales/sync", {"sales": [sale]}).json["results"]
    (row,) = movements(client, product, document_type="sale")
    assert (row["occurred_at"], result["sale"]["sale_date"]) == (at, at)
    assert row["recorded_at"] >= result["sale"]["synced_at"] > at


def test_an_inbound_movement_carries_its_cost_which_not_everybody_sees(client, make):
    product = make.product(cost_price="4.00")
    make.receipt(make.main, [{"product_id": product["id"], "quantity": 2, "unit_cost": "3.2001"}])
    make.receipt(make.main, [(product, 2)])
    assert [row["unit_cost"] for row in movements(client, product)] == ["4.00", "3.2001"]
    answer = client.get("/api/inventory/movements", params={"product": product["id"]}, as_="supplier")
    if answer.status_code == 200:
        may = "catalogue:cost:read" in client.get("/api/auth/me", as_="supplier").json["permissions"]
        assert all(("unit_cost" in row) == may for row in answer.json["items"])
