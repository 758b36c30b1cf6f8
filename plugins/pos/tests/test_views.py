"""What a seller looks at: the own stock, today and this week, and sales over a range of days."""

from datetime import UTC, datetime, time, timedelta

import pytest

from tillhook.db import utc_now
from tillhook.sales.rollups.counting import count_sales
from tillhook_pos.views import inventory as views

pytestmark = pytest.mark.slow


def report(client, as_="admin", **body):
    day = utc_now().date()
    body = {"date_from": (day - timedelta(days=30)).isoformat(), "date_to": day.isoformat(), **body}
    answer = client.post("/api/pos/reports/sales", body, as_=as_)
    assert answer.status_code == 200, answer.text
    return answer.json


def dashboard(client, as_="admin", **params):
    answer = client.get("/api/pos/dashboard", params=params, as_=as_)
    assert answer.status_code == 200, answer.text
    return answer.json


def inventory(client, as_="admin", **params):
    answer = client.get("/api/pos/inventory", params=params, as_=as_)
    assert answer.status_code == 200, answer.text
    return answer.json


def refused(answer):
    return answer.status_code, answer.json["errors"][0]["field"]


def breakdown(shown):
    return {each["payment_method"]: (each["count"], each["amount"]) for each in shown["payment_breakdown"]}


# --- the sales report --------------------------------------------------------------------------------------


def test_the_report_adds_up(client, make):
    """The figures of the specification: 150 transactions, 25,000; 120 in cash, 20,000; 30 by card, 5,000."""
    product = make.product(price="10.00", stock=1000)

    def sale(price, method):
        item = {"product_id": product.id, "quantity": "1", "unit_price": str(price)}
        return {"channel": "pos", "warehouse": make.main, "payment_method": method, "items": [item]}

    cash, card = [160] * 119 + [960], [160] * 29 + [360]
    batch = [sale(price, "cash") for price in cash] + [sale(price, "card") for price in card]
    for number, each in enumerate(batch):
        each["external_id"] = f"00000000-0000-4000-8000-{number:012d}"
    answer = client.post("/api/sales/sync", {"sales": batch})
    assert {each["status"] for each in answer.json["results"]} == {"created"}
    shown = report(client)
    day = utc_now().date()
    assert shown == {
        "period": {"date_from": (day - timedelta(days=30)).isoformat(), "date_to": day.isoformat()},
        "summary": {
            "total_sales": "25000.00",
            "total_transactions": 150,
            "total_items_sold": "150",
            "average_transaction": "166.67",
            "cash_rounding": "0.00",
        },
        "payment_breakdown": [
            {"payment_method": "cash", "count": 120, "amount": "20000.00"},
            {"payment_method": "card", "count": 30, "amount": "5000.00"},
        ],
        "top_products": [
            {
                "product_id": product.id,
                "product_name": product.name,
                "total_quantity": "150",
                "total_revenue": "25000.00",
            }
        ],
        "daily_sales": [{"day": day.isoformat(), "count": 150, "amount": "25000.00"}],
    }


def test_without_sales_everything_is_zero(client):
    shown = report(client)
    assert shown["summary"] == {
        "total_sales": "0.00",
        "total_transactions": 0,
        "total_items_sold": "0",
        "average_transaction": "0.00",
        "cash_rounding": "0.00",
    }
    assert shown["payment_breakdown"] == shown["top_products"] == shown["daily_sales"] == []


def test_a_split_sale_counts_once_where_most_was_paid(client, make):
    product = make.product(price="10.00", stock=10)
    payments = [{"method": "card", "amount": "2"}, {"method": "cash", "amount": "8"}]
    sale = make.sale([(product, 1)], channel="pos", payments=payments)
    assert breakdown(report(client)) == {"card": (0, "2.00"), "cash": (1, "8.00")}
    client.post(f"/api/sales/{sale.id}/cancel", {"reason": "wrong"})
    assert report(client)["payment_breakdown"] == report(client)["daily_sales"] == []


def test_change_is_not_a_taking(client, make):
    make.sale([(make.product(price="7.50", stock=5), 1)], channel="pos", payments=[{"method": "cash", "amount": "10"}])
    assert breakdown(report(client)) == {"cash": (1, "7.50")}


def test_a_free_sale_is_a_transaction_all_the_same(client, make):
    make.sale([(make.product(price="0", stock=5), 1)], channel="pos")
    shown = report(client)
    assert shown["summary"]["total_transactions"] == sum(each["count"] for each in shown["payment_breakdown"]) == 1


def test_returns_are_taken_off_and_are_no_transactions(client, make):
    product = make.product(price="4.00", stock=10)
    sale = make.sale([(product, 3)], channel="pos")
    line = {"line_id": sale["items"][0]["id"], "quantity": "1", "restock": True}
    assert client.post(f"/api/sales/{sale.id}/returns", {"lines": [line], "reason": "torn"}).status_code == 201
    shown = report(client)
    assert shown["summary"] == {
        "total_sales": "8.00",
        "total_transactions": 1,
        "total_items_sold": "2",
        "average_transaction": "8.00",
        "cash_rounding": "0.00",
    }
    assert breakdown(shown) == {"cash": (1, "8.00")}
    assert shown["top_products"][0]["total_quantity"] == "2"


def test_what_others_take_back_is_taken_off_the_seller_s_figures(client, make):
    product = make.product(price="4.00", stock=10)
    sales = [make.sale([(product, 1)], channel="pos", as_="cashier") for _ in range(3)]
    client.post(f"/api/sales/{sales[0].id}/cancel", {"reason": "wrong"})
    line = {"line_id": sales[1]["items"][0]["id"], "quantity": "1", "restock": True}
    assert client.post(f"/api/sales/{sales[1].id}/returns", {"lines": [line], "reason": "torn"}).status_code == 201
    for person in ("cashier", "admin"):
        assert dashboard(client, person)["today"] == {"sales_count": 2, "sales_amount": "4.00"}
        assert report(client, person)["summary"]["total_sales"] == "4.00"


def test_top_products_are_ten_by_revenue_equals_by_name(client, make):
    goods = [make.product(name=name, price="2.00", stock=50) for name in "KJIHGFEDCBAL"]
    make.sale([(product, 1) for product in goods], channel="pos")
    make.sale([(goods[0], 3)], channel="pos")
    shown = report(client)["top_products"]
    assert [each["product_name"] for each in shown] == list("KABCDEFGHI")
    assert (shown[0]["total_quantity"], shown[0]["total_revenue"]) == ("4", "8.00")


def test_revenue_is_after_discounts_and_without_taxes_on_top(client, make):
    tax = make.tax("0.2")
    product = make.product(price="10.00", stock=10, tax=tax["id"])
    make.sale([(product, 1)], channel="pos", discount_amount="1.00")
    shown = report(client)
    assert shown["top_products"][0]["total_revenue"] == "9.00"
    assert shown["summary"]["total_sales"] == "10.80" == breakdown(shown)["cash"][1]


def test_only_the_counter_s_channel_counts(client, make):
    make.sale([(make.product(stock=5), 1)])
    assert report(client)["summary"]["total_transactions"] == dashboard(client)["today"]["sales_count"] == 0


def test_a_seller_sees_the_own_sales_in_the_own_warehouses(client, make):
    product = make.product(price="1.00", stock={make.main: 50, make.other: 50})
    make.sale([(product, 1)], channel="pos", as_="cashier")
    make.sale([(product, 2)], channel="pos", as_="supplier")
    make.sale([(product, 4)], channel="pos", warehouse=make.other)
    manager = make.user("accountant", warehouses=[make.main])
    totals = {"cashier": "1.00", "supplier": "2.00", "admin": "7.00", "accountant": "7.00", manager: "3.00"}
    for person, total in totals.items():
        assert report(client, person)["summary"]["total_sales"] == total, person
        assert dashboard(client, person)["today"]["sales_amount"] == total, person
    here = [report(client, warehouse=place)["summary"]["total_sales"] for place in (make.main, make.other)]
    assert here == ["3.00", "4.00"]
    assert dashboard(client, warehouse=make.other)["today"] == {"sales_count": 1, "sales_amount": "4.00"}


def test_somebody_without_a_warehouse_sees_nothing(client, make, runtime):
    make.sale([(make.product(stock=5), 1)], channel="pos")
    person = make.user("cashier")
    client.patch(f"/api/users/{person.id}", {"warehouses": []})
    assert report(client, person)["daily_sales"] == inventory(client, person) == []
    assert dashboard(client, person)["low_stock_alerts"] == 0


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"date_from": "2026-02-02", "date_to": "2026-02-01"}, "date_to"),
        ({"date_to": "2026-02-01"}, "date_from"),
        ({"date_from": "2026-02-01"}, "date_to"),
        ({"date_from": "2026-02-30", "date_to": "2026-03-01"}, "date_from"),
        ({"date_from": "2026-02-01", "date_to": "2026-02-01", "warehouse": 10**9}, "warehouse"),
        ({"date_from": "2026-02-01", "date_to": "2026-02-01", "seller": 1}, "seller"),
    ],
)
def test_a_report_of_nothing_sensible_is_refused(client, body, field):
    answer = client.post("/api/pos/reports/sales", body)
    assert refused(answer) == (422, field)


def test_another_s_warehouse_is_refused(client, make):
    days = {"date_from": "2026-02-01", "date_to": "2026-02-01"}
    for answer in (
        client.post("/api/pos/reports/sales", {**days, "warehouse": make.other}, as_="cashier"),
        client.get("/api/pos/dashboard", params={"warehouse": make.other}, as_="cashier"),
        client.get("/api/pos/inventory", params={"warehouse": make.other}, as_="cashier"),
    ):
        assert (answer.status_code, answer.json["code"]) == (403, "foreign-warehouse")
    for path in ("/api/pos/dashboard", "/api/pos/inventory"):
        assert refused(client.get(path, params={"warehouse": 10**9})) == (422, "warehouse")


@pytest.mark.parametrize(("first", "last"), [("2016-01-01", "2026-12-31"), ("1900-01-01", "2199-12-31")])
def test_a_range_may_be_long(client, make, runtime, first, last):
    product = make.product(price="1.00", stock=50)
    for moment in ("2016-02-29T12:00:00Z", "2021-06-01T12:00:00Z", "2026-01-01T12:00:00Z"):
        make.sale([(product, 1)], channel="pos", client_timestamp=moment)
    before = report(client, date_from=first, date_to=last)
    assert before["summary"]["total_sales"] == "3.00" == before["top_products"][0]["total_revenue"]
    assert [each["day"] for each in before["daily_sales"]] == ["2016-02-29", "2021-06-01", "2026-01-01"]
    with runtime.unit_of_work() as session:
        count_sales(session)
    assert report(client, date_from=first, date_to=last) == before
    assert report(client, date_from="2190-01-01", date_to="2199-12-31")["daily_sales"] == []


# --- the dashboard -----------------------------------------------------------------------------------------


def test_today_and_this_week(client, make):
    product = make.product(price="5.00", stock=100)
    today = utc_now().date()
    monday = today - timedelta(days=today.weekday())
    midnight = datetime.combine(monday, time(), UTC)
    moments = [utc_now(), midnight, midnight - timedelta(microseconds=1), utc_now() - timedelta(days=60)]
    for moment in moments:
        make.sale([(product, 1)], channel="pos", client_timestamp=moment)
    shown = dashboard(client)
    expected = 2 if today == monday else 1
    assert shown["today"] == {"sales_count": expected, "sales_amount": f"{expected * 5}.00"}
    assert shown["this_week"] == {"sales_count": 2, "sales_amount": "10.00"}
    assert set(shown) == {"today", "this_week", "low_stock_alerts", "last_updated"}
    assert abs(datetime.fromisoformat(shown["last_updated"]) - utc_now()) < timedelta(minutes=1)


def test_today_is_the_business_s(client, make):
    product = make.product(price="5.00", stock=100)
    make.sale([(product, 1)], channel="pos")
    # Where it is yesterday, or tomorrow, by now.
    hour = utc_now().hour
    client.patch("/api/settings", {"timezone": "UTC", "day_cutoff_hour": min(hour + 1, 23)})
    make.sale([(product, 1)], channel="pos", client_timestamp=utc_now() - timedelta(minutes=1))
    assert dashboard(client)["today"]["sales_count"] == 2
    client.patch("/api/settings", {"timezone": "Pacific/Kiritimati", "day_cutoff_hour": 0})
    assert dashboard(client)["this_week"]["sales_count"] == 2


def test_low_stock_alerts_are_those_of_the_own_warehouses(client, make):
    product = make.product(price="1.00", low_stock_threshold="5", stock={make.main: 6, make.other: 6})
    assert dashboard(client)["low_stock_alerts"] == 0
    make.sale([(product, 2)], channel="pos", warehouse=make.other)
    assert [dashboard(client, who)["low_stock_alerts"] for who in ("admin", "cashier")] == [1, 0]
    make.sale([(product, 2)], channel="pos", as_="cashier")
    assert [dashboard(client, who)["low_stock_alerts"] for who in ("admin", "cashier")] == [2, 1]
    assert dashboard(client, warehouse=make.main)["low_stock_alerts"] == 1
    make.receipt(make.main, [(product, 10)])
    assert dashboard(client, "cashier")["low_stock_alerts"] == 0


# --- the inventory -----------------------------------------------------------------------------------------


def test_what_the_inventory_shows(client, make):
    product = make.product(name="Milk", stock={make.main: "7.0000", make.other: 20}, low_stock_threshold="8")
    row = {
        "product_id": product.id,
        "product_name": "Milk",
        "variant_id": None,
        "variant_details": None,
        "quantity": "7",
        "available": "7",
        "expired": "0",
        "low_stock_threshold": "8",
        "is_low_stock": True,
        "batch_number": None,
        "expiry_date": None,
        "warehouse_id": make.main,
        "warehouse_name": "Main shop",
    }
    assert inventory(client, "cashier") == [row]
    there = {
        **row,
        "quantity": "20",
        "available": "20",
        "is_low_stock": False,
        "warehouse_id": make.other,
        "warehouse_name": "Other shop",
    }
    assert inventory(client) == [row, there]
    assert inventory(client, warehouse=make.other) == [there]
    assert inventory(client, low_stock=True) == [row]


def test_the_inventory_says_what_can_be_sold_and_what_has_expired(client, make):
    product = make.product(tracking="lot")
    lines = [
        {"product_id": product.id, "quantity": 3, "batch_number": batch, "expiry_date": day}
        for batch, day in (("OLD", "2020-01-01"), ("FRESH", "2150-01-01"))
    ]
    make.receipt(make.main, lines)
    rows = inventory(client, "cashier")
    shown = {row["batch_number"]: (row["quantity"], row["available"], row["expired"]) for row in rows}
    assert shown == {"OLD": ("3", "0", "3"), "FRESH": ("3", "3", "0")}


def test_variants_and_lots_have_rows_and_are_low_together(client, make):
    shirt = make.product(variants=[{"name": "Small"}, {"name": "Large"}], low_stock_threshold="6")
    for variant, quantity in zip(shirt.variants, (2, 4), strict=True):
        make.receipt(make.main, [{"product_id": shirt.id, "variant_id": variant["id"], "quantity": quantity}])
    yoghurt = make.product(tracking="lot", low_stock_threshold="10")
    for batch, expiry in (("A", "2150-01-01"), ("B", "2150-02-01")):
        line = {"product_id": yoghurt.id, "quantity": 4, "batch_number": batch, "expiry_date": expiry}
        make.receipt(make.main, [line])
    shown = inventory(client, "cashier")
    assert [(row["variant_id"], row["variant_details"], row["quantity"], row["is_low_stock"]) for row in shown[:2]] == [
        (shirt.variants[0]["id"], "Small", "2", False),
        (shirt.variants[1]["id"], "Large", "4", False),
    ]
    lots = [(row["batch_number"], row["expiry_date"], row["quantity"], row["is_low_stock"]) for row in shown[2:]]
    assert lots == [("A", "2150-01-01", "4", True), ("B", "2150-02-01", "4", True)]
    # A lot that is used up is left out; the last one stays, as a product that is out of stock does.
    make.sale([(yoghurt, 4)], channel="pos")
    assert [row["batch_number"] for row in inventory(client)[2:]] == ["B"]
    make.sale([(yoghurt, 4)], channel="pos")
    assert [(row["batch_number"], row["quantity"]) for row in inventory(client)[2:]] == [("B", "0")]


def test_what_is_out_of_stock_stays_unless_it_is_archived(client, make):
    product = make.product(stock=1)
    make.sale([(product, 1)], channel="pos")
    assert [row["quantity"] for row in inventory(client)] == ["0"]
    client.patch(f"/api/products/{product.id}", {"status": "archived"})
    archived = client.delete(f"/api/products/{product.id}")
    assert archived.status_code in (200, 204), archived.text
    assert inventory(client) == []


def test_others_unpublished_products_are_not_there(client, make):
    own = make.product(name="Own", as_="supplier")
    make.receipt(make.main, [(own, 5)])
    assert [row["product_name"] for row in inventory(client, "supplier")] == ["Own"]
    assert inventory(client, "cashier") == []
    assert [row["product_name"] for row in inventory(client)] == ["Own"]


def test_the_inventory_comes_in_pages(client, make, monkeypatch):
    goods = [make.product(stock={make.main: 5, make.other: 5}) for _ in range(4)]
    everything = inventory(client)
    assert len(everything) == 8
    for stretch in (0, 1, 2):
        monkeypatch.setattr(views, "_STRETCH", stretch)
        assert inventory(client) == everything and inventory(client, limit=3) == everything[:3]
    found, query = [], {"limit": 3}
    while True:
        answer = client.get("/api/pos/inventory", params=query)
        found += answer.json
        cursor = answer.headers.get("x-next-cursor")
        if cursor is None:
            break
        assert len(answer.json) == 3
        link = answer.headers["link"]
        assert link.endswith('; rel="next"') and f"cursor={cursor}" in link and "limit=3" in link
        if len(found) == 3:
            make.receipt(make.main, [(goods[0], 1)])  # what is shown already comes no second time
        query["cursor"] = cursor
    assert found == everything
    for cursor in ("x", "1.2", "1.2.3.4", "-1.0.0", "9" * 40 + ".0.0", "١.٢.٣"):
        assert refused(client.get("/api/pos/inventory", params={"cursor": cursor})) == (422, "cursor")
    for limit in ("0", "10001", "x"):
        assert refused(client.get("/api/pos/inventory", params={"limit": limit})) == (422, "limit")


# --- who may look ------------------------------------------------------------------------------------------


def test_who_may_look(client, make):
    days = {"date_from": "2026-02-01", "date_to": "2026-02-01"}
    for person, status in ((None, 401), ("customer", 403), ("cashier", 200), ("supplier", 200), ("accountant", 200)):
        assert client.get("/api/pos/inventory", as_=person).status_code == status
        assert client.get("/api/pos/dashboard", as_=person).status_code == status
        assert client.post("/api/pos/reports/sales", days, as_=person).status_code == status


# --- exchanges and coins that do not exist -----------------------------------------------------------------


def test_an_exchange_is_one_transaction_of_its_difference(client, make, runtime):
    worn, new = make.product(name="Worn", price="4.00", stock=10), make.product(name="New", price="10.00", stock=10)
    sale = make.sale([(worn, 2)], channel="pos")
    back = {"sale_id": sale.id, "lines": [{"line_id": sale["items"][0]["id"], "quantity": "1"}], "reason": "worn"}
    make.sale([(new, 1)], channel="pos", returns=back, payment_method="card")
    shown = report(client)
    assert shown["summary"]["total_sales"] == "14.00"
    assert (shown["summary"]["total_transactions"], shown["summary"]["total_items_sold"]) == (2, "2")
    assert breakdown(shown) == {"cash": (1, "8.00"), "card": (1, "6.00")}
    assert [(each["product_name"], each["total_revenue"]) for each in shown["top_products"]] == [
        ("New", "10.00"),
        ("Worn", "4.00"),
    ]
    with runtime.unit_of_work() as session:
        assert count_sales(session) == 2
    assert report(client) == shown


def test_an_even_exchange_is_a_transaction_that_nothing_was_paid_for(client, make):
    product = make.product(price="4.00", stock=10)
    sale = make.sale([(product, 1)], channel="pos")
    back = {"sale_id": sale.id, "lines": [{"line_id": sale["items"][0]["id"], "quantity": "1"}], "reason": "size"}
    make.sale([(product, 1)], channel="pos", returns=back)
    shown = report(client)
    assert shown["summary"]["total_transactions"] == sum(each["count"] for each in shown["payment_breakdown"]) == 2
    assert shown["summary"]["total_sales"] == "4.00" == breakdown(shown)["cash"][1]


def test_tenders_are_the_total_and_the_rounding(client, make):
    assert client.patch("/api/settings", {"sales.cash_rounding": "0.05"}).status_code == 200
    product = make.product(price="1.02", stock=10)
    make.sale([(product, 1)], channel="pos")
    make.sale([(product, 1)], channel="pos", payment_method="card")
    shown = report(client)
    assert (shown["summary"]["total_sales"], shown["summary"]["cash_rounding"]) == ("2.04", "-0.02")
    assert breakdown(shown) == {"card": (1, "1.02"), "cash": (1, "1.00")}
