"""Movements by everything that they can be asked for, and stock as it was: the same in pages as at once."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tillhook.db import format_instant, utc_now
from tillhook.ledger import movements as reading

NOW = utc_now()


def ago(days):
    return format_instant(NOW - timedelta(days=days))


def listed(client, path="/api/inventory/movements", **params):
    """Return all items, two to a page."""
    items, cursor = [], None
    while True:
        answer = client.get(path, params={"limit": "2", **params, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        items, cursor = items + answer.json["items"], answer.json["next_cursor"]
        if cursor is None:
            return items


@pytest.fixture
def shirt(make):
    """Return a product of three variants that came and went by turns; what was sold last was said first."""
    shirt = make.product(variants=[{"name": name} for name in "SML"], low_stock_threshold="0")
    other = make.product()
    for number in range(4):
        for variant in shirt.variants:
            line = {"product_id": shirt.id, "variant_id": variant["id"], "quantity": 9}
            make.receipt(make.main, [line], occurred_at=ago(40 - number))
        make.receipt(make.other, [(other, 5)], occurred_at=ago(40 - number))
    for number, days in enumerate((3, 9, 20)):
        item = {"product_id": shirt.id, "variant_id": shirt.variants[number]["id"], "quantity": number + 1}
        make.sale([item], client_timestamp=ago(days))
    return shirt


@pytest.mark.parametrize("ordering", ["-occurred_at", "occurred_at", "id", "-id", "recorded_at", "-recorded_at"])
def test_the_variants_of_a_product_are_one_list(client, shirt, ordering):
    everything = client.get("/api/inventory/movements", params={"ordering": ordering, "limit": "200"}).json["items"]
    assert len(everything) == 19
    for product in {each["product_id"] for each in everything}:
        expected = [each for each in everything if each["product_id"] == product]
        assert listed(client, product=product, ordering=ordering) == expected
        for variant in {each["variant_id"] for each in expected} - {None}:
            of_variant = [each for each in expected if each["variant_id"] == variant]
            assert listed(client, variant=variant, ordering=ordering) == of_variant
            assert listed(client, variant=variant, product=product, ordering=ordering) == of_variant
    assert listed(client, product=999_999) == listed(client, product=shirt.id, variant=999_999) == []


def test_what_happened_last_comes_first(client, shirt):
    times = [each["occurred_at"] for each in listed(client, product=shirt.id)]
    assert times == sorted(times, reverse=True) and times[0] == ago(3)
    within = listed(client, product=shirt.id, date_from=ago(9), date_to=ago(3))
    assert [each["occurred_at"] for each in within] == [ago(9)]


@pytest.mark.parametrize("few", [1_000, 1])
def test_movements_of_kinds_and_documents(client, shirt, monkeypatch, few):
    monkeypatch.setattr(reading, "FEW", few)
    everything = listed(client)
    for kind, count in (("receipt", 16), ("sale", 3), ("transfer", 0), ("invoicing.invoice", 0)):
        expected = [each for each in everything if each["document_type"] == kind]
        assert listed(client, document_type=kind) == expected and len(expected) == count
    for key in {each["document_id"] for each in everything}:
        expected = [each for each in everything if each["document_id"] == key]
        assert listed(client, document_id=key) == expected
        sales = [each for each in expected if each["document_type"] == "sale"]
        assert listed(client, document_id=key, document_type="sale") == sales


@pytest.mark.parametrize("axis", ["as_of", "known_at"])
@pytest.mark.parametrize("ordering", ["-id", "product_name", "on_hand", "last_updated"])
def test_levels_are_what_had_moved_by_then(client, make, shirt, axis, ordering):
    lines = [{"product_id": shirt.id, "variant_id": shirt.variants[0]["id"], "quantity": 4}]
    transfer = {"from_warehouse": make.main, "to_warehouse": make.other, "lines": lines, "occurred_at": ago(15)}
    assert client.post("/api/inventory/transfers", transfer).status_code == 201
    movements = listed(client)
    field = {"as_of": "occurred_at", "known_at": "recorded_at"}[axis]
    for moment in sorted({each[field] for each in movements} | {ago(60)})[::3]:
        expected = {}
        for each in movements:
            if each[field] <= moment:
                for place, sign in ((each["source"], -1), (each["destination"], 1)):
                    key = each["variant_id"], place
                    expected[key] = expected.get(key, 0) + sign * Decimal(each["quantity"])
        items = listed(client, "/api/inventory", ordering=ordering, **{axis: moment})
        assert all(each["last_updated"] for each in items)
        names = {variant["id"] for variant in shirt.variants}
        found = {
            (each["variant_id"] if each["variant_id"] in names else None, each["warehouse_id"]): Decimal(
                each["on_hand"]
            )
            for each in items
        }
        assert found == {
            (variant if variant in names else None, place): units
            for (variant, place), units in expected.items()
            if place > 0
        }
        assert len(found) == len(items)
