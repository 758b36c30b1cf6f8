"""When there is not enough: absorbing, lots, several lines of one product, and somebody who comes between."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest

from tillhook.db import utc_now
from tillhook.ledger import Document, ReserveLine, extend, reserve
from tillhook.ledger.reservations import sweep_expired
from tillhook.testing import clean


def policy(client, value, **key):
    assert client.put("/api/stock-policies", {"policy": value, **key}).status_code == 200


def lots(make, product, *rows):
    make.receipt(
        make.main,
        [
            {"product_id": product["id"], "quantity": quantity, "batch_number": batch, "expiry_date": expiry}
            for batch, quantity, expiry in rows
        ],
    )


def by_lot(client, product):
    levels = client.get("/api/inventory", params={"product": product["id"]}).json["items"]
    return {row["batch_number"]: row["on_hand"] for row in levels}


@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.parametrize(("value", "status"), [("absorb", 201), ("block", 409)])
def test_stock_that_goes_between_plan_and_posting(client, make, come_between, value, status):
    product = make.product(stock=5)
    policy(client, value, product_id=product["id"])
    come_between(lambda: make.sale([(product, 4)]))
    items = [{"product_id": product["id"], "quantity": "5"}]
    answer = client.post("/api/sales", {"channel": "counter", "warehouse": make.main, "items": items})
    assert answer.status_code == status
    assert make.stock(product) == (0 if value == "absorb" else 1)


@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.parametrize("value", ["allow", "absorb", "block"])
def test_a_lot_that_goes_between_plan_and_posting(client, make, come_between, value):
    product = make.product(tracking="lot")
    lots(make, product, ("A", 2, "2149-01-01"), ("B", 5, "2150-01-01"))
    policy(client, value, product_id=product["id"])
    come_between(lambda: make.sale([(product, 2)]))
    assert make.sale([(product, 2)])["items"][0]["batch_number"] == "B"
    assert by_lot(client, product) == {"A": "0", "B": "3"}


def test_two_lines_of_one_product_absorb_what_is_missing_once(client, make, runtime):
    product = make.product(stock=3)
    policy(client, "absorb", product_id=product["id"])
    sale = make.sale([(product, 2), (product, 4)])
    movements = client.get("/api/inventory/movements", params={"document_type": "sale", "document_id": sale.id}).json
    assert sorted((row["document_line"], row["effect"], row["quantity"]) for row in movements["items"]) == [
        (0, "issue", "2"),
        (1, "absorb", "3"),
        (1, "issue", "4"),
    ]
    assert make.stock(product) == 0
    client.post(f"/api/sales/{sale.id}/cancel", {"reason": "x"})
    assert make.stock(product) == 3
    assert clean(runtime)


def test_lots_absorb_what_no_lot_has_and_cancelling_restores_each(client, make, runtime):
    product = make.product(tracking="lot")
    lots(make, product, ("A", 2, "2149-01-01"), ("B", 1, "2150-01-01"))
    policy(client, "absorb", product_id=product["id"])
    sale = make.sale([(product, 2), (product, 4)])
    assert make.stock(product) == 0 and by_lot(client, product) == {"A": "0", "B": "0", None: "0"}
    client.post(f"/api/sales/{sale.id}/cancel", {"reason": "x"})
    assert by_lot(client, product) == {"A": "2", "B": "1", None: "0"}
    assert clean(runtime)


@pytest.mark.parametrize("value", ["block", "allow", "absorb"])
def test_no_policy_sells_an_expired_lot_without_the_permission(client, make, value):
    product = make.product(tracking="lot")
    lots(make, product, ("OLD", 5, "2020-01-01"))
    policy(client, value, product_id=product["id"])
    item = {"product_id": product["id"], "quantity": 1, "batch_number": "OLD"}
    sale = {"channel": "counter", "warehouse": make.main, "items": [item]}
    answer = client.post("/api/sales", sale, as_="cashier")
    assert answer.status_code == 422 and answer.json["code"] == "lot-expired"
    assert make.stock(product) == 5
    offline = client.post("/api/sales/sync", {"sales": [sale]}, as_="cashier").json["results"][0]
    assert offline["status"] == "created" and make.stock(product) == 4


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_a_reservation_that_is_extended_in_time_is_not_swept(make, runtime):
    product = make.product(stock=5)
    with runtime.unit_of_work() as session:
        line = ReserveLine(product["id"], None, Decimal(4))
        soon = utc_now() + timedelta(seconds=0.4)
        reserve(session, document=Document("order", 1), warehouse_id=make.main, lines=[line], expires_at=soon)

    def sweep():
        with runtime.unit_of_work() as session:
            sweep_expired(session)

    sweeper = threading.Thread(target=sweep)
    with runtime.unit_of_work() as session:
        extend(session, Document("order", 1), utc_now() + timedelta(minutes=10))
        threading.Event().wait(0.6)  # the old moment goes by, and the sweeper sees the old row
        sweeper.start()
        sweeper.join(0.5)
    sweeper.join()
    with runtime.database.connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM reservation WHERE released_at IS NULL").scalar() == 1
        assert connection.exec_driver_sql("SELECT SUM(reserved) FROM stock_level").scalar() == 40_000


def test_a_fraction_of_a_piece_can_be_counted_away(client, make):
    """An offline till sold half a piece; a count puts that right."""
    product = make.product(stock=5, unit=make.unit(precision=0)["id"])
    sale = {
        "channel": "counter",
        "warehouse": make.main,
        "items": [{"product_id": product["id"], "quantity": "0.5"}],
    }
    assert client.post("/api/sales/sync", {"sales": [sale]}).json["results"][0]["status"] == "created"
    url = f"/api/products/{product['id']}/inventory"
    assert client.put(url, {"inventory": "4", "warehouse": make.main}).status_code == 200
    assert make.stock(product) == 4
    fine = client.put(url, {"inventory": "3.5", "warehouse": make.main})
    assert fine.status_code == 422 and fine.json["errors"][0]["field"] == "inventory"


def test_a_lots_expired_reservation_stops_counting_by_itself(client, make, runtime):
    product = make.product(tracking="lot")
    lots(make, product, ("A", 2, "2149-01-01"), ("B", 2, "2150-01-01"))
    with runtime.unit_of_work() as session:
        line = ReserveLine(product["id"], None, Decimal(3))
        past = utc_now() - timedelta(seconds=1)
        reserve(session, document=Document("order", 1), warehouse_id=make.main, lines=[line], expires_at=past)
    assert [lot["batch_number"] for lot in make.sale([(product, 3)])["items"][0]["lots"]] == ["A", "B"]
    assert by_lot(client, product) == {"A": "0", "B": "1"}
    assert clean(runtime)
