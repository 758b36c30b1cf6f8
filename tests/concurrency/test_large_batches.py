"""Large batches at once: each is posted in parts, and all of them take their locks in one order."""

import random
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tillhook.runtime import Runtime
from tillhook.sales.offline import posting
from tillhook.testing import Client, Factory, at_once, clean, many_at_once

pytestmark = [
    pytest.mark.xdist_group("concurrency"),
    # On SQLite one writes at a time.
    pytest.mark.parametrize("engine_name", ["postgresql"]),
]

#: Parts of a few sales each, so that no part has all of the products.
SALES, PART, CLIENTS, PRODUCTS = 40, 4, 6, 12


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "BATCH", PART)


@pytest.fixture
def deadlocks(runtime: Runtime) -> Iterator[Any]:
    """Returns how many deadlocks the database has ended."""

    def count() -> int:
        runtime.database.dispose()
        while True:
            with runtime.database.connect() as connection:
                # A process adds what it met to the statistics before it ends.
                others, deadlocks = connection.exec_driver_sql(
                    "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND backend_type = 'client backend' AND pid <> pg_backend_pid()), deadlocks"
                    " FROM pg_stat_database WHERE datname = current_database()"
                ).one()
            if not others:
                return int(deadlocks)

    before = count()
    return lambda: count() - before


def batch(products: list[Any], seed: int, **fields: Any) -> list[dict[str, Any]]:
    """Return sales of two lines, of products in no order."""
    choice = random.Random(seed)
    items = fields.pop("item", {})
    return [
        {
            "channel": "counter",
            "external_id": str(uuid.UUID(int=choice.getrandbits(128), version=4)),
            "items": [{"product_id": each["id"], "quantity": "1", **items} for each in choice.sample(products, 2)],
            **fields,
        }
        for _ in range(SALES)
    ]


def synced(client: Client, batches: list[list[dict[str, Any]]]) -> list[int]:
    answers = many_at_once(len(batches), lambda n: client.post("/api/sales/sync", {"sales": batches[n]}))
    assert {result["status"] for answer in answers for result in answer.json["results"]} == {"created"}
    return [answer.status_code for answer in answers]


def test_of_one_shop(client: Client, make: Factory, runtime: Runtime, deadlocks: Any) -> None:
    client.put("/api/stock-policies", {"policy": "block", "channel": "counter:offline"})
    products = [make.product(stock=5000) for _ in range(PRODUCTS)]
    batches = [batch(products, n, warehouse=make.main) for n in range(CLIENTS)]
    assert synced(client, batches) == [200] * CLIENTS
    assert deadlocks() == 0 and clean(runtime)


def test_of_shops_with_the_same_products(client: Client, make: Factory, runtime: Runtime, deadlocks: Any) -> None:
    products = [make.product(stock={make.main: 5000, make.other: 5000}) for _ in range(PRODUCTS)]
    batches = [batch(products, n, warehouse=(make.main, make.other)[n % 2]) for n in range(CLIENTS)]
    assert synced(client, batches) == [200] * CLIENTS
    assert deadlocks() == 0 and clean(runtime)


def test_of_products_whose_price_is_remembered(client: Client, make: Factory, runtime: Runtime, deadlocks: Any) -> None:
    products = [make.product(price_mode="open", tracking="none") for _ in range(PRODUCTS)]
    batches = [batch(products, n, warehouse=make.main, item={"unit_price": f"{n + 1}.00"}) for n in range(CLIENTS)]
    assert synced(client, batches) == [200] * CLIENTS
    assert deadlocks() == 0 and clean(runtime)


def test_of_lots(client: Client, make: Factory, runtime: Runtime, deadlocks: Any) -> None:
    products = [make.product(tracking="lot") for _ in range(PRODUCTS)]
    for product in products:
        make.receipt(make.main, [{"product_id": product["id"], "quantity": "40", "batch_number": "L"}])
    batches = [batch(products, n, warehouse=make.main) for n in range(CLIENTS)]
    assert synced(client, batches) == [200] * CLIENTS
    assert deadlocks() == 0 and clean(runtime)


def test_of_returns(client: Client, make: Factory, runtime: Runtime, deadlocks: Any) -> None:
    products = [make.product(stock=5000) for _ in range(PRODUCTS)]
    batches = [batch(products, n, warehouse=make.main) for n in range(CLIENTS)]
    sold = [client.post("/api/sales/sync", {"sales": each}).json["results"] for each in batches]
    back = [
        [
            {
                "channel": "counter",
                "external_id": str(uuid.uuid4()),
                "returns": {
                    "external_id": result["external_id"],
                    "lines": [{"position": line, "quantity": "1"} for line in range(2)],
                },
            }
            for result in results[:12]
        ]
        for results in sold
    ]
    assert synced(client, back) == [200] * CLIENTS
    assert deadlocks() == 0 and clean(runtime)


def test_beside_the_same_sales_one_by_one(client: Client, make: Factory, runtime: Runtime, deadlocks: Any) -> None:
    """A sale is written before its stock is locked, a batch after: they would wait for each other."""
    products = [make.product(stock=5000) for _ in range(PRODUCTS)]
    sales = batch(products, 1, warehouse=make.main)

    def one_by_one(number: int) -> set[int]:
        return {client.post("/api/sales", sale).status_code for sale in sales[::-1][number::CLIENTS]}

    answers = at_once(
        lambda: {client.post("/api/sales/sync", {"sales": sales}).status_code},
        *(lambda number=number: one_by_one(number) for number in range(CLIENTS)),
    )
    assert set().union(*answers) <= {200, 201}
    with runtime.database.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sale").scalar_one() == SALES
    assert deadlocks() == 0 and clean(runtime)
