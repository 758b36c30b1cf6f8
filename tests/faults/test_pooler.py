"""A pooler that gives each transaction another session: pgbouncer, in transaction mode."""

import dataclasses
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from tillhook.server.verify import verify

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = [
    pytest.mark.parametrize("engine_name", ["postgresql"]),
    pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed"),
]

CONFIGURATION = """
[databases]
* = host={server}
[pgbouncer]
unix_socket_dir = {folder}
listen_port = 6432
pool_mode = transaction
default_pool_size = 3
auth_type = trust
auth_file = {folder}/users
"""


@pytest.fixture(scope="module")
def start_pooler(tmp_path_factory):
    """``start_pooler(url)`` returns the address of its database by way of the one pooler of these tests."""
    folder = Path(f"/tmp/tillhook-bouncer-{os.getpid()}")
    started = []

    def start(url):
        parts = urlsplit(url)
        server = unquote(parts.query.removeprefix("host="))
        if not started:
            folder.mkdir()
            (folder / "users").write_text('"postgres" ""\n')
            (folder / "ini").write_text(CONFIGURATION.format(server=server, folder=folder))
            owner = Path(server).stat().st_uid  # who alone may enter the server's folder; root may not pool
            for path in (folder, *folder.iterdir()):
                os.chown(path, owner, -1)
            started.append(subprocess.Popen([PGBOUNCER, "-q", folder / "ini"], user=owner, group=0))
            while not (folder / ".s.PGSQL.6432").exists():
                assert started[0].poll() is None
                time.sleep(0.01)
        return f"postgresql://postgres@{parts.path}?host={folder}&port=6432"

    yield start
    for each in started:
        each.terminate()
        each.wait(10)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def settings(settings, start_pooler):
    return dataclasses.replace(settings, database_url=start_pooler(settings.database_url))


def test_each_transaction_has_the_settings_and_nobody_else_has(runtime, settings, client):
    shown = "SELECT name, setting FROM pg_settings WHERE name IN ('lock_timeout', 'TimeZone', 'jit')"
    connections = [runtime.database.connect() for _ in range(6)]
    for connection in connections * 7:
        # As long as statements are prepared, the sixth time would find what another one prepared.
        rows = connection.execute(text(shown)).all()
        assert {tuple(row) for row in rows} == {("lock_timeout", "10000"), ("TimeZone", "UTC"), ("jit", "off")}
        connection.rollback()
    # Many at once go another way, in the driver's pipeline; they too may come first.
    many = text("SELECT set_config('tillhook.test', current_setting('lock_timeout') || :mark, true)")
    connections[0].execute(many, [{"mark": "a"}, {"mark": "b"}])
    assert connections[0].execute(text("SHOW tillhook.test")).scalar_one() == "10sb"
    for connection in connections:
        connection.close()
    with psycopg.connect(settings.database_url, prepare_threshold=None, autocommit=True) as other:
        assert other.execute("SHOW lock_timeout").fetchone() == ("0",)
        assert other.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_many_sell_by_it_at_once_and_the_books_are_right(client, runtime, make, worker):
    product = make.product(stock=100)
    ids = [str(uuid4()) for _ in range(20)] * 2  # each is sent twice

    def sell(external_id):
        sale = {"channel": "counter", "warehouse": make.main, "payment_method": "cash", "external_id": external_id}
        sale["items"] = [{"product_id": product["id"], "quantity": "1"}]
        return client.post("/api/sales", sale).status_code

    client.get("/api/products")
    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(sell, ids)) == [200] * 20 + [201] * 20
    worker.run_once()
    with runtime.unit_of_work(write=False) as session:
        assert session.execute(text("SELECT count(*) FROM sale")).scalar_one() == 20
    assert {name: found for name, found in verify(runtime) if found} == {}
    assert client.get("/readyz", as_=None).status_code == 200
