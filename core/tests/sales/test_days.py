"""The business's day: its time zone, its cut-off hour, and who may see what of it."""

import pytest


@pytest.fixture
def kolkata(client):
    """A day that ends at 4 in the morning, Indian time: at 22:30 UTC."""
    values = {"timezone": "Asia/Kolkata", "day_cutoff_hour": 4}
    assert client.patch("/api/settings", values).status_code == 200


def analytics(client, product, as_="admin", **params):
    answer = client.get("/api/sales/analytics", params={"product_id": product["id"], **params}, as_=as_)
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.fixture
def sold(make, kolkata):
    product = make.product(price="1.00", stock=100)
    for quantity, moment in (
        (1, "2026-01-31T22:29:59.999999Z"),  # still January 31
        (2, "2026-01-31T22:30:00Z"),  # February 1
        (4, "2026-02-01T22:29:00Z"),  # still February 1, a Sunday
        (8, "2026-02-01T22:31:00Z"),  # February 2, a Monday
    ):
        make.sale([(product, quantity)], client_timestamp=moment)
    return product


def breakdown(client, product, **params):
    params = {"start_date": "2026-01-01", "end_date": "2026-02-28", **params}
    return [(row["period"], row["quantity"]) for row in analytics(client, product, **params)["period_breakdown"]]


def test_a_sale_belongs_to_the_day_before_until_the_cut_off(client, sold):
    assert breakdown(client, sold, period="daily") == [("2026-01-31", "1"), ("2026-02-01", "6"), ("2026-02-02", "8")]


def test_weeks_begin_on_monday_and_months_on_the_first(client, sold):
    assert breakdown(client, sold, period="weekly") == [("2026-01-26", "7"), ("2026-02-02", "8")]
    assert breakdown(client, sold, period="monthly") == [("2026-01-01", "1"), ("2026-02-01", "14")]


def test_both_ends_count(client, sold):
    assert breakdown(client, sold, start_date="2026-02-01", end_date="2026-02-01") == [("2026-02-01", "6")]
    listed = client.get("/api/sales", params={"date_from": "2026-02-01", "date_to": "2026-02-01"}).json["items"]
    assert sorted(sale["items"][0]["quantity"] for sale in listed) == ["2", "4"]
    for day in ("1900-01-01", "2199-12-31"):
        assert breakdown(client, sold, start_date=day, end_date=day) == []
        assert client.get("/api/sales", params={"date_from": day, "date_to": day}).json["items"] == []


def test_the_day_of_a_number_is_the_business_day(client, make, monkeypatch, kolkata):
    from datetime import UTC, datetime

    from tillhook.sales.posting import entries

    monkeypatch.setattr(entries, "utc_now", lambda: datetime(2026, 1, 31, 22, 29, tzinfo=UTC))
    first = make.sale([(make.product(stock=5), 1)])
    monkeypatch.setattr(entries, "utc_now", lambda: datetime(2026, 1, 31, 22, 31, tzinfo=UTC))
    second = make.sale([(make.product(stock=5), 1)])
    assert (first.sale_number[-13:-7], second.sale_number[-13:-7]) == ("260131", "260201")


def test_sellers_see_numbers_of_their_own_sales_and_warehouses_only(client, make):
    product = make.product(price="1.00", stock={make.main: 50, make.other: 50})
    make.sale([(product, 1)], as_="cashier")
    make.sale([(product, 2)], as_="supplier")
    make.sale([(product, 4)], warehouse=make.other)
    for who, quantity in (("cashier", "1"), ("supplier", "2"), ("accountant", "7")):
        assert analytics(client, product, as_=who)["total_quantity_sold"] == quantity


def test_refused_sales_are_seen_by_who_sent_them(client, make):
    for who in ("cashier", "supplier"):
        bad = {"channel": "counter", "warehouse": make.main, "notes": who, "items": [{"product_id": 999999}]}
        client.post("/api/sales/sync", {"sales": [bad]}, as_=who)
    for who, expected in (
        ("cashier", {"cashier"}),
        ("supplier", {"supplier"}),
        ("accountant", {"cashier", "supplier"}),
    ):
        kept = client.get("/api/sales/exceptions", as_=who).json["items"]
        assert {item["payload"]["notes"] for item in kept} == expected
