"""A primary that dies, and a standby that takes its place, while the shop sells."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from tillhook.server.verify import verify
from tillhook.testing.postgres import PostgresServer
from tillhook.testing.proxy import Proxy
from tillhook.testing.template import fill

pytestmark = [pytest.mark.parametrize("engine_name", ["postgresql"]), pytest.mark.xdist_group("faults")]


@pytest.fixture
def modules():
    """Few, so that the tables of the two servers are made soon."""
    return ("counter",)


@pytest.fixture
def servers(databases, modules):
    """The primary and the standby, which has each change before the primary says that it is done."""
    primary = PostgresServer(PostgresServer.make_folder())
    primary.start()
    with psycopg.connect(primary.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE shop")
    fill(primary.url("shop"), modules)
    standby = primary.start_standby()
    with psycopg.connect(primary.url(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_commit = on")
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("SELECT pg_reload_conf()")
    yield primary, standby
    primary.stop()
    standby.stop()


@pytest.fixture
def database_url(servers, engine_name):
    """Both servers, by TCP; the standby, which takes no changes, is named first."""
    with Proxy(servers[0].url("shop")) as primary, Proxy(servers[1].url("shop")) as standby:
        hosts = f"127.0.0.1:{standby.port},127.0.0.1:{primary.port}"
        yield f"postgresql://postgres@{hosts}/shop?connect_timeout=2"


def test_the_shop_sells_on_when_the_standby_is_promoted(servers, client, make, runtime):
    primary, standby = servers
    product = make.product(stock=100_000)
    done, ended = {}, threading.Event()

    def sell(_):
        while not ended.is_set():
            external_id = str(uuid4())
            sale = {"channel": "counter", "warehouse": make.main, "payment_method": "cash", "external_id": external_id}
            sale["items"] = [{"product_id": product["id"], "quantity": "1"}]
            # As a till does: the same again until it is answered.
            while client.post("/api/sales", sale).status_code not in (200, 201) and not ended.is_set():
                time.sleep(0.05)
            else:
                if not ended.is_set():
                    done[external_id] = time.monotonic()

    client.get("/api/products")
    with ThreadPoolExecutor(4) as threads:
        tills = [threads.submit(sell, each) for each in range(4)]
        time.sleep(1)
        sold = len(done)
        primary.kill()
        time.sleep(0.3)
        standby.promote()
        promoted = time.monotonic()
        while len([at for at in done.values() if at > promoted]) < 40 and time.monotonic() < promoted + 20:
            time.sleep(0.05)
        ended.set()
        for till in tills:
            till.result()
    first = min(at for at in done.values() if at > promoted)
    assert sold > 0
    assert first - promoted < 5  # 0.0 s on a quiet machine
    with runtime.unit_of_work(write=False) as session:
        found = list(session.execute(text("SELECT external_id FROM sale")).scalars())
    assert len(found) == len(set(found))
    assert set(done) <= set(found)
    assert {name: wrong for name, wrong in verify(runtime) if wrong} == {}
