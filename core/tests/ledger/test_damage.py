"""Damage that levels alone do not show: ``verify`` names each kind of it, and nothing else."""

import pytest

from tillhook.testing import damage, differences


@pytest.fixture
def books(client, make):
    """A sale that stands, one that was cancelled, and one of which some came back."""
    product = make.product(price="2.00", stock=50, tax=make.tax("0.1")["id"])
    make.sale([(product, 4)], payments=[{"method": "cash", "amount": "20"}])
    cancelled = make.sale([(product, 2)])
    client.post(f"/api/sales/{cancelled.id}/cancel", {"reason": "x"})
    returned = make.sale([(product, 3)])
    make.post("/api/inventory/counts", {"warehouse": make.main, "lines": [{"product_id": product.id, "quantity": 40}]})
    lines = [{"line_id": returned["items"][0]["id"], "quantity": "1"}]
    client.post(f"/api/sales/{returned.id}/returns", {"lines": lines})
    return product


def found(runtime):
    return {difference.invariant for difference in differences(runtime)}


SALE_1 = "(SELECT MIN(id) FROM sale WHERE kind = 'sale')"
BACK = "(SELECT id FROM sale WHERE kind = 'return')"
CANCELLED = "(SELECT origin_id FROM sale WHERE kind = 'cancellation')"


@pytest.mark.parametrize(
    ("invariant", "statements"),
    [
        ("sale totals", ["UPDATE sale SET tax_amount = tax_amount + 100, subtotal = subtotal - 100 WHERE id = {sale}"]),
        (
            "sale totals",
            ["UPDATE sale SET discount_amount = discount_amount + 100, subtotal = subtotal + 100 WHERE id = {sale}"],
        ),
        ("sale payments", ["DELETE FROM sale_payment WHERE sale_id = {sale}"]),
        ("sale payments", ["UPDATE sale SET change_due = change_due + 100 WHERE id = {sale}"]),
        ("sale numbers", ["UPDATE sale SET sale_number = 'no digits' WHERE id = {sale}"]),
        # A cancellation whose goods never came back, the level made to fit.
        (
            "goods of sales",
            [
                "DELETE FROM stock_movement WHERE document_type = 'cancellation'",
                "UPDATE stock_level SET on_hand = on_hand - 20000",
            ],
        ),
        # A return whose goods never came back.
        (
            "goods of sales",
            [
                "DELETE FROM stock_movement WHERE document_type = 'return'",
                "UPDATE stock_level SET on_hand = on_hand - 10000",
            ],
        ),
        # More was paid back for a line than was paid for it, and all else made to fit.
        (
            "returns",
            [
                "UPDATE sale_line SET total_price = total_price - 100000 WHERE sale_id = {back}",
                "UPDATE sale SET subtotal = subtotal - 100000, total_amount = total_amount - 100000 WHERE id = {back}",
                "UPDATE sale_payment SET amount = amount - 100000 WHERE sale_id = {back}",
            ],
        ),
        # Cancelled twice: the unique index was dropped first.
        (
            "taken back once",
            [
                "DROP INDEX ux_sale_cancellation",
                "UPDATE sale SET kind = 'cancellation', origin_id = {cancelled} WHERE kind = 'return'",
            ],
        ),
        ("taken back once", ["UPDATE sale SET origin_id = 999 WHERE kind = 'return'"]),
        ("taken back once", ["UPDATE sale SET origin_id = {cancelled} WHERE kind = 'return'"]),
        # Goods from a document that is not there, the level made to fit.
        (
            "stock documents",
            [
                "UPDATE stock_movement SET document_id = 999 WHERE document_type = 'receipt'",
            ],
        ),
        ("stock documents", ["UPDATE stock_movement SET document_type = 'transfer' WHERE document_type = 'receipt'"]),
        # A count whose difference was posted otherwise, or not at all; and one of which nothing is left.
        ("stock documents", ["UPDATE stock_count_line SET counted = counted + 10000"]),
        ("stock documents", ["DELETE FROM stock_count_line"]),
        ("stock documents", ["UPDATE stock_count_line SET document_id = 999"]),
        ("movements", ["UPDATE stock_movement SET source_id = -99 WHERE document_type = 'receipt'"]),
        ("movements", ["UPDATE stock_movement SET product_id = 999 WHERE document_type = 'receipt'"]),
        (
            "stock levels",
            [
                "INSERT INTO stock_level (variant_id, location_id, lot_id, on_hand, reserved, updated_at)"
                " VALUES (999, 999, 0, 1, 0, '2026-01-01T00:00:00.000000Z')"
            ],
        ),
    ],
)
def test_damage_is_named(runtime, books, invariant, statements):
    assert found(runtime) == set()
    damage(runtime, *(statement.format(sale=SALE_1, cancelled=CANCELLED, back=BACK) for statement in statements))
    assert invariant in found(runtime)
