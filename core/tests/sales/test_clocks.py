"""A device's clock may say anything: it is kept as it was said, and harms no sale, number, list or report."""

import uuid
from datetime import UTC, datetime

import pytest

from tillhook.testing import clean

WRONG = [
    ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
    ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00.000000Z"),
    ("1900-01-01T00:00:00Z", "1900-01-01T00:00:00.000000Z"),
    ("1969-12-31T23:59:59-05:00", "1970-01-01T04:59:59.000000Z"),
    ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
    ("2199-12-31T23:59:59.999999Z", "2199-12-31T23:59:59.999999Z"),
    ("2200-02-28T12:00:00+05:30", "2200-02-28T06:30:00.000000Z"),
    ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.000000Z"),
]


@pytest.mark.parametrize("route", ["/api/sales", "/api/sales/sync"])
def test_wrong_clocks_are_kept_and_flagged(client, make, runtime, route):
    product = make.product(price="10.00", stock=99)
    for stamp, kept in WRONG:
        body = {
            "channel": "counter",
            "warehouse": make.main,
            "external_id": str(uuid.uuid4()),
            "client_timestamp": stamp,
            "items": [{"product_id": product["id"], "quantity": "2"}],
        }
        answer = client.post(route, body if route == "/api/sales" else {"sales": [body]})
        assert answer.status_code in (200, 201), answer.text
        sale = answer.json if route == "/api/sales" else answer.json["results"][0]["sale"]
        assert (sale["client_timestamp"], sale["clock_suspect"]) == (kept, True)
        assert sale["sale_date"] == sale["created_at"]
        assert sale["sale_number"][-13:-7] == datetime.now(UTC).strftime("%y%m%d")
        assert client.get(f"/api/sales/{sale['id']}").json == sale
        again = client.post(route, body if route == "/api/sales" else {"sales": [body]})
        assert again.status_code == 200
        back = {"lines": [{"position": 0, "quantity": "1"}], "client_timestamp": stamp}
        returned = client.post(f"/api/sales/{sale['id']}/returns", back)
        assert returned.status_code == 201 and returned.json["client_timestamp"] == kept
        assert returned.json["clock_suspect"] and returned.json["sale_date"] == returned.json["created_at"]
    for query in ("", "?ordering=sale_date", "?ordering=-created_at", "?limit=3", "?date_from=1900-01-01"):
        answer = client.get(f"/api/sales{query}")
        assert answer.status_code == 200 and answer.json["items"]
    analytics = client.get("/api/sales/analytics", params={"product_id": product["id"]}).json
    assert analytics["total_quantity_sold"] == str(len(WRONG)) and len(analytics["period_breakdown"]) == 1
    assert make.stock(product) == 99 - len(WRONG)
    assert client.get("/api/sales/exceptions").json["items"] == []
    assert clean(runtime)


@pytest.mark.parametrize("stamp", ["0000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00", "soon", 5])
def test_what_is_no_time_is_refused(client, make, stamp):
    body = {"channel": "counter", "warehouse": make.main, "client_timestamp": stamp}
    body["items"] = [{"product_id": make.product(stock=1)["id"], "quantity": "1"}]
    answer = client.post("/api/sales", body)
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "client_timestamp"
