"""Many clients at once against a real server with two processes: nothing sold twice, nothing lost."""

import http.client
import itertools
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from tillhook.runtime import Runtime
from tillhook.testing import Factory, RunningServer, clean, many_at_once

pytestmark = pytest.mark.xdist_group("concurrency")


def sale_of(*products: Any, warehouse: int, **fields: Any) -> dict[str, Any]:
    items = [{"product_id": product["id"], "quantity": "1"} for product in products]
    return {"channel": "counter", "warehouse": warehouse, "payment_method": "cash", "items": items, **fields}


def count(runtime: Runtime, table: str, condition: str = "1 = 1") -> int:
    with runtime.database.connect() as connection:
        return int(connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table} WHERE {condition}").scalar_one())


def test_one_external_id_from_100_threads_is_one_sale(server: RunningServer, make: Factory, runtime: Runtime) -> None:
    products = [make.product(stock=1000) for _ in range(2)]
    before = count(runtime, "stock_movement")
    body = sale_of(*products, warehouse=make.main, external_id=str(uuid.uuid4()))

    answers = many_at_once(100, lambda _: server.post("/api/sales", body))

    assert Counter(status for status, _ in answers) == {201: 1, 200: 99}
    assert len({sale["id"] for _, sale in answers}) == 1
    assert count(runtime, "sale") == 1
    assert count(runtime, "stock_movement") == before + 2
    assert [make.stock(product) for product in products] == [999, 999]
    assert clean(runtime)


def test_the_last_10_units_are_sold_to_10_of_64_clients(server: RunningServer, make: Factory, runtime: Runtime) -> None:
    plenty, scarce = make.product(stock=1000), make.product(stock=10)

    answers = many_at_once(64, lambda _: server.post("/api/sales", sale_of(plenty, scarce, warehouse=make.main)))

    assert Counter(status for status, _ in answers) == {201: 10, 409: 54}
    for problem in (body for status, body in answers if status == 409):
        assert problem["code"] == "insufficient-stock"
        assert [line["product_id"] for line in problem["short_lines"]] == [scarce["id"]]
    assert (make.stock(scarce), make.stock(plenty)) == (0, 990)
    assert clean(runtime)


def test_opposite_orders_of_lines_never_deadlock(server: RunningServer, make: Factory, runtime: Runtime) -> None:
    left, right = make.product(stock=10_000), make.product(stock=10_000)
    main, rounds = make.main, 6

    def sell(number: int) -> list[int]:
        products = (left, right) if number % 2 else (right, left)
        connection = server.connect()
        try:
            return [
                server.post("/api/sales", sale_of(*products, warehouse=main), connection=connection)[0]
                for _ in range(rounds)
            ]
        finally:
            connection.close()

    statuses = Counter(itertools.chain.from_iterable(many_at_once(32, sell)))

    assert statuses == {201: 32 * rounds}
    assert make.stock(left) == make.stock(right) == 10_000 - 32 * rounds
    assert "deadlock" not in server.logs().lower()
    assert clean(runtime)


KILLS = 4


def test_no_acknowledged_sale_is_lost_when_workers_are_killed(
    server: RunningServer, make: Factory, runtime: Runtime
) -> None:
    products = [make.product(stock=1_000_000) for _ in range(4)]
    main = make.main
    stop = threading.Event()

    def sell(number: int) -> list[str]:
        """Sell until told to stop, repeating a sale under its ``external_id`` until it is acknowledged."""
        acknowledged, pairs = [], itertools.cycle(itertools.permutations(products, 2))
        connection = server.connect()
        while not stop.is_set():
            body = sale_of(*next(pairs), warehouse=main, external_id=str(uuid.uuid4()))
            while True:
                try:
                    status, answer = server.post("/api/sales", body, connection=connection)
                except (OSError, http.client.HTTPException):
                    connection.close()
                    connection = server.connect()
                    continue
                assert status in (200, 201), answer
                acknowledged.append(body["external_id"])
                break
        connection.close()
        return acknowledged

    with ThreadPoolExecutor(8) as pool:
        sellers = [pool.submit(sell, number) for number in range(8)]
        try:
            victims = {server.kill_worker() for _ in range(KILLS)}
        finally:
            stop.set()
        acknowledged = [external_id for seller in sellers for external_id in seller.result()]

    assert len(victims) == KILLS
    assert len(acknowledged) > KILLS
    with runtime.database.connect() as connection:
        posted = set(connection.exec_driver_sql("SELECT external_id FROM sale").scalars())
    assert posted == set(acknowledged)
    assert count(runtime, "sale_line") == 2 * len(posted)
    assert count(runtime, "sale_payment") == len(posted)
    assert count(runtime, "stock_movement", "document_type = 'sale'") == 2 * len(posted)
    sold = sum((Decimal(1_000_000) - make.stock(product) for product in products), Decimal(0))
    assert sold == 2 * len(posted)
    assert clean(runtime)
