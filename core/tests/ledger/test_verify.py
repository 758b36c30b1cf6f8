"""``verify`` names what was damaged behind the ledger's back."""

import pytest

from tillhook.server.verify import verify


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
