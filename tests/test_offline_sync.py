"""The page on offline sync does what it says."""

import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "offline-sync.md"


@pytest.fixture
def example(make):
    """Return the request and the answer that the page shows, of a product that is there."""
    shown = dict(re.findall(r"^```json (\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S))
    request, answer = json.loads(shown["request"]), json.loads(shown["answer"])
    request["sales"][0]["items"][0]["product_id"] = make.product(stock=5).id
    return request, answer


@pytest.mark.parametrize("backwards", [False, True])
def test_the_example_is_answered_as_shown(client, example, backwards):
    request, shown = example
    if backwards:
        request["sales"].reverse()
        shown["results"].reverse()
    answer = client.post("/api/sales/sync", request, as_="cashier").json
    sales = [result.pop("sale") for result in answer["results"]]
    assert answer == shown
    assert sorted(sale["total_amount"] for sale in sales) == ["-9.50", "19.00"]
    again = client.post("/api/sales/sync", request, as_="cashier").json
    assert {result["status"] for result in again["results"]} == {"duplicate"}
    assert again["missing"] == shown["missing"]
