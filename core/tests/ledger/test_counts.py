"""Counts: what was expected, what was counted, and the difference, which is posted."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tillhook.db import format_instant, utc_now
from tillhook.ledger import Document, ReserveLine, reserve
from tillhook.testing import at_once, clean


def count(client, make, *lines, as_="admin", **body):
    return client.post("/api/inventory/counts", {"warehouse": make.main, "lines": list(lines), **body}, as_=as_)


def line(product, quantity, **more):
    return {"product_id": product.id, "quantity": quantity, **more}


def told(document):
    return [(row["expected"], row["counted"], row["difference"]) for row in document["lines"]]


def by_lot(client, product):
    levels = client.get("/api/inventory", params={"product": product["id"]}).json["items"]
    return {row["batch_number"]: row["on_hand"] for row in levels}


def test_a_count_makes_stock_what_was_counted(client, make, runtime):
    more, less, same = (make.product(stock=5) for _ in range(3))
    answer = count(client, make, line(more, 7), line(less, "2.0"), line(same, 5), reason="Year's end", as_="manager")
    assert answer.status_code == 201 and answer.json["number"].startswith("CNT") and answer.json["kind"] == "count"
    assert told(answer.json) == [("5", "7", "2"), ("5", "2", "-3"), ("5", "5", "0")]
    assert [make.stock(each) for each in (more, less, same)] == [7, 2, 5]
    moved = client.get("/api/inventory/movements", params={"document_type": "count"}).json["items"]
    assert {(row["product_id"], row["quantity"], row["destination"]) for row in moved} == {
        (more.id, "2", make.main),
        (less.id, "3", -3),
    }
    assert {row["document"]["number"] for row in moved} == {answer.json["number"]} and clean(runtime)


def test_lots_are_counted_by_name(client, make, runtime):
    milk = make.product(tracking="lot")
    make.receipt(
        make.main, [line(milk, 5, batch_number="A", expiry_date="2149-01-01"), line(milk, 3, batch_number="B")]
    )
    answer = count(
        client, make, line(milk, 4, batch_number="A"), line(milk, 2, batch_number="NEW", expiry_date="2149-05-01")
    )
    assert told(answer.json) == [("5", "4", "-1"), ("0", "2", "2")]
    assert by_lot(client, milk) == {"A": "4", "B": "3", "NEW": "2"}
    assert [row["expiry_date"] for row in answer.json["lines"]] == ["2149-01-01", "2149-05-01"]
    differs = count(client, make, line(milk, 1, batch_number="A", expiry_date="2150-01-01"))
    assert (differs.status_code, differs.json["code"]) == (422, "lot-expiry-differs")
    assert differs.json["errors"][0]["field"] == "lines.0.expiry_date" and clean(runtime)


def test_what_was_sold_of_no_lot_is_settled_with_nothing(client, make, runtime):
    client.put("/api/stock-policies", {"policy": "allow", "channel": "counter"})
    milk = make.product(tracking="lot")
    make.receipt(make.main, [line(milk, 2, batch_number="A")])
    without = count(client, make, line(milk, 0))
    assert without.status_code == 422 and without.json["errors"][0]["field"] == "lines.0.batch_number"
    make.sale([(milk, 3)])
    assert by_lot(client, milk) == {"A": "0", None: "-1"}
    assert told(count(client, make, line(milk, 0)).json) == [("-1", "0", "1")]
    assert by_lot(client, milk) == {"A": "0", None: "0"} and clean(runtime)


def test_a_count_of_earlier_counts_nothing_twice(client, make, runtime):
    product = make.product()
    ago = [format_instant(utc_now() - timedelta(hours=hours)) for hours in range(4)]
    make.receipt(make.main, [(product, 10)], occurred_at=ago[3])
    make.sale([(product, 2)], client_timestamp=ago[1])
    answer = count(client, make, line(product, 9), occurred_at=ago[2])
    assert told(answer.json) == [("10", "9", "-1")] and make.stock(product) == 7
    levels = client.get("/api/inventory", params={"product": product.id, "as_of": ago[2]}).json["items"]
    assert [row["on_hand"] for row in levels] == ["9"]
    assert told(count(client, make, line(product, 9), occurred_at=ago[2]).json) == [("9", "9", "0")]
    assert told(count(client, make, line(product, 9)).json) == [("7", "9", "2")] and clean(runtime)


def test_what_is_reserved_does_not_hold_up_a_count(client, make, runtime):
    product = make.product(stock=5)
    with runtime.unit_of_work() as session:
        until, lines = utc_now() + timedelta(hours=1), (ReserveLine(product.id, None, Decimal(3)),)
        reserve(session, Document("t.order", 1), make.main, lines, expires_at=until)
    assert told(count(client, make, line(product, 1)).json) == [("5", "1", "-4")]
    assert make.stock(product) == 1 and clean(runtime)
    assert client.get(f"/api/products/{product.id}").json["inventory"] == "-2"


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_device_counts_nothing(client, make):
    """It may have been offline: what it knows of stock is old."""
    product = make.product(stock=5)
    wanted = {"name": "Till 2", "scopes": ["stock:inventory:set"], "device": "pos-02"}
    headers = {"X-API-Key": client.post("/api/api-keys", wanted).json["key"]}
    body = {"warehouse": make.main, "lines": [line(product, 1)]}
    answer = client.request("POST", "/api/inventory/counts", body, as_=None, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (403, "device-cannot-set-stock")
    assert make.stock(product) == 5


def test_a_count_is_refused_when_stock_is_not_what_was_expected(client, make):
    first, second, third = (make.product(stock=5) for _ in range(3))
    answer = count(
        client, make, line(first, 1, expected=5), line(second, 1, expected="4.5"), line(third, 1, expected=-1)
    )
    assert (answer.status_code, answer.json["code"], answer.json["on_hand"]) == (409, "inventory-changed", "5")
    assert [each["field"] for each in answer.json["errors"]] == ["lines.1.expected", "lines.2.expected"]
    assert [make.stock(each) for each in (first, second, third)] == [5, 5, 5]
    assert client.get("/api/inventory/documents", params={"kind": "count"}).json["items"] == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_what_a_count_refuses(client, make):
    pen, milk = make.product(stock=5), make.product(tracking="lot")
    shirt, service = make.product(variants=[{"name": "Small"}]), make.product(tracking="none")
    piece = make.product(unit=make.unit(precision=0)["code"], stock=3)
    variant = shirt.variants[0]["id"]
    for lines, field, code in [
        ([line(pen, 1), line(pen, 1)], "lines.1.product_id", "counted-twice"),
        ([line(milk, 1, batch_number="A"), line(milk, 1, batch_number="A")], "lines.1.batch_number", "counted-twice"),
        (
            [line(shirt, 1, variant_id=variant), line(shirt, 2, variant_id=variant)],
            "lines.1.product_id",
            "counted-twice",
        ),
        ([line(shirt, 1)], "lines.0.variant_id", "variant-needed"),
        ([line(pen, 1), {"product_id": 999_999, "quantity": 1}], "lines.1.product_id", "unknown-product"),
        ([line(pen, 1, variant_id=999_999)], "lines.0.variant_id", "unknown-variant"),
        ([line(service, 1)], "lines.0.product_id", "not-tracked"),
        ([line(milk, 1)], "lines.0.batch_number", None),
        ([line(pen, 1, batch_number="A")], "lines.0.batch_number", None),
        ([line(piece, "1.5")], "lines.0.quantity", None),
        ([line(pen, -1)], "lines.0.quantity", None),
        ([], "lines", None),
    ]:
        answer = count(client, make, *lines)
        assert answer.status_code == 422, (lines, answer.text)
        assert answer.json["errors"][0]["field"] == field, (lines, answer.text)
        assert code in (None, answer.json["code"]), answer.text
    assert make.stock(pen) == 5 and make.stock(piece) == 3
    assert count(client, make, line(pen, 1), warehouse=make.other, as_="supplier").json["code"] == "foreign-warehouse"
    late = count(client, make, line(pen, 1), occurred_at=format_instant(utc_now() + timedelta(hours=1)))
    assert late.json["errors"][0]["field"] == "occurred_at"
    assert count(client, make, line(pen, 1), as_="cashier").status_code == 403


def test_counts_at_once(client, make, runtime):
    product, other = make.product(stock=5), make.product(stock=5)
    lines = [line(product, 7), line(other, 9)]
    calls = [lambda n=n: count(client, make, *(lines if n % 2 else lines[::-1])).status_code for n in range(4)]
    assert at_once(*calls) == [201] * 4
    assert (make.stock(product), make.stock(other)) == (7, 9) and clean(runtime)
    stale = [lambda n=n: count(client, make, line(product, n, expected=7)).status_code for n in (20, 30)]
    assert sorted(at_once(*stale)) == [201, 409]


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_errors_name_the_lines(client, make):
    pen, milk = make.product(stock=1), make.product(tracking="lot")
    route = {"from_warehouse": make.main, "to_warehouse": make.other}
    here = {"warehouse": make.main, "reason": "x"}
    for what, body, sign in (("transfers", route, 1), ("adjustments", here, -1)):
        for bad, field in [
            (line(pen, 9 * sign), "lines.1.quantity"),
            ({"product_id": 999_999, "quantity": sign}, "lines.1.product_id"),
            (line(milk, sign, batch_number="none"), "lines.1.batch_number"),
            (line(pen, 0), "lines.1.quantity"),
            (line(milk, 2 * sign), "lines.1.quantity"),
        ]:
            answer = client.post(f"/api/inventory/{what}", body | {"lines": [line(pen, sign), bad]})
            assert answer.status_code in (409, 422), answer.text
            assert field in [each["field"] for each in answer.json["errors"]], (what, bad, answer.text)
            assert "items" not in str(answer.json["errors"])


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_whoever_names_no_warehouse_hears_how_to(client, make):
    pen = make.product(stock=1)
    for method, path, body in [
        ("POST", "/api/sales", {"channel": "counter", "items": [line(pen, 1)]}),
        ("POST", "/api/sales/quote", {"channel": "counter", "items": [line(pen, 1)]}),
        ("PUT", f"/api/products/{pen.id}/inventory", {"inventory": 2}),
    ]:
        answer = (client.post if method == "POST" else client.put)(path, body)
        (error,) = answer.json["errors"]
        assert (answer.status_code, error["field"]) == (422, "warehouse"), answer.text
        assert error["message"] == (
            "Required: you have 2 warehouses. Name one, or let the setting default_warehouse name it."
        )
    assert client.patch("/api/settings", {"default_warehouse": make.main}).status_code == 200
    assert client.put(f"/api/products/{pen.id}/inventory", {"inventory": 2}).status_code == 200
