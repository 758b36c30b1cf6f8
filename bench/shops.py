"""Two businesses that differ in how many sales there were, each behind its own server, and how long they answer."""

import contextlib
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bench import filling
from bench.requests import Read
from tillhook.access import UserAccount
from tillhook.config import Settings
from tillhook.runtime import Runtime
from tillhook.sales.rollups.counting import rebuild
from tillhook.server.app import create_app
from tillhook.server.building import build_runtime
from tillhook.testing import Client, Databases, PostgresServer, RunningServer, Tokens
from tillhook.testing.databases import SECRET
from tillhook.testing.plans import Reading, readings
from tillhook.testing.template import environment_of, fill

MODULES = ("pos",)


@contextlib.contextmanager
def open_shops(engine: str, sizes: tuple[int, int], *, counted: bool) -> Iterator[list["Shop"]]:
    """Yield a business with as many sales as each of ``sizes`` says, and stop everything afterwards.

    Args:
        counted: Build the rollups too, which takes longer than all else.
    """
    with contextlib.ExitStack() as stack:
        folder = PostgresServer.make_folder(durable=True)
        postgres = PostgresServer(folder, durable=True)
        stack.callback(postgres.stop)
        databases = Databases(folder, postgres, fill)
        stack.callback(databases.close)
        shops = []
        for size in sizes:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = stack.enter_context(databases.copy(engine, MODULES))
            settings = Settings(
                data_dir=scratch,
                database_url=url,
                secret=SECRET,
                modules=MODULES,
                demo=False,
                log_level="error",
                access_token_lifetime_s=86_400,
            )
            runtime = build_runtime(settings)
            stack.callback(runtime.dispose)
            shop = Shop(runtime, size, counted=counted)
            stack.callback(shop.serve(scratch / "server.log").stop)
            shops.append(shop)
        yield shops


class Shop:
    """A business with its sales; it is filled when it is made."""

    def __init__(self, runtime: Runtime, sales: int, *, counted: bool) -> None:
        self._runtime = runtime
        begin = time.perf_counter()
        filling.fill(runtime, sales)
        filled = time.perf_counter()
        if counted:
            with runtime.unit_of_work() as session:
                rebuild(session)
        say(f"{sales:,} sales: written in {filled - begin:.0f} s, counted in {time.perf_counter() - filled:.0f} s")
        self._tokens = Tokens(runtime)
        self._client = Client(create_app(runtime), self._tokens)
        self._facts = _facts(sales) | _people(runtime)
        self._connection: http.client.HTTPConnection

    def serve(self, log: Path) -> RunningServer:
        """Start a server of one process, connect to it and return it."""
        server = RunningServer(environment_of(self._runtime.settings), log, workers=1)
        server.start()
        self._connection = server.connect()
        return server

    def ask(self, read: Read) -> float:
        """Return how long the server took for an answer, in milliseconds."""
        path, body = read.filled(self._facts)
        headers = {**self._tokens.headers(read.person), "Content-Type": "application/json"}
        begin = time.perf_counter()
        self._connection.request(read.method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        took = time.perf_counter() - begin
        if answer.status != 200:
            raise SystemExit(f"{read.name}: {read.method} {path}: {answer.status} {content[:500]!r}")
        return took * 1000

    def explain(self, read: Read, *, as_if_large: bool = False) -> list[Reading]:
        """Return what the database reads for each statement of a request."""
        path, body = read.filled(self._facts)
        self._client.request(read.method, path, body, as_=read.person)  # caches are filled by now
        with readings(self._runtime.database.engine, as_if_large=as_if_large) as found:
            answer = self._client.request(read.method, path, body, as_=read.person)
        assert answer.status_code == 200, f"{read.name}: {answer.text}"
        return found


def _facts(sales: int) -> dict[str, Any]:
    """Return what a request may name, by the names of ``bench.requests``."""
    first = filling.first_day()
    middle = sales // 2
    # Written by day: the middle sale is in the middle of the year.
    sold_on = first + timedelta(days=filling.DAYS // 2)
    return {
        "first": first,
        "day": sold_on,
        "month": sold_on - timedelta(days=30),
        "last": first + timedelta(days=filling.DAYS - 1),
        "last_month": first + timedelta(days=filling.DAYS - 31),
        "middle": filling.key_of(sales, middle),
        "newest": sales,
        "digits": f"{10_000_000 + filling.key_of(sales, middle)}"[1:],
        "external_id": f"00000000-0000-4000-8000-{middle // 10 * 10:012d}",
        "number": f"OS{sold_on:%y%m%d}" + f"{10_000_000 + filling.key_of(sales, middle)}"[1:],
        "rare_warehouse": filling.RARE_WAREHOUSE,
        "rare_customer": filling.RARE_CUSTOMER,
        "frequent_customer": filling.FREQUENT_CUSTOMER,
        "rare_product": filling.RARE_PRODUCT,
        "frequent_product": filling.FREQUENT_PRODUCT,
        "products": filling.PRODUCTS,
        "rare_batch": filling.RARE_BATCH,
        "origin": filling.key_of(sales, middle // 100 * 100 - 10),
    }


def _people(runtime: Runtime) -> dict[str, int]:
    """Return the keys of the people who ask, by the first part of their addresses."""
    with runtime.unit_of_work(write=False) as session:
        return {
            email.partition("@")[0]: key for email, key in session.execute(select(UserAccount.email, UserAccount.id))
        }


def say(line: str) -> None:
    """Print progress."""
    print(line, file=sys.stderr, flush=True)
