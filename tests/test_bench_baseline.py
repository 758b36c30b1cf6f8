"""What ``bin/bench sales`` compares with writes by hand what a sale of the product writes."""

import uuid

import pytest

from bench import baseline

#: Tables with their keys, and how many rows a sale of one line adds to each.
ROWS = {
    "sale": ("id", 1),
    "sale_line": ("id", 1),
    "sale_payment": ("id", 1),
    "stock_movement": ("id", 1),
    "pos_document": ("sale_id", 1),
    "sale_uncounted": ("sale_id", 1),
    "outbox": ("id", 2),
}


@pytest.fixture
def by_hand(settings, engine_name, monkeypatch):
    """The hand-written statements, on the test's database."""
    monkeypatch.setenv("TILLHOOK_DATABASE_URL", settings.database_url)
    store = baseline._postgresql() if engine_name == "postgresql" else baseline._sqlite()
    yield store
    store.connection().close()
    if engine_name == "sqlite":
        store._local.lock.close()


@pytest.mark.parametrize("is_offline", [False, True])
def test_it_fills_what_a_sale_fills(client, make, runtime, by_hand, is_offline):
    product = make.product(stock=50)
    item = {"product_id": product.id, "quantity": "1", "unit_price": "10.00"}
    sale = {
        **{"channel": "pos", "source_device": "bench-01", "client_timestamp": "2026-01-31T14:30:00Z"},
        **{"warehouse": make.main, "payment_method": "cash", "items": [item]},
    }
    ours, theirs = (sale | {"external_id": str(uuid.uuid4())} for _ in range(2))
    path, body = ("sync", {"sales": [ours]}) if is_offline else ("", ours)
    assert client.post(f"/api/sales/{path}", body).status_code in (200, 201)
    filled = filled_last(runtime)
    if is_offline:
        by_hand.ingest([theirs])
    else:
        by_hand.post(theirs)
    assert filled_last(runtime) == filled
    assert make.stock(product) == 48


def filled_last(runtime):
    """Return which columns the last rows of the tables have filled, ``seq`` left out, which is given later."""
    with runtime.database.connect() as connection:
        return {
            table: [
                {name for name, value in row._mapping.items() if value is not None and name != "seq"}
                for row in connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY {key} DESC LIMIT {count}")
            ]
            for table, (key, count) in ROWS.items()
        }
