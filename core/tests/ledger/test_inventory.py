"""The list of stock: in pages, in any order, as it is and as it was."""

import pytest

from tillhook.db import format_instant, utc_now


def pages(client, path, **params):
    """Return all items, two to a page."""
    items, cursor = [], None
    while True:
        answer = client.get(path, params={"limit": "2", **params, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200
        items += answer.json["items"]
        cursor = answer.json["next_cursor"]
        assert len(answer.json["items"]) <= 2
        if cursor is None:
            return items


@pytest.fixture
def shelf(make):
    """Return products named out of the order of their keys, with stock at one or two warehouses."""
    pear = make.product(name="Pear", stock={make.main: 3, make.other: 1})
    apple = make.product(name="Apple", stock={make.main: 1, make.other: 2})
    return pear, apple, make.product(name="Özil's plums", stock=2)


@pytest.mark.parametrize("then", [False, True])
@pytest.mark.parametrize(
    ("ordering", "expected"),
    [
        ("id", ""),
        ("-id", ""),
        ("product_name", "aappo"),
        ("-product_name", "oppaa"),
        ("on_hand", ""),
        ("-on_hand", ""),
        ("last_updated", "ppaao"),
        ("-last_updated", "oaapp"),
    ],
)
def test_every_level_is_listed_once_in_any_order(client, shelf, ordering, expected, then):
    params = {"ordering": ordering} | ({"known_at": format_instant(utc_now())} if then else {})
    items = pages(client, "/api/inventory", **params)
    keys = [(row["product_id"], row["warehouse_id"]) for row in items]
    assert len(keys) == len(set(keys)) == 5
    if "on_hand" in ordering:
        assert [row["on_hand"] for row in items] == sorted((row["on_hand"] for row in items), reverse="-" in ordering)
    elif "id" in ordering:
        assert keys == sorted(keys, reverse="-" in ordering)
    else:
        assert [row["product_name"][0] for row in items] == [{"p": "P", "a": "A", "o": "Ö"}[each] for each in expected]


def test_one_products_stock_comes_in_pages(client, make):
    product = make.product(tracking="lot")
    lines = [{"product_id": product["id"], "quantity": n, "batch_number": f"L{n}"} for n in range(1, 6)]
    make.receipt(make.main, lines)
    path = f"/api/inventory/{product['id']}"
    assert [row["batch_number"] for row in pages(client, path)] == ["L1", "L2", "L3", "L4", "L5"]
    assert [row["on_hand"] for row in pages(client, path, ordering="-on_hand")] == ["5", "4", "3", "2", "1"]
    assert client.get(path).json["product_id"] == product["id"]
    assert client.get("/api/inventory/999999").status_code == 404


def test_a_cursor_is_of_its_list_and_its_ordering(client, shelf):
    cursor = client.get("/api/inventory", params={"limit": "2", "ordering": "on_hand"}).json["next_cursor"]
    for path, params in [
        ("/api/inventory", {"cursor": cursor}),
        ("/api/inventory", {"cursor": cursor, "ordering": "-on_hand"}),
        ("/api/inventory/movements", {"cursor": cursor, "ordering": "recorded_at"}),
        ("/api/inventory", {"cursor": "WyJpZCIsIG51bGwsIDFd"}),
        ("/api/inventory", {"cursor": "WyJpZCIsIDUsIDEsIDEsIDFd"}),
    ]:
        answer = client.get(path, params=params)
        assert (answer.status_code, answer.json["code"]) == (422, "bad-cursor")


def test_stock_is_found_by_name_however_it_is_written(client, shelf):
    items = client.get("/api/inventory", params={"search": "ÖZIL"}).json["items"]
    assert [row["product_name"] for row in items] == ["Özil's plums"]
