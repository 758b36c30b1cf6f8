"""``verify`` names what was damaged behind the ledger's back."""

import pytest
from sqlalchemy.exc import OperationalError

from tillhook.ledger.repairs import repair_alerts, repair_on_hand, repair_reserved
from tillhook.sales.rollups.counting import count_sales
from tillhook.server.verify import repair, verify


def found(runtime):
    return [difference for _, differences in verify(runtime) for difference in differences]


def damage(runtime, statement):
    with runtime.unit_of_work() as session:
        session.connection().exec_driver_sql(statement)


@pytest.fixture
def sold(client, make):
    product = make.product(price="2.00", stock=10)
    return product, make.sale([(product, 4)])


def test_clean_books_have_no_differences(runtime, sold):
    assert found(runtime) == []


def test_a_damaged_level_is_named(runtime, sold):
    damage(runtime, "UPDATE stock_level SET on_hand = on_hand + 10000")
    (difference,) = found(runtime)
    assert difference.invariant == "stock levels"
    assert (difference.expected, difference.actual) == ("6.0000", "7.0000")


def test_a_damaged_reservation_is_named(runtime, sold):
    damage(runtime, "UPDATE stock_level SET reserved = 5000")
    (difference,) = found(runtime)
    assert (difference.invariant, difference.expected, difference.actual) == ("reserved stock", "0.0000", "0.5000")


def test_a_missing_number_is_named(runtime, sold):
    damage(runtime, "UPDATE number_series SET last = last + 1")
    assert {difference.invariant for difference in found(runtime)} == {"number series"}


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("statement", "invariant"),
    [
        ("UPDATE sale SET total_amount = total_amount + 100, subtotal = subtotal + 100", "sale totals"),
        ("UPDATE sale_payment SET amount = amount + 100", "sale payments"),
        ("UPDATE stock_movement SET quantity = 1 WHERE document_type = 'sale'", "goods of sales"),
        ("DELETE FROM sale_line", "whole documents"),
        ("UPDATE sale SET sale_number = 'OS2601010000099'", "sale numbers"),
    ],
)
def test_a_rewritten_journal_is_named(runtime, sold, statement, invariant):
    """Somebody with the file in hand can drop a trigger; verify still sees it."""
    table = statement.split()[2] if statement.startswith("DELETE") else statement.split()[1]
    with runtime.unit_of_work() as session:
        connection = session.connection()
        names = (
            connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
            )
            .scalars()
            .all()
        )
        for name in names:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql(statement)
    assert invariant in {difference.invariant for difference in found(runtime)}


@pytest.mark.parametrize(
    ("damaged", "invariants"),
    [
        ("UPDATE stock_level SET on_hand = on_hand + 10000", {"stock levels"}),
        ("DELETE FROM stock_level", {"stock levels", "alerts"}),
        ("UPDATE stock_level SET on_hand = 990000", {"stock levels", "alerts"}),
        ("UPDATE stock_level SET reserved = 5000", {"reserved stock"}),
        ("DELETE FROM stock_alert", {"alerts"}),
        ("UPDATE stock_alert SET warehouse_id = warehouse_id + 1", {"alerts"}),
        ("UPDATE rollup_day SET sales_count = sales_count + 1", {"rollups"}),
    ],
)
def test_what_is_derived_is_made_anew(client, runtime, sold, damaged, invariants):
    with runtime.unit_of_work() as session:
        count_sales(session)
    damage(runtime, damaged)
    assert {difference.invariant for difference in found(runtime)} == invariants
    # An alert may be right again when the levels are.
    repaired = repair(runtime).keys()
    assert repaired and repaired <= invariants
    assert found(runtime) == []
    entries = client.get("/api/audit", params={"action": "repair"}).json["items"]
    assert {entry["entity_id"] for entry in entries} == repaired and all(entry["before"] for entry in entries)
    product, _ = sold
    assert client.get(f"/api/products/{product['id']}").json["inventory"] == "6"


def test_a_repair_is_told_as_any_change_of_stock(client, runtime, sold):
    damage(runtime, "UPDATE stock_level SET on_hand = on_hand + 10000")
    seen = client.get("/api/events", params={"limit": "1000"}).json["last_event_id"]
    repair(runtime)
    (event,) = client.get("/api/events", params={"after": str(seen)}).json["items"]
    assert (event["name"], event["payload"]["product"]["inventory"]) == ("product:inventory-updated", 6)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_what_is_not_derived_is_not_touched(runtime, sold):
    damage(runtime, "UPDATE number_series SET last = last + 1")
    damage(runtime, "UPDATE stock_level SET on_hand = 1")
    repair(runtime)
    assert {difference.invariant for difference in found(runtime)} == {"number series"}


def test_alerts_follow_the_setting_and_tracking(client, make, runtime):
    product = make.product(stock=12)
    path = f"/api/products/{product['id']}"

    def after(change):
        assert change.status_code == 200
        assert found(runtime) == []
        return [alert["status"] for alert in client.get("/api/inventory/alerts").json["items"]]

    assert after(client.patch("/api/settings", {"low_stock_threshold": "20"})) == ["open"]
    assert after(client.patch("/api/settings", {"low_stock_threshold": None})) == ["resolved"]
    client.put(f"{path}/inventory", {"inventory": 0, "warehouse": make.main})
    assert after(client.patch(path, {"tracking": "none"})) == ["resolved", "resolved"]
    assert after(client.patch(path, {"tracking": "quantity"})) == ["open", "resolved", "resolved"]


@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.parametrize("repairs", [repair_on_hand, repair_reserved, repair_alerts])
def test_no_level_changes_while_it_is_made_anew(runtime, sold, repairs):
    with runtime.unit_of_work() as session:
        repairs(session)
        with runtime.database.connect() as other, pytest.raises(OperationalError, match="lock timeout"):
            other.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
            other.exec_driver_sql("UPDATE stock_level SET updated_at = updated_at WHERE false")
