"""Keys that are taken before their rows are written."""

from pathlib import Path

import pytest

from tillhook.db import next_keys
from tillhook.testing import many_at_once

WANTED = {"sale": 2, "sale_line": 3}


def take(runtime, wanted=WANTED):
    with runtime.database.unit_of_work(write=False) as session:
        return next_keys(session.connection(), wanted)


def test_each_key_is_given_once(runtime):
    """Nobody holds a lock, and nothing is written."""
    taken = many_at_once(16, lambda _: take(runtime))
    for table, count in WANTED.items():
        keys = [key for each in taken for key in each[table]]
        assert len(set(keys)) == 16 * count
        assert all(list(each[table]) == sorted(each[table]) for each in taken)


@pytest.mark.parametrize("content", [b"", b'{"sale": 7', b"\x00" * 100])
def test_a_file_that_is_lost_or_torn(runtime, engine_name, client, make, content):
    if engine_name == "postgresql":
        pytest.skip("PostgreSQL has sequences")
    file = Path(f"{runtime.database.path}.keys")
    product = make.product(stock=9)
    sale = {"warehouse": make.main, "items": [{"product_id": product["id"], "quantity": "1"}]}
    sold = client.post("/api/sales", sale).json["id"]
    file.write_bytes(content)
    assert client.post("/api/sales", sale).json["id"] == sold + 1


def test_a_key_that_was_given_twice(runtime, engine_name, client, make, come_between):
    """The file was lost while a sale was under way: it is run again, with another key."""
    if engine_name == "postgresql":
        pytest.skip("PostgreSQL has sequences")
    file = Path(f"{runtime.database.path}.keys")
    product = make.product(stock=9)
    sold = make.sale([(product, 1)])

    def lose_it():
        file.write_bytes(b"")
        assert client.post(f"/api/sales/{sold['id']}/cancel", {"reason": "changed mind"}).status_code == 200

    come_between(lose_it)
    assert make.sale([(product, 1)])["id"] == sold["id"] + 2
