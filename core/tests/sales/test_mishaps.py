"""What went wrong offline is taken and flagged; online the same is refused."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tillhook.db import utc_now
from tillhook.testing import clean

TODAY = utc_now().date()
FRESH, LATER, GONE = (TODAY + timedelta(days=days) for days in (100, 200, -30))


@pytest.fixture
def milk(make):
    """Lots: 5 of A, which expires first, 5 of B, and 5 of OLD, which has expired."""
    product = make.product(price="2.00", tracking="lot")
    lots = {"A": FRESH, "B": LATER, "OLD": GONE}
    make.receipt(
        make.main,
        [
            {"product_id": product.id, "quantity": 5, "batch_number": name, "expiry_date": day.isoformat()}
            for name, day in lots.items()
        ],
    )
    return product


@pytest.fixture
def sell(client, make):
    """Return what sells one item offline, or online by its status and answer."""

    def body(product, quantity=1, **item):
        line = {"product_id": product.id, "quantity": str(quantity), **item}
        return {"channel": "counter", "warehouse": make.main, "items": [line]}

    def online(*what, as_="cashier", **item):
        return client.post("/api/sales", body(*what, **item), as_=as_)

    def offline(*what, **item):
        (result,) = client.post("/api/sales/sync", {"sales": [body(*what, **item)]}, as_="cashier").json["results"]
        assert result["status"] == "created", result
        assert client.get(f"/api/sales/{result['sale']['id']}").json == result["sale"]
        return result["sale"]

    online.offline = offline
    return online


def flags(sale):
    (item,) = sale["items"]
    assert sale["flags"] == item["flags"]
    return item["flags"]


def test_an_expired_lot_is_flagged_however_it_was_chosen(client, make, runtime, sell, milk):
    assert flags(sell.offline(milk, batch_number="OLD")) == ["expired-lot"]
    assert flags(sell.offline(milk, 10)) == []
    picked = sell.offline(milk)
    assert flags(picked) == ["expired-lot"] and picked["items"][0]["batch_number"] == "OLD"
    refused = sell(milk, batch_number="OLD")
    assert (refused.status_code, refused.json["code"]) == (422, "lot-expired")
    # Who may sell it sells it, and that is on record too.
    assert flags(sell(milk, batch_number="OLD", as_="admin").json) == ["expired-lot"]
    assert clean(runtime)


def test_a_till_cannot_turn_its_clock_back_to_sell_what_has_expired(client, make, sell, milk):
    line = {"product_id": milk.id, "quantity": "1", "batch_number": "OLD"}
    body = {"channel": "counter", "warehouse": make.main, "client_timestamp": f"{GONE}T10:00:00Z", "items": [line]}
    assert client.post("/api/sales", body, as_="cashier").json["code"] == "lot-expired"


def test_a_lot_that_nobody_received_is_flagged(client, make, runtime, sell, milk):
    sale = sell.offline(milk, batch_number="NEW", expiry_date=LATER.isoformat())
    assert flags(sale) == ["oversold", "unknown-lot"] or flags(sale) == ["unknown-lot", "oversold"]
    assert (sale["items"][0]["batch_number"], sale["items"][0]["expiry_date"]) == ("NEW", LATER.isoformat())
    refused = sell(milk, batch_number="OTHER")
    assert (refused.status_code, refused.json["code"]) == (422, "unknown-lot")
    lines = [{"product_id": milk.id, "quantity": "1", "batch_number": "SAME"}] * 2
    both = {"channel": "counter", "warehouse": make.main, "items": lines}
    (result,) = client.post("/api/sales/sync", {"sales": [both]}).json["results"]
    assert ["unknown-lot" in item["flags"] for item in result["sale"]["items"]] == [True, True]
    assert result["sale"]["flags"].count("unknown-lot") == 1
    assert clean(runtime)


def test_a_lot_that_nobody_received_is_flagged_where_shortage_is_absorbed(client, runtime, sell, milk):
    """Such a sale is planned twice, the second time with locks; the first plan made the lot."""
    for channel in ("counter", "counter:offline"):
        client.put("/api/stock-policies", {"policy": "absorb", "channel": channel})
    assert flags(sell.offline(milk, batch_number="NEW")) == ["unknown-lot", "absorbed"]
    assert flags(sell(milk, batch_number="NEWER").json) == ["unknown-lot", "absorbed"]
    assert clean(runtime)


@pytest.mark.parametrize("tracking", ["quantity", "lot"])
def test_what_went_below_zero_is_flagged_and_nothing_else(client, make, runtime, sell, tracking):
    product = make.product(tracking=tracking)
    batch = {"batch_number": "A"} if tracking == "lot" else {}
    make.receipt(make.main, [{"product_id": product.id, "quantity": 3, **batch}])
    assert [flags(sell.offline(product, quantity)) for quantity in (1, 2, 1)] == [[], [], ["oversold"]]
    one = sell(product)
    assert (one.status_code, one.json["code"]) == (409, "insufficient-stock")
    assert make.stock(product) == -1 and clean(runtime)


def test_of_a_batch_those_are_flagged_that_found_nothing(client, make, runtime):
    product = make.product(stock=5)
    item = {"product_id": product.id, "quantity": "2"}
    body = {"channel": "counter", "warehouse": make.main, "items": [item]}
    results = client.post("/api/sales/sync", {"sales": [body] * 4}).json["results"]
    assert [result["sale"]["flags"] for result in results] == [[], [], ["oversold"], ["oversold"]]
    assert make.stock(product) == -3 and clean(runtime)


def test_two_devices_that_sell_the_last_ones_at_once_are_told_apart(client, make, runtime):
    """Whoever was not flagged did find goods, though both had read the same stock."""
    product = make.product(stock=4)
    item = {"product_id": product.id, "quantity": "1"}
    body = {"channel": "counter", "warehouse": make.main, "items": [item]}

    def sync(_):
        results = client.post("/api/sales/sync", {"sales": [body]}).json["results"]
        return results[0]["sale"]["flags"]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(sync, range(10)))
    assert found.count([]) == 4 and found.count(["oversold"]) == 6
    assert make.stock(product) == -6 and clean(runtime)


def test_no_member_of_a_sale_makes_it_one_that_has_happened(client, make):
    product = make.product(stock=1)
    item = {"product_id": product.id, "quantity": "2", "unit_price": "1", "batch_number": "X"}
    body = {"channel": "counter", "warehouse": make.main, "items": [item], "client_timestamp": "2026-01-31T10:00:00Z"}
    body |= {"source_device": "pos-1", "device_number": 7, "external_id": "550e8400-e29b-41d4-a716-446655440000"}
    client.put("/api/stock-policies", {"policy": "allow", "channel": "counter:offline"})
    answer = client.post("/api/sales", body)
    assert (answer.status_code, answer.json["code"]) == (409, "insufficient-stock")
    for name in ("is_offline", "offline", "synced_at", "sale_date", "created_at", "reservation", "sent_as", "asked"):
        assert client.post("/api/sales", {**body, name: True}).json["errors"][0]["field"] == name
    assert client.post("/api/sales", {**body, "channel": "counter:offline"}).json["code"] == "unknown-channel"
    assert make.stock(product) == 1


def test_absorbed_units_are_flagged(client, make, runtime, sell):
    product = make.product(stock=1)
    client.put("/api/stock-policies", {"policy": "absorb", "channel": "counter:offline"})
    assert flags(sell.offline(product)) == []
    assert flags(sell.offline(product, 2)) == ["absorbed"]
    assert make.stock(product) == 0 and clean(runtime)


def test_a_wrong_expiry_date_is_kept_beside_the_lots_own(client, make, runtime, sell, milk):
    sale = sell.offline(milk, batch_number="A", expiry_date=LATER.isoformat())
    (item,) = sale["items"]
    assert flags(sale) == ["wrong-expiry"] and (item["batch_number"], item["expiry_date"]) == ("A", FRESH.isoformat())
    assert [(each["field"], each["value"]) for each in sale["warnings"]] == [
        ("items.0.expiry_date", LATER.isoformat()),
    ]
    assert FRESH.isoformat() in sale["warnings"][0]["detail"]
    nowhere = sell.offline(milk, expiry_date="2149-01-01")
    assert flags(nowhere) == ["wrong-expiry"] and nowhere["items"][0]["batch_number"] == "A"
    right = sell.offline(milk, batch_number="A", expiry_date=FRESH.isoformat())
    assert flags(right) == right["warnings"] == []
    assert clean(runtime)


@pytest.mark.parametrize("path", ["/api/sales", "/api/sales/quote"])
def test_online_a_wrong_expiry_date_is_refused(client, make, milk, path):
    body = {"channel": "counter", "warehouse": make.main}
    for lot in ({"batch_number": "A", "expiry_date": LATER.isoformat()}, {"expiry_date": "2149-01-01"}):
        line = {"product_id": milk.id, "quantity": "1", **lot}
        answer = client.post(path, {**body, "items": [line]}, as_="cashier")
        assert (answer.status_code, answer.json["code"]) == (409, "lot-expiry-differs"), answer.text
        assert answer.json["errors"][0]["field"] == "items.0.expiry_date"
        assert FRESH.isoformat() in answer.json["detail"]
    assert make.stock(milk) == 15


def test_an_expiry_date_alone_chooses_the_lots_of_that_day(client, make, sell, milk):
    sale = sell(milk, expiry_date=LATER.isoformat()).json
    assert (sale["items"][0]["batch_number"], sale["items"][0]["expiry_date"]) == ("B", LATER.isoformat())
    short = sell(milk, 5, expiry_date=LATER.isoformat())
    assert short.json["code"] == "insufficient-stock" and short.json["short_lines"][0]["available"] == "4"


def test_a_lot_without_a_day_takes_any(client, make, sell):
    product = make.product(tracking="lot")
    make.receipt(make.main, [{"product_id": product.id, "quantity": 3, "batch_number": "A"}])
    sale = sell(product, batch_number="A", expiry_date=LATER.isoformat()).json
    assert flags(sale) == [] and sale["items"][0]["expiry_date"] == LATER.isoformat()
