"""``bin/bench dashboard``: the seller's views at 10,000 and at 1,000,000 sales.

Two databases that differ only in how many sales there were on the same days, each behind its own gunicorn; requests go
to one and the other by turns, because a machine's speed changes by the minute. What is printed are medians, and what
the many sales cost as a multiple of the few. With ``--plans`` the database says how it answers each query; whichever
way it is run, a plan that reads all of ``sale`` is an error.
"""

import argparse
import contextlib
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, insert, text

from tillhook.access import user_actor
from tillhook.config import Settings
from tillhook.ledger import StockCommand, StockLine, create_warehouse, post_receipt
from tillhook.products.models import Product, Unit, Variant
from tillhook.runtime import Runtime, snapshot_of
from tillhook.sales.analytics import product_analytics
from tillhook.sales.rollups.counting import rebuild
from tillhook.server.building import build_runtime
from tillhook.testing import Databases, PostgresServer, RunningServer, Tokens
from tillhook.testing.databases import ENGINES, SECRET
from tillhook.testing.template import environment_of, fill
from tillhook_pos.views.reports import dashboard, sales_report

SALES = (10_000, 1_000_000)
DAYS = 365
PRODUCTS, WAREHOUSES, SELLERS = 1_000, 3, 10
ROUNDS = 60
#: What the many sales may cost, as a multiple of the few.
LIMIT = 2.0
MODULES = ("pos",)
#: Tables that grow with the sales, or with the days and the goods sold.
GROWING = (
    "sale",
    "sale_1",
    "sale_line",
    "sale_payment",
    "pos_document",
    "rollup_day",
    "rollup_tender",
    "rollup_product",
)


@dataclass(frozen=True)
class Result:
    """One view of one person; times are those of whole requests."""

    engine: str
    view: str
    person: str
    few_ms: float
    many_ms: float
    ratio: float


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/bench dashboard", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--engine", choices=ENGINES, default="postgresql")
    parser.add_argument("--plans", action="store_true", help="print how the database answers each query")
    parser.add_argument("--sales", type=int, nargs=2, default=SALES, metavar=("FEW", "MANY"))
    options = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        few, many = _shops(stack, options.engine, options.sales)
        scans = many.explain(show=options.plans)
        results = [
            _measure(options.engine, view, person, few, many) for view in _requests() for person in ("admin", "seller")
        ]
    print(json.dumps([asdict(each) for each in results], indent=1) if options.json else _table(results))
    for scan in scans:
        _say(f"WRONG: reads all of the journal: {scan}")
    return 1 if scans or any(each.ratio > LIMIT for each in results) else 0


def _requests() -> dict[str, tuple[str, str, Any]]:
    today = datetime.now(UTC).date()

    def report(days: int) -> tuple[str, str, Any]:
        first, last = today - timedelta(days=days), today - timedelta(days=1)
        return "POST", "/api/pos/reports/sales", {"date_from": first.isoformat(), "date_to": last.isoformat()}

    return {
        "inventory": ("GET", "/api/pos/inventory", None),
        "dashboard": ("GET", "/api/pos/dashboard", None),
        "report of 30 days": report(30),
        "report of a year": report(DAYS),
        "product in a year": (
            "GET",
            f"/api/sales/analytics?product_id=1&start_date={today - timedelta(days=DAYS)}",
            None,
        ),
    }


def _shops(stack: contextlib.ExitStack, engine: str, sizes: tuple[int, int]) -> list["_Shop"]:
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
            access_token_lifetime_s=86_400,
        )
        runtime = build_runtime(settings)
        stack.callback(runtime.dispose)
        shop = _Shop(runtime, size)
        shop.server = RunningServer(environment_of(settings), scratch / "server.log", workers=1)
        shop.server.start()
        stack.callback(shop.server.stop)
        shops.append(shop)
    return shops


class _Shop:
    """A business with its sales, and the server that shows them."""

    server: RunningServer

    def __init__(self, runtime: Runtime, sales: int) -> None:
        self._runtime = runtime
        begin = time.perf_counter()
        self._stock()
        self._sell(sales)
        seeded = time.perf_counter()
        with runtime.unit_of_work() as session:
            counted = rebuild(session)
        _say(f"{counted:,} sales: written in {seeded - begin:.0f} s, counted in {time.perf_counter() - seeded:.0f} s")
        with runtime.database.connect() as connection:
            # Statistics as a database that has run for a while has them.
            analyze = "VACUUM ANALYZE" if runtime.database.is_postgresql else "ANALYZE"
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(analyze)
        tokens = Tokens(runtime)
        self.tokens = {"admin": tokens.token("admin"), "seller": tokens.token("cashier")}

    def _stock(self) -> None:
        """Make products, and stock of each in every warehouse."""
        with self._runtime.unit_of_work() as session:
            unit = Unit(code="pc", name="piece")
            session.add(unit)
            create_warehouse(session, name="Third shop")
            session.flush()
            rows = [
                {
                    "id": key,
                    "name": f"Article {key}",
                    "sku": f"BENCH-{key}",
                    "unit_id": unit.id,
                    "price": Decimal(key % 50 + 1),
                    "status": "published",
                }
                for key in range(1, PRODUCTS + 1)
            ]
            session.execute(insert(Product), rows)
            session.execute(
                insert(Variant), [{"id": row["id"], "product_id": row["id"], "is_default": True} for row in rows]
            )
        lines = tuple(StockLine(product_id=key, quantity=Decimal(key % 100 + 1)) for key in range(1, PRODUCTS + 1))
        for warehouse in range(1, WAREHOUSES + 1):
            with self._runtime.unit_of_work() as session:
                post_receipt(session, StockCommand(warehouse=warehouse, lines=lines))

    def _sell(self, count: int) -> None:
        """Write sales of two lines, evenly over the days, most of them of few products, set by set."""
        begin = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
        step = (DAYS - 1) * 86_400 / count
        with self._runtime.unit_of_work() as session:
            connection = session.connection()
            is_postgresql = connection.dialect.name == "postgresql"
            if is_postgresql:
                connection.execute(text("SET LOCAL statement_timeout = 0"))
            cashier = connection.execute(text("SELECT id FROM user_account WHERE email = 'cashier@test.com'")).scalar()
            values = {"count": count, "step": step, "begin": begin.timestamp(), "cashier": cashier}
            moment = _MOMENT[is_postgresql]
            for statement in (_SALE, _LINE, _PAYMENT, _NOTE):
                connection.execute(text(statement.format(moment=moment)), values)

    def ask(self, connection: http.client.HTTPConnection, request: tuple[str, str, Any], person: str) -> float:
        """Return how long an answer took, in milliseconds."""
        method, path, body = request
        headers = {"Authorization": f"Bearer {self.tokens[person]}", "Content-Type": "application/json"}
        begin = time.perf_counter()
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        took = time.perf_counter() - begin
        if answer.status != 200:
            raise SystemExit(f"{method} {path}: {answer.status} {content[:500]!r}")
        return took * 1000

    def explain(self, *, show: bool) -> list[str]:
        """Return the steps by which a view reads what grows with the sales; print every plan to look at."""
        today = datetime.now(UTC).date()
        found = []
        cashier = text("SELECT id FROM user_account WHERE email = 'cashier@test.com'")
        with self._runtime.unit_of_work(write=False) as session:
            connection = session.connection()
            user_id = connection.execute(cashier).scalar_one()
            actors = {"admin": None, "seller": user_actor(connection, snapshot_of(session), user_id)}
        for person, actor in actors.items():
            with self._runtime.unit_of_work(actor, write=False) as session, _explained(session.connection()) as plans:
                dashboard(session, None)
                for days in (30, DAYS):
                    sales_report(session, today - timedelta(days=days), today - timedelta(days=1), None)
                product_analytics(session, 1, today - timedelta(days=DAYS), today, "monthly")
            for plan in plans:
                if show:
                    _say(f"--- {person}\n{plan}\n")
                found += [line.strip() for line in plan.splitlines() if _reads_all(line)]
        return found


@contextlib.contextmanager
def _explained(connection: Connection) -> Iterator[list[str]]:
    """Collect the plans of the queries that run within."""
    plans: list[str] = []
    is_postgresql = connection.dialect.name == "postgresql"
    prefix = "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) " if is_postgresql else "EXPLAIN QUERY PLAN "

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        cursor.execute(prefix + statement, parameters)
        plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))

    event.listen(connection, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(connection, "before_cursor_execute", explain)


def _reads_all(line: str) -> bool:
    """Say whether a step of a plan reads all of a table that grows with the sales, or all sales of a range of days."""
    if "never executed" in line:
        return False
    if "ix_sale_date" in line or "ix_sale_warehouse" in line:
        return True
    tables = [f"{scan} {table} " for scan in ("Seq Scan on", "SCAN") for table in GROWING]
    return any(scan in f"{line} " for scan in tables) and "INDEX" not in line


def _measure(engine: str, view: str, person: str, few: _Shop, many: _Shop) -> Result:
    request = _requests()[view]
    times: tuple[list[float], list[float]] = ([], [])
    connections = few.server.connect(), many.server.connect()
    for number in range(ROUNDS + 10):
        for shop, connection, taken in zip((few, many), connections, times, strict=True):
            took = shop.ask(connection, request, person)
            if number >= 10:
                taken.append(took)
    for connection in connections:
        connection.close()
    few_ms, many_ms = (statistics.median(taken) for taken in times)
    result = Result(engine, view, person, round(few_ms, 2), round(many_ms, 2), round(many_ms / few_ms, 2))
    _say(f"{engine} {view}, {person}: {few_ms:.1f} ms, {many_ms:.1f} ms, ratio {result.ratio}")
    return result


# Whether PostgreSQL's: the moment of sale ``i``.
_MOMENT = {
    True: "to_timestamp(:begin + i * :step)",
    False: "strftime('%Y-%m-%dT%H:%M:%S', :begin + i * :step, 'unixepoch') || '.000000Z'",
}
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
# A third of the sales is the cashier's, who works in the first warehouse; the others' sellers have one each as well.
_SALE = f"""
INSERT INTO sale (id, kind, sale_number, channel, warehouse_id, seller_id, seller_name, customer_name, customer_phone,
  customer_email, source_device, is_offline, clock_suspect, sale_date, created_at, currency, currency_places,
  tax_rounding, subtotal, tax_amount, discount_amount, total_amount, cash_rounding, change_due, reason, notes,
  request_id)
{_NUMBERS} SELECT i, 'sale', 'OS' || CAST(10000000 + i AS TEXT), 'pos', i % {SELLERS} % {WAREHOUSES} + 1,
  CASE i % {SELLERS} WHEN 0 THEN :cashier ELSE 1000 + i % {SELLERS} END, 'Seller', '', '', '', 'till', FALSE, FALSE,
  {{moment}}, {{moment}}, 'EUR', 2, 'line', 300000, 0, 0, 300000, 0, 0, '', '', '' FROM n
"""
# The product of the square of an even spread: a tenth of the products makes a third of the lines.
_LINE = f"""
INSERT INTO sale_line (sale_id, line_number, product_id, variant_id, product_name, variant_details, quantity,
  unit_price, discount_per_item, discount_share, tax_rate, tax_inclusive, tax_amount, total_price)
{_NUMBERS}, line(number) AS (SELECT 0 UNION ALL SELECT 1), picked AS (
  SELECT i, number, (i % 997 * 613 + i % 10007 * 7 + number * 389) % 1000 AS spread FROM n CROSS JOIN line)
SELECT i, number, spread * spread / 1000 + 1, spread * spread / 1000 + 1, 'Article', '', 10000 * (number + 1), 100000,
  0, 0, 0, FALSE, 0, 100000 * (number + 1) FROM picked
"""
_PAYMENT = f"""
INSERT INTO sale_payment (sale_id, method, amount, change, reference)
{_NUMBERS} SELECT i, CASE i % 7 WHEN 0 THEN 'mobile' WHEN 1 THEN 'voucher' WHEN 2 THEN 'card' WHEN 3 THEN 'card'
  ELSE 'cash' END, 300000, 0, '' FROM n
"""
_NOTE = f"""
INSERT INTO pos_document (sale_id, till, is_late)
{_NUMBERS} SELECT i, 'till', FALSE FROM n
"""


def _table(results: list[Result]) -> str:
    lines = [f"{'engine':10} {'view':18} {'person':7} {'few ms':>8} {'many ms':>8} {'ratio':>6}"]
    lines += [
        f"{r.engine:10} {r.view:18} {r.person:7} {r.few_ms:8.2f} {r.many_ms:8.2f} {r.ratio:6.2f}" for r in results
    ]
    return "\n".join(lines)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
