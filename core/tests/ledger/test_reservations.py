"""Reserving stock: what e-commerce will call."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tillhook import ledger
from tillhook.db import utc_now
from tillhook.ledger import Document, InsufficientStock, ReserveLine, release, reserve
from tillhook.ledger.posting import promises
from tillhook.ledger.reservations import sweep_expired
from tillhook.sales import SaleCommand, SaleItem, post_sale
from tillhook.testing import clean


def hold(runtime, make, product, quantity, document=1, seconds=600):
    with runtime.unit_of_work() as session:
        reserve(
            session,
            document=Document("order", document),
            warehouse_id=make.main,
            lines=[ReserveLine(product["id"], None, Decimal(quantity))],
            expires_at=utc_now() + timedelta(seconds=seconds),
        )


def stock(client, make, product):
    params = {"product_id": product["id"], "warehouse_id": make.main}
    answer = client.get("/api/inventory/stock/check", params=params).json
    return answer["current_stock"], answer["available"]


def test_reserved_stock_is_not_available(client, make, runtime):
    product = make.product(stock=5)
    hold(runtime, make, product, 4)
    assert stock(client, make, product) == ("5", "1")
    assert client.get(f"/api/products/{product['id']}").json["inventory"] == "1"
    with pytest.raises(InsufficientStock) as refused:
        hold(runtime, make, product, 2, document=2)
    assert refused.value.extra["short_lines"][0]["available"] == "1"
    items = [{"product_id": product["id"], "quantity": 2}]
    answer = client.post("/api/sales", {"channel": "counter", "warehouse": make.main, "items": items})
    assert answer.status_code == 409


def test_released_stock_is_available_again(client, make, runtime):
    product = make.product(stock=5)
    hold(runtime, make, product, 4)
    with runtime.unit_of_work() as session:
        assert release(session, Document("order", 1)) == 1
        assert release(session, Document("order", 1)) == 0
    assert stock(client, make, product) == ("5", "5")


def test_an_expired_reservation_stops_counting_by_itself(client, make, runtime):
    product = make.product(stock=5)
    hold(runtime, make, product, 4, seconds=-1)
    assert stock(client, make, product) == ("5", "5")
    make.sale([(product, 5)])
    assert stock(client, make, product) == ("0", "0")


def test_a_sale_uses_up_its_own_reservation(client, make, runtime):
    product = make.product(stock=5)
    hold(runtime, make, product, 5)
    with runtime.unit_of_work() as session:
        line = SaleItem(product_id=product["id"], quantity=Decimal(5))
        outcome = post_sale(
            session, SaleCommand(items=(line,), channel="counter", warehouse=make.main, reservation=("order", 1))
        )
    assert outcome.status == "created"
    assert stock(client, make, product) == ("0", "0")


def test_lots_are_reserved_first_expired_first(client, make, runtime):
    product = make.product(tracking="lot")
    for batch, expiry in (("LATE", "2150-01-01"), ("SOON", "2149-01-01")):
        line = {"product_id": product["id"], "quantity": 2, "batch_number": batch, "expiry_date": expiry}
        make.receipt(make.main, [line])
    hold(runtime, make, product, 3)
    levels = client.get("/api/inventory", params={"product": product["id"]}).json["items"]
    assert {row["batch_number"]: row["reserved"] for row in levels} == {"SOON": "2", "LATE": "1"}
    assert make.sale([(product, 1)])["items"][0]["batch_number"] == "LATE"


def told(client, product):
    """Return what the events said was available of the product, one after the other."""
    events = client.get("/api/events", params={"limit": "1000"}).json["items"]
    products = [each["payload"]["product"] for each in events if each["name"] == "product:inventory-updated"]
    return [each["inventory"] for each in products if each["_id"] == product["id"]]


def test_promising_and_releasing_are_told(client, make, runtime):
    product = make.product(stock=5)
    hold(runtime, make, product, 4)
    hold(runtime, make, product, 1, document=2, seconds=-1)
    with runtime.unit_of_work() as session:
        release(session, Document("order", 1))
        assert sweep_expired(session) == 1
        release(session, Document("order", 1))
    assert told(client, product) == [5, 1, 0, 4, 5]


def test_a_sale_tells_once_that_its_reservation_is_gone(client, make, runtime, door):
    product = make.product(stock=5)
    hold(runtime, make, product, 4)
    door.issue((product, 4), fulfils=Document("order", 1))
    assert told(client, product) == [5, 1, 1]
    with runtime.unit_of_work() as session:
        assert release(session, Document("order", 1)) == 0


def test_a_document_that_is_refused_keeps_its_reservation(client, make, runtime, door):
    product = make.product(stock=5)
    hold(runtime, make, product, 4)
    with runtime.unit_of_work() as session:
        issues = [door.document([(product, quantity)], Document("t.invoice", quantity)) for quantity in (6, 2)]
        issues[0] = replace(issues[0], fulfils=Document("order", 1))
        refused = ledger.issue_many(session, issues)
    assert [each.short[0].available for each in refused] == [5, 1]
    assert stock(client, make, product) == ("5", "1")


@pytest.mark.parametrize("tidied_by", ["worker", "sale"])
def test_a_bounded_number_of_expired_reservations_is_released_at_a_time(make, runtime, monkeypatch, door, tidied_by):
    monkeypatch.setattr(promises, "CHUNK", 3)
    product = make.product(stock=5)
    with runtime.unit_of_work() as session:
        lines = [ReserveLine(product["id"], None, Decimal("0.7"))] * 7
        reserve(session, Document("order", 1), make.main, lines, expires_at=utc_now() - timedelta(seconds=1))
    if tidied_by == "sale":
        # None of them counts, released or not.
        door.issue((product, 5))
    else:
        with runtime.unit_of_work() as session:
            assert sweep_expired(session) == 3
    with runtime.database.connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM reservation WHERE released_at IS NULL").scalar() == 4
        assert connection.exec_driver_sql("SELECT SUM(reserved) FROM stock_level").scalar() == 28_000
    assert clean(runtime)


ORDER = {"fulfils": Document("order", 1)}


def test_a_reservation_is_used_up_once(make, runtime, door):
    product = make.product(stock=5)
    hold(runtime, make, product, 3)
    with runtime.unit_of_work() as session:
        wanted = [(Document("t.doc", 1), 6), (Document("t.doc", 2), 5), (Document("t.doc", 3), 3)]
        issues = [door.document([(product, quantity)], document, options=ORDER) for document, quantity in wanted]
        results = ledger.issue_many(session, issues)
    # Who is refused uses nothing up.
    assert [isinstance(each, InsufficientStock) for each in results] == [True, False, True]
    assert make.stock(product) == 0 and clean(runtime)


def test_what_a_document_has_reserved_is_not_short_for_it(make, runtime, door):
    product = make.product(stock=5)
    hold(runtime, make, product, 3)
    with runtime.unit_of_work(write=False) as session:
        assert ledger.shortages(session, door.document([(product, 5)], options=ORDER)) == ()
        assert [each.available for each in ledger.shortages(session, door.document([(product, 5)]))] == [2]


def test_what_was_promised_too_long_ago_is_not_short(make, runtime, door):
    product = make.product(stock=5)
    hold(runtime, make, product, 1, document=2)
    hold(runtime, make, product, 3, seconds=-1)
    with runtime.unit_of_work(write=False) as session:
        assert ledger.shortages(session, door.document([(product, 4)])) == ()
        assert [each.available for each in ledger.shortages(session, door.document([(product, 5)]))] == [4]


def test_restating_uses_up_a_reservation(make, runtime, door):
    product = make.product(stock=5)
    door.issue((product, 1))
    hold(runtime, make, product, 3)
    door.restate((product, 5), **ORDER)
    assert make.stock(product) == 0 and clean(runtime)
