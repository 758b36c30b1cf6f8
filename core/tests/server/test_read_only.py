"""A database of SQLite that can only be read, or is gone; PostgreSQL's are in ``tests/faults/test_postgresql.py``."""

import os
from pathlib import Path

import pytest
from sqlalchemy import event

pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"])


def test_a_file_that_can_only_be_read_is_503_and_not_ready(client, runtime, monkeypatch):
    runtime.database.dispose()

    @event.listens_for(runtime.database.engine, "connect")
    def refuse_changes(connection, _record):
        # What a read-only file, folder or disk is for all but root, whom files do not refuse.
        connection.execute("PRAGMA query_only = ON")

    change = client.post("/api/parties", {"name": "Nadia"})
    assert (change.status_code, change.json["code"]) == (503, "database-read-only")
    assert "Nothing was changed" in change.json["detail"]
    assert client.get("/api/products").status_code == 200

    assert client.get("/readyz", as_=None).status_code == 200
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and may(path, mode))
    ready = client.get("/readyz", as_=None)
    assert (ready.status_code, ready.json["code"]) == (503, "database-read-only")


def test_looking_makes_no_file(client, runtime):
    client.get("/api/products")
    file = Path(runtime.database.path)
    file.rename(file.with_suffix(".away"))
    try:
        assert client.get("/readyz", as_=None).status_code == 503
        assert not file.exists()
    finally:
        file.with_suffix(".away").rename(file)
