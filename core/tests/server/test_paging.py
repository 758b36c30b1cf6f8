"""Pages go on after a row, whatever is inserted meanwhile."""

import base64
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tillhook.http.answers import is_page

#: For what no database has a part in.
sqlite_only = pytest.mark.parametrize("engine", ["sqlite"])

START = datetime(2026, 1, 1, tzinfo=UTC)


def _fill(shop: Any) -> None:
    shop.add(
        *(
            {
                "name": f"thing {number:02}",
                "price": None if number % 5 == 0 else Decimal(number % 3),
                "made_at": START + timedelta(seconds=number // 2, microseconds=number // 4),
                "rank": number % 2,
            }
            for number in range(23)
        )
    )


def _walk(shop: Any, ordering: str, limit: int = 4, between: Any = None) -> list[int]:
    seen: list[int] = []
    cursor = None
    while True:
        query = f"limit={limit}&ordering={ordering}" + (f"&cursor={cursor}" if cursor else "")
        answer = shop.get("/api/things", query_string=query).json
        seen += [item["id"] for item in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            return seen
        if between:
            between()


@pytest.mark.parametrize("ordering", ["id", "name", "price", "made_at", "rank"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_pages_hold_every_row_once(shop: Any, ordering: str, sign: str) -> None:
    _fill(shop)
    whole = _walk(shop, sign + ordering, limit=200)
    assert sorted(whole) == list(range(1, 24))
    for limit in (1, 4, 23):
        assert _walk(shop, sign + ordering, limit=limit) == whole


def test_nulls_come_last(shop: Any) -> None:
    _fill(shop)
    without = {number + 1 for number in range(0, 23, 5)}
    assert set(_walk(shop, "price")[-5:]) == set(_walk(shop, "-price")[-5:]) == without


def test_rows_that_come_meanwhile_move_nothing(shop: Any) -> None:
    _fill(shop)
    names = iter(range(1000))
    before = set(range(1, 24))

    def insert() -> None:
        shop.add({"name": f"a new one {next(names)}", "rank": 0}, {"name": f"z new one {next(names)}", "rank": 0})

    seen = [each for each in _walk(shop, "-name", between=insert) if each in before]
    assert sorted(seen) == sorted(before)


def _cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "cursor",
    [
        *("x", "====", "%00", "ä", "AAAA", "W" * 990),
        *(_cursor(["name", value, 1]) for value in (5, "\x00", "\ud800", {}, True)),
        *(_cursor(["name", "x", key]) for key in ("1", 2**70, True, None)),
        *(_cursor(whole) for whole in ([], {"name": 1}, ["name", "x"], ["price", "1", 1])),
    ],
)
@sqlite_only
def test_a_bad_cursor_is_422(shop: Any, cursor: str) -> None:
    result = shop.get("/api/things", query_string=f"ordering=name&cursor={cursor}")
    assert result.status_code == 422, result.text
    assert result.json["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize(
    ("ordering", "value"),
    [
        *(("price", value) for value in ("x", "NaN", 1.5)),
        *(("made_at", value) for value in ("x", "xZ", 1, "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00")),
        *(("rank", value) for value in ("1", 2**64)),
    ],
)
@sqlite_only
def test_a_value_of_another_type_is_422(shop: Any, ordering: str, value: Any) -> None:
    result = shop.get("/api/things", query_string=f"ordering={ordering}&cursor={_cursor([ordering, value, 1])}")
    assert (result.status_code, result.json["code"]) == (422, "bad-cursor")


@sqlite_only
@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "limit=1.0", "ordering=secret", "extra=1"])
def test_a_bad_query_names_the_parameter(shop: Any, query: str) -> None:
    result = shop.get("/api/things", query_string=query)
    assert result.status_code == 422
    assert result.json["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_every_list_says_how_many_there_are(client, make, runtime):
    """Over all pages, and with the filters; who does not ask is not told."""
    product = make.product(stock=9)
    sales = [make.sale([(product, 1)]) for _ in range(3)]
    client.post(f"/api/sales/{sales[0].id}/cancel", {"reason": "x"})
    routes = runtime.registry.routes
    lists = [route for route in routes if route.method == "GET" and is_page(route.answer) and route.path != "/events"]
    assert len(lists) > 20
    for route in lists:
        path = "/api" + route.path.replace("{product_id:int}", str(product.id))
        every, told = (client.get(path, params=asked) for asked in ({}, {"count": "true"}))
        assert every.status_code == told.status_code == 200, path
        assert "count" not in every.json and told.json["count"] == len(told.json["items"]), path
    for filters, count in (({}, 3), ({"kind": "all"}, 4), ({"product": product.id, "is_cancelled": "false"}, 2)):
        answer = client.get("/api/sales", params={**filters, "limit": "1", "count": "true"}).json
        assert (len(answer["items"]), answer["count"]) == (1, count)
