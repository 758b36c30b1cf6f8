"""What has expired is on hand and not available, wherever stock is told."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, update

from tillhook import ledger
from tillhook.db import utc_now
from tillhook.ledger import Document, Lot, ReserveLine, StockLevel
from tillhook.ledger.expiring import tell_expired
from tillhook.testing import clean

TODAY = utc_now().date()
PAST, FUTURE = str(TODAY - timedelta(days=30)), str(TODAY + timedelta(days=30))


@pytest.fixture
def milk(make):
    """Return a product with 5 that are fresh, and 3 that have expired."""
    milk = make.product(tracking="lot", low_stock_threshold="6")
    rows = (("FRESH", 5, FUTURE), ("OLD", 3, PAST))
    lines = [
        {"product_id": milk.id, "quantity": quantity, "batch_number": batch, "expiry_date": expiry}
        for batch, quantity, expiry in rows
    ]
    make.receipt(make.main, lines)
    return milk


def test_what_is_told_is_what_can_be_sold(client, make, runtime, milk):
    levels = client.get(f"/api/inventory/{milk.id}").json["items"]
    assert {row["batch_number"]: (row["on_hand"], row["available"], row["expired"]) for row in levels} == {
        "FRESH": ("5", "5", "0"),
        "OLD": ("3", "0", "3"),
    }
    check = client.get("/api/inventory/stock/check", params={"product_id": milk.id, "warehouse_id": make.main}).json
    assert (check["current_stock"], check["available"], check["expired"]) == ("8", "5", "3")
    assert check["is_low_stock"] is False  # it is said of what is on hand, as alerts are
    product = client.get(f"/api/products/{milk.id}").json
    assert (product["inventory"], product["expired"]) == ("5", "3")
    with runtime.unit_of_work(write=False) as session:
        assert ledger.available_by_product(session, [milk.id]) == {milk.id: 5}
    sale = {"channel": "counter", "warehouse": make.main, "items": [{"product_id": milk.id, "quantity": "6"}]}
    (short,) = client.post("/api/sales/quote", sale).json["short_lines"]
    assert (short["available"], short["expired"], short["variant"]) == ("5", "3", None)
    refused = client.post("/api/sales", sale)
    assert refused.json["errors"] == [{"field": "items.0.quantity", "message": "Only 5 available; 3 expired."}]
    assert refused.json["short_lines"][0]["variant_id"] is None
    make.sale([(milk, 5)])
    assert client.get(f"/api/products/{milk.id}").json["inventory"] == "0"


def test_what_was_sold_of_a_lot_beyond_what_there_was_does_not_expire(client, make, runtime, milk):
    """What is missing is missing after the lot's last day too, and hides nothing of what has expired."""
    line = {"product_id": milk.id, "quantity": "2", "batch_number": "NEW", "expiry_date": PAST}
    body = {"channel": "counter", "warehouse": make.main, "items": [line]}
    assert client.post("/api/sales/sync", {"sales": [body]}).json["results"][0]["status"] == "created"
    product = client.get(f"/api/products/{milk.id}").json
    assert (product["inventory"], product["expired"]) == ("3", "3")
    levels = client.get(f"/api/inventory/{milk.id}").json["items"]
    assert {row["batch_number"]: (row["available"], row["expired"]) for row in levels} == {
        "FRESH": ("5", "0"),
        "OLD": ("0", "3"),
        "NEW": ("-2", "0"),
    }
    check = client.get("/api/inventory/stock/check", params={"product_id": milk.id, "warehouse_id": make.main}).json
    assert (check["current_stock"], check["available"], check["expired"]) == ("6", "3", "3")
    events = client.get("/api/events").json["items"]
    assert [e["payload"]["product"]["inventory"] for e in events if e["name"] == "product:inventory-updated"][-1] == 3
    assert clean(runtime)


def test_who_may_sell_what_has_expired_names_the_lot(client, make, milk):
    line = {"product_id": milk.id, "quantity": "2", "batch_number": "OLD"}
    sale = {"channel": "counter", "warehouse": make.main, "items": [line]}
    assert client.post("/api/sales", sale, as_="cashier").json["code"] == "lot-expired"
    assert client.post("/api/sales", sale).status_code == 201
    product = client.get(f"/api/products/{milk.id}").json
    assert (product["inventory"], product["expired"]) == ("5", "1")


def test_what_is_reserved_of_a_lot_that_has_expired_since_is_taken_off_nothing_else(client, make, runtime, milk):
    with runtime.unit_of_work() as session:
        line = ReserveLine(milk.id, None, Decimal(2))
        ledger.reserve(session, Document("t.order", 1), make.main, (line,), expires_at=utc_now() + timedelta(days=1))
        lot = session.scalars(select(Lot.id).where(Lot.batch_number == "FRESH")).one()
    assert client.get(f"/api/products/{milk.id}").json["inventory"] == "3"
    with runtime.unit_of_work() as session:
        session.get(Lot, lot).expiry_date = TODAY - timedelta(days=9)
    product = client.get(f"/api/products/{milk.id}").json
    assert (product["inventory"], product["expired"]) == ("0", "8")


def test_the_day_is_the_business_day(client, make, runtime):
    """A lot is sold on its last day, which ends where the business is: before, or after, the day of UTC."""
    product = make.product(tracking="lot")
    line = {"product_id": product.id, "quantity": 4, "batch_number": "A", "expiry_date": str(TODAY)}
    make.receipt(make.main, [line])
    told = []
    for zone, cutoff in (("Etc/GMT+12", 23), ("Etc/GMT-14", 0)):
        assert client.patch("/api/settings", {"timezone": zone, "day_cutoff_hour": cutoff}).status_code == 200
        shown = client.get(f"/api/products/{product.id}").json
        with runtime.unit_of_work(write=False) as session:
            is_over = ledger.today_of(session) > TODAY
        assert (shown["inventory"], shown["expired"]) == (("0", "4") if is_over else ("4", "0"))
        told.append(is_over)
        wanted = ReserveLine(product.id, None, Decimal(1))
        with runtime.unit_of_work() as session:
            document, until = Document("t.order", len(told)), utc_now() + timedelta(hours=1)
            if is_over:
                with pytest.raises(ledger.InsufficientStock):
                    ledger.reserve(session, document, make.main, (wanted,), expires_at=until)
            else:
                ledger.reserve(session, document, make.main, (wanted,), expires_at=until)
                ledger.release(session, document)
    assert told[0] is False


def test_what_expires_with_the_day_is_told_once(client, make, runtime):
    """Nothing moves: a job says what is available then, and again only when something else expires."""
    product = make.product(tracking="lot")
    lines = [
        {"product_id": product.id, "quantity": 4, "batch_number": str(day), "expiry_date": str(day)}
        for day in (TODAY + timedelta(days=1), TODAY + timedelta(days=2), TODAY + timedelta(days=200))
    ]
    make.receipt(make.main, lines)

    def turn():
        with runtime.unit_of_work() as session:
            count = tell_expired(session)
        events = client.get("/api/events", params={"limit": "1000"}).json["items"]
        told = [each["payload"]["product"] for each in events if each["name"] == "product:inventory-updated"]
        return count, [each["inventory"] for each in told if each["_id"] == product.id][-1]

    assert turn() == (0, 12)
    for days in (1, 2):
        with runtime.unit_of_work() as session:
            lot = session.scalars(select(Lot).where(Lot.batch_number == str(TODAY + timedelta(days=days)))).one()
            lot.expiry_date = TODAY - timedelta(days=days)
            session.execute(
                update(StockLevel).where(StockLevel.lot_id == lot.id).values(updated_at=utc_now() - timedelta(days=9))
            )
        assert turn() == (1, 12 - 4 * days) and turn() == (0, 12 - 4 * days)
    assert clean(runtime)
