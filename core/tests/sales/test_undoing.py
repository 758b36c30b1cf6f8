"""All in one transaction or nothing: whoever vetoes or fails, nothing of the document is left."""

import pytest

from tillhook.errors import Conflict
from tillhook.testing import plug

TABLES = (
    "sale",
    "sale_line",
    "sale_payment",
    "stock_movement",
    "stock_document",
    "outbox",
    "stock_alert",
    "sale_exception",
    "product",
    "lot",
)


def state(runtime):
    with runtime.database.connect() as connection:
        counts = {table: connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar_one() for table in TABLES}
        levels = connection.exec_driver_sql("SELECT variant_id, location_id, lot_id, on_hand FROM stock_level").all()
    return counts, sorted(tuple(row) for row in levels if row[3])


def veto(session, draft):
    raise Conflict("Not today.", code="extra-veto")


def veto_movements(session, movements):
    raise Conflict("Not today.", code="extra-veto")


def fail_movements(session, movements):
    raise RuntimeError("no")


def fail_sales(session, sales):
    raise RuntimeError("no")


def fail_sale(session, sale):
    raise RuntimeError("no")


@pytest.mark.parametrize(
    ("hook", "function", "status"),
    [
        ("validate_sale", veto, 409),
        ("validate_movements", veto_movements, 409),
        ("movements_posted", fail_movements, 500),
        ("sales_posted", fail_sales, 500),
    ],
)
def test_a_sale(client, make, runtime, hook, function, status):
    product = make.product(stock=11)
    before = state(runtime)
    plug(runtime, **{hook: function})
    inline = {"product_data": {"name": "Bread", "tracking": "none"}, "quantity": "1", "unit_price": "1"}
    items = [{"product_id": product["id"], "quantity": "4"}, inline]
    answer = client.post("/api/sales", {"channel": "counter", "warehouse": make.main, "items": items})
    assert answer.status_code == status
    assert state(runtime) == before


@pytest.mark.parametrize(
    ("hook", "function", "status"),
    [
        ("validate_movements", veto_movements, 409),
        ("movements_posted", fail_movements, 500),
        ("sale_returned", fail_sale, 500),
        ("sale_cancelled", fail_sale, 500),
    ],
)
def test_a_return_or_a_cancellation(client, make, runtime, hook, function, status):
    sale = make.sale([(make.product(stock=11), 4)])
    before = state(runtime)
    plug(runtime, **{hook: function})
    lines = [{"line_id": sale["items"][0]["id"], "quantity": "2"}]
    if hook != "sale_cancelled":
        assert client.post(f"/api/sales/{sale.id}/returns", {"lines": lines}).status_code == status
    if hook != "sale_returned":
        assert client.post(f"/api/sales/{sale.id}/cancel", {"reason": "x"}).status_code == status
    assert state(runtime) == before


@pytest.mark.parametrize(("rounding", "tax"), [("line", "0.03"), ("document", "0.02")])
def test_the_rounding_rule_is_a_setting_and_stored_on_the_document(client, make, runtime, rounding, tax):
    assert client.patch("/api/settings", {"tax_rounding": rounding}).status_code == 200
    rate = make.tax("0.06")
    products = [make.product(price="0.10", stock=5, tax=rate["id"]) for _ in range(3)]
    assert make.sale([(product, 1) for product in products]).tax_amount == tax
    with runtime.database.connect() as connection:
        assert connection.exec_driver_sql("SELECT tax_rounding FROM sale").scalar_one() == rounding
