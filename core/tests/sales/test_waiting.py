"""Returns made offline: in any order, before their sale, and more of them than there were goods."""

import uuid

import pytest

from tillhook.sales.offline.waiting import post_waiting
from tillhook.testing import clean

pytestmark = pytest.mark.slow


@pytest.fixture
def product(make):
    return make.product(price="10.00", stock=20)


@pytest.fixture
def shop(client, make, product):
    """Make bodies of sales and of returns as a device does, and sync them."""

    class Shop:
        def sale(self, quantity="3", **fields):
            return self.document([{"product_id": product["id"], "quantity": quantity}], **fields)

        def back(self, sale, quantity="1", items=(), restock=True, **fields):
            line = {"position": 0, "quantity": quantity, "restock": restock}
            return self.document(items, returns={"external_id": sale["external_id"], "lines": [line]}, **fields)

        def document(self, items, **fields):
            place = {"channel": "counter", "warehouse": make.main, "source_device": "till-1"}
            return {**place, "external_id": str(uuid.uuid4()), "items": list(items), **fields}

        def sync(self, *documents, as_="cashier"):
            answer = client.post("/api/sales/sync", {"sales": list(documents)}, as_=as_)
            assert answer.status_code == 200, answer.text
            return answer.json["results"]

        def exceptions(self):
            return client.get("/api/sales/exceptions").json["items"]

    return Shop()


def statuses(results):
    return [(result["status"], result.get("error", {}).get("code")) for result in results]


def test_a_return_is_posted_after_its_sale_whatever_the_order_sent(shop, make, product, runtime):
    sale = shop.sale()
    swap = shop.back(sale, items=[{"product_id": product["id"], "quantity": "2"}])
    again = shop.back(swap, "2")
    results = shop.sync(again, swap, sale)
    assert statuses(results) == [("created", None)] * 3
    assert [result["sale"]["kind"] for result in results] == ["return", "exchange", "sale"]
    assert make.stock(product) == 18 and shop.exceptions() == [] and clean(runtime)


@pytest.mark.parametrize("path", ["sync", "online"])
def test_a_return_waits_for_its_sale_and_is_posted_by_itself(shop, client, make, product, runtime, path):
    sale = shop.sale()
    back = shop.back(sale, client_timestamp="2026-02-01T10:00:00Z")
    for attempts in (1, 2):
        assert statuses(shop.sync(back)) == [("rejected", "sale-not-synced")]
        (kept,) = shop.exceptions()
        assert (kept["status"], kept["code"], kept["attempts"]) == ("waiting", "sale-not-synced", attempts)
    assert make.stock(product) == 20
    if path == "sync":
        (result,) = shop.sync(sale)
        shown = result["sale"]
    else:
        shown = client.post("/api/sales", sale, as_="cashier").json
    assert shown["items"][0]["returned_quantity"] == "1"
    (kept,) = shop.exceptions()
    assert kept["status"] == "accepted"
    assert make.stock(product) == 18
    (repeated,) = shop.sync(back)
    assert (repeated["status"], repeated["sale"]["kind"]) == ("duplicate", "return")
    assert repeated["sale"]["seller"] == shown["seller"] and repeated["sale"]["source_device"] == "till-1"
    assert make.stock(product) == 18 and len(shop.exceptions()) == 1 and clean(runtime)


def test_a_chain_that_waits_is_posted_to_its_end(shop, make, product, runtime):
    sale = shop.sale()
    swap = shop.back(sale, items=[{"product_id": product["id"], "quantity": "2"}])
    again = shop.back(swap, "2")
    assert statuses(shop.sync(again)) == statuses(shop.sync(swap)) == [("rejected", "sale-not-synced")]
    assert statuses(shop.sync(sale)) == [("created", None)]
    assert {each["status"] for each in shop.exceptions()} == {"accepted"}
    assert make.stock(product) == 18 and clean(runtime)


def test_a_return_of_a_refused_sale_keeps_waiting(shop, product):
    sale = shop.document([{"product_id": 999999, "quantity": "1"}])
    back = shop.back(sale)
    for _ in range(2):
        assert statuses(shop.sync(sale, back)) == [("rejected", "unknown-product"), ("rejected", "sale-not-synced")]
    assert sorted((each["code"], each["status"]) for each in shop.exceptions()) == [
        ("sale-not-synced", "waiting"),
        ("unknown-product", "open"),
    ]


def test_a_return_that_waited_for_a_cancelled_sale_is_kept_with_the_reason(shop, client, make, product, runtime):
    sale = shop.sale()
    shown = shop.sync(sale)[0]["sale"]
    assert client.post(f"/api/sales/{shown['id']}/cancel", {"reason": "x"}).status_code == 200
    back = shop.back(sale)
    for _ in range(2):
        assert statuses(shop.sync(back)) == [("rejected", "sale-cancelled")]
    (kept,) = shop.exceptions()
    assert (kept["status"], kept["attempts"]) == ("open", 2)
    assert make.stock(product) == 20 and clean(runtime)


def test_what_waits_and_then_cannot_be_posted_is_opened_once(shop, client, product, runtime):
    """The cashier's return names a sale that turns out to be somebody else's."""
    sale = shop.sale()
    back = shop.back(sale)
    shop.sync(back)
    shop.sync(sale, as_="supplier")
    for attempts in (1, 2):
        (kept,) = shop.exceptions()
        assert (kept["status"], kept["code"], kept["attempts"]) == ("open", "unknown-sale", attempts)
        assert statuses(shop.sync(back)) == [("rejected", "unknown-sale")]
    assert clean(runtime)


def test_a_return_that_missed_its_sale_is_found_by_the_job(shop, make, product, runtime):
    """Sale and return of two devices at one moment: neither sees the other before both are committed."""
    sale = shop.sale()
    shop.sync(shop.back(sale))
    with runtime.unit_of_work() as session:
        session.connection().exec_driver_sql("UPDATE sale_exception SET status = 'open'")
    shop.sync(sale)
    with runtime.unit_of_work() as session:
        session.connection().exec_driver_sql("UPDATE sale_exception SET status = 'waiting'")
    with runtime.unit_of_work() as session:
        post_waiting(session)
    assert shop.exceptions()[0]["status"] == "accepted"
    assert make.stock(product) == 18 and clean(runtime)


def test_a_return_without_an_id_does_not_wait(shop, product):
    shop.sync(shop.back(shop.sale(), external_id=None))
    assert [each["status"] for each in shop.exceptions()] == ["open"]


def test_returns_are_capped_to_what_is_left(shop, make, product, runtime):
    sale = shop.sale("3")
    first, second, third = (shop.back(sale, "2") for _ in range(3))
    results = shop.sync(sale, first, second, third)
    assert statuses(results) == [("created", None)] * 3 + [("rejected", "returns-more-than-sold")]
    cut = results[2]["sale"]
    assert [(line["quantity"], line["flags"]) for line in cut["items"]] == [("-1", ["return-capped"])]
    assert cut["total_amount"] == "-10.00" and cut["payments"][0]["amount"] == "-10.00"
    kept = {each["external_id"]: each for each in shop.exceptions()}
    assert {each["code"] for each in kept.values()} == {"return-capped", "returns-more-than-sold"}
    assert (kept[second["external_id"]]["code"], kept[second["external_id"]]["status"]) == ("return-capped", "open")
    assert "1 of 2" in kept[second["external_id"]]["detail"]
    assert statuses(shop.sync(second)) == [("duplicate", None)] and len(shop.exceptions()) == 2
    assert make.stock(product) == 20 and clean(runtime)


def test_the_tender_of_a_return_made_offline_is_capped_and_flagged(shop, product, runtime):
    sale = shop.sale("2", payments=[{"method": "card", "amount": "15"}, {"method": "cash", "amount": "5"}])
    back = shop.back(sale, "2", refund="cash")
    result = shop.sync(back, sale)[0]
    assert [(each["method"], each["amount"]) for each in result["sale"]["payments"]] == [
        ("cash", "-5.00"),
        ("card", "-15.00"),
    ]
    assert result["sale"]["items"][0]["flags"] == ["refund-moved"] and clean(runtime)


def test_documents_that_name_each_other_wait_for_ever(shop, product):
    first, second = shop.sale(), shop.sale()
    one = shop.back(second, external_id=first["external_id"])
    other = shop.back(first, external_id=second["external_id"])
    assert statuses(shop.sync(one, other)) == [("rejected", "sale-not-synced")] * 2


def test_one_bad_return_of_a_batch_stops_no_other(shop, make, product, runtime):
    sale = shop.sale("3")
    bad = shop.back(sale)
    bad["returns"]["lines"][0]["position"] = 7
    results = shop.sync(bad, shop.back(sale), sale)
    assert statuses(results) == [("rejected", "unknown-line"), ("created", None), ("created", None)]
    assert make.stock(product) == 18 and clean(runtime)


def test_a_sale_arrives_however_many_returns_wait_for_it(shop, client, make, product, runtime, monkeypatch):
    monkeypatch.setattr("tillhook.sales.offline.waiting.AT_ONCE", 2)
    sale = shop.sale("5")
    shop.sync(*[shop.back(sale) for _ in range(5)])
    (result,) = shop.sync(sale)
    assert result["status"] == "created"
    waiting = {"status": "waiting"}
    # Two with the sales of the sync, two for the answer.
    assert len(client.get("/api/sales/exceptions", params=waiting).json["items"]) == 1
    with runtime.unit_of_work() as session:
        post_waiting(session)
    assert client.get("/api/sales/exceptions", params=waiting).json["items"] == []
    assert make.stock(product) == 20 and clean(runtime)
