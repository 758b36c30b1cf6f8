"""How many statements an ordinary sale takes: each is a round trip, and a till waits for it."""

from contextlib import contextmanager

import pytest
from sqlalchemy import event


class Statements(list):
    """The statements that a database was sent, whoever sent them."""

    @contextmanager
    def of(self, runtime):
        engine = runtime.database.engine
        engine.dispose()
        listen = self._sqlite if engine.dialect.name == "sqlite" else self._postgresql
        event.listen(engine, "connect", listen, insert=True)
        try:
            yield self
        finally:
            event.remove(engine, "connect", listen)
            engine.dispose()

    def _sqlite(self, connection, _record):
        connection.set_trace_callback(self.append)

    def _postgresql(self, connection, _record):
        statements = self

        class Cursor(connection.cursor_factory):
            def execute(self, query, *arguments, **options):
                statements.append(query)
                return super().execute(query, *arguments, **options)

        connection.cursor_factory = Cursor


#: What an ordinary sale takes. On SQLite its beginning and end count too, and each row that one statement writes.
LIMIT = {"sqlite": 17, "postgresql": 2}


@pytest.mark.parametrize(("rounding", "warehouses"), [("0", 1), ("0.05", 1), ("0", 2)])
def test_an_ordinary_sale(client, make, runtime, engine_name, rounding, warehouses):
    client.patch("/api/settings", {"sales.cash_rounding": rounding})
    product = make.product(stock=dict.fromkeys((make.main, make.other)[:warehouses], 90))
    body = {"channel": "counter", "warehouse": make.main, "items": [{"product_id": product["id"], "quantity": "1"}]}
    with Statements().of(runtime) as statements:
        # The first one reads what the others find read: the snapshot and the actor.
        client.post("/api/sales", body, as_="cashier")
        for external_id in (None, "550e8400-e29b-41d4-a716-446655440000"):
            statements.clear()
            assert client.post("/api/sales", body | {"external_id": external_id}, as_="cashier").status_code == 201
            assert len(statements) <= LIMIT[engine_name], "\n".join(map(str, statements))


def test_customers_of_many_sales_are_read_at_once(client, make, runtime):
    product = make.product(stock=90)
    item = {"product_id": product["id"], "quantity": "1"}
    customers = [make.customer().id for _ in range(20)]

    sales = [{"channel": "counter", "warehouse": make.main, "customer_id": key, "items": [item]} for key in customers]
    with Statements().of(runtime) as statements:
        results = client.post("/api/sales/sync", {"sales": sales}, as_="cashier").json["results"]
    assert [result["status"] for result in results] == ["created"] * len(sales)
    assert len([each for each in map(str, statements) if "FROM party" in each]) == 1
