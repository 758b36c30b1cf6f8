"""``bin/bench sales``: two-line sales over HTTP, against the same rows written by hand.

Product and baseline run side by side on one database, behind the same gunicorn, and take turns within the run,
because a machine's speed changes by the minute: what is printed are medians of ratios of neighbouring turns.

Cases: ``sales`` (16 connections), ``hot`` (64 connections, one product), ``sync`` (batches of 500 new sales against
a set-based ingest), ``duplicates`` (the same batches again; its baseline is the product's own ``sync``), ``echo``
(what the server can answer at all; its baseline is the product's ``sales``, so its ratio is the headroom).
"""

import argparse
import contextlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from bench.cpu import Cpu, cpu_of, postmaster_of
from bench.load import UNIT_PRICE, Job, Outcome
from tillhook.config import Settings
from tillhook.ledger import StockCommand, StockLine, post_receipt
from tillhook.products.models import Product, Unit, Variant
from tillhook.runtime import Runtime
from tillhook.server.building import build_runtime
from tillhook.server.verify import verify
from tillhook.testing import Databases, PostgresServer, RunningServer, Tokens
from tillhook.testing.databases import ENGINES, SECRET
from tillhook.testing.plugins import COUNTER, install_counter
from tillhook.testing.template import environment_of, fill

PRODUCTS = 10_000
STOCK = Decimal(1_000_000)
ROUNDS = 7
CONNECTIONS = {"sales": 16, "hot": 64, "sync": 2, "duplicates": 2, "echo": 16}
CASES = ("sales", "hot", "sync")


@dataclass(frozen=True)
class Result:
    """One line of the report; latencies are those of whole requests, of the product.

    CPU is in µs per sale: of the application's workers, and of the database's backends, which SQLite has none of.
    """

    engine: str
    case: str
    sales_per_s: float
    baseline_per_s: float
    ratio: float
    application_us: int
    baseline_application_us: int
    database_us: int
    baseline_database_us: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Turn:
    """What one side did while it had its turn, and the CPU that it took."""

    outcome: Outcome
    cpu: Cpu

    @property
    def rate(self) -> float:
        return self._sales / self.outcome.seconds

    @property
    def application_us(self) -> float:
        return self.cpu.application / self._sales * 1e6

    @property
    def database_us(self) -> float:
        return self.cpu.database / self._sales * 1e6

    @property
    def _sales(self) -> int:
        return max(self.outcome.acknowledged, 1)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/bench sales", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--engine", choices=ENGINES, help="measure one engine only")
    parser.add_argument("--case", choices=CASES, action="append", help="measure this case only; may be repeated")
    parser.add_argument("--seconds", type=float, default=28, help="seconds of load per case and side (default: 28)")
    parser.add_argument("--products", type=int, default=PRODUCTS)
    options = parser.parse_args(arguments)
    results: list[Result] = []
    is_clean = True
    for engine in [options.engine] if options.engine else reversed(ENGINES):
        with _bench(engine, options) as bench:
            results += bench.run(options.case or CASES)
            is_clean &= bench.check()
    print(json.dumps([asdict(result) for result in results], indent=1) if options.json else _table(results))
    return 0 if is_clean else 1


@contextlib.contextmanager
def _bench(engine: str, options: argparse.Namespace) -> Iterator["_Bench"]:
    """Yield the bench of one engine, its database filled and both servers running."""
    folder = PostgresServer.make_folder(durable=True)
    postgres = PostgresServer(folder, durable=True)
    install_counter(folder / "plugins")
    modules = _modules()
    _say(f"{engine}: {options.products} products, modules {', '.join(modules)}")
    with contextlib.ExitStack() as stack:
        stack.callback(postgres.stop)
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = Databases(folder, postgres, fill)
        stack.callback(databases.close)
        url = stack.enter_context(databases.copy(engine, modules))
        settings = Settings(
            data_dir=scratch,
            database_url=url,
            secret=SECRET,
            modules=modules,
            demo=False,
            access_token_lifetime_s=86_400,
        )
        runtime = build_runtime(settings)
        stack.callback(runtime.dispose)
        environment = {**environment_of(settings), "TILLHOOK_ACCESS_TOKEN_LIFETIME_S": "86400"}
        bench = _Bench(engine, runtime, options.products, options.seconds)
        environment["BENCH_SELLER"] = str(bench.seller_id)
        environment["PYTHONPATH"] = f"{Path(__file__).parents[1]}:{environment['PYTHONPATH']}"
        bench.product = RunningServer(environment, scratch / "product.log")
        bench.baseline = RunningServer(environment, scratch / "baseline.log", application="bench.baseline:create_app()")
        for server in (bench.product, bench.baseline):
            server.start()
            stack.callback(server.stop)
        if engine == "postgresql":
            bench.postmaster = postmaster_of(folder)
        yield bench


class _Bench:
    """One engine's measurements."""

    product: RunningServer
    baseline: RunningServer
    postmaster: int | None = None

    def __init__(self, engine: str, runtime: Runtime, products: int, seconds: float) -> None:
        self._engine = engine
        self._runtime = runtime
        self._seconds = seconds / ROUNDS
        tokens = Tokens(runtime)
        self._token = tokens.token("admin")
        self.seller_id = _scalar(runtime, "SELECT id FROM user_account WHERE email = 'admin@test.com'")
        self._warehouse = _scalar(runtime, "SELECT MIN(id) FROM location WHERE id > 0")
        self._channel = "pos" if "pos" in runtime.registry.channels else COUNTER
        self._products = _fill_products(runtime, products, self._warehouse)
        self._seeds = random.Random(1)
        self._acknowledged = 0

    def run(self, cases: list[str] | tuple[str, ...]) -> list[Result]:
        results = []
        for case in cases:
            results += self._sync() if case == "sync" else self._single(case)
        return results

    def check(self) -> bool:
        """Recompute the ledger and count the sales; say what is wrong."""
        _say(f"{self._engine}: verifying")
        wrong = [
            f"{each.invariant}: {each.subject} should be {each.expected} and is {each.actual}"
            for _, differences in verify(self._runtime)
            for each in differences
        ]
        posted = _scalar(self._runtime, "SELECT COUNT(*) FROM sale")
        if posted != self._acknowledged:
            wrong.append(f"{posted} sales were posted and {self._acknowledged} acknowledged")
        for line in wrong[:20]:
            _say(f"{self._engine}: WRONG: {line}")
        _say(f"{self._engine}: {posted} sales posted and acknowledged, {len(wrong)} differences")
        return not wrong

    def _single(self, case: str) -> list[Result]:
        rounds, echoes = [], []
        self._warm_up(case)
        for number in range(ROUNDS):
            pair = self._turns(number, lambda: self._load(case), lambda: self._load(case, by_hand=True))
            rounds.append(pair)
            if case == "sales":
                echoes.append((self._load("echo", by_hand=True), pair[0]))
            self._say_round(case, number, *pair)
        results = [self._result(case, rounds)]
        if echoes:
            results.append(self._result("echo", echoes))
        return results

    def _sync(self) -> list[Result]:
        new, repeated = [], []
        self._warm_up("sync")
        for number in range(ROUNDS):
            seed, moment = self._seeds.getrandbits(64), _moment()
            pair = self._turns(
                number,
                lambda seed=seed, moment=moment: self._load("sync", seed=seed, moment=moment),
                lambda: self._load("sync", by_hand=True),
            )
            new.append(pair)
            known = pair[0].outcome.requests
            again = self._load("duplicates", seed=seed, moment=moment, repeat=min(known, 8))
            repeated.append((again, pair[0]))
            self._say_round("sync", number, *pair)
            self._say_round("duplicates", number, again, pair[0])
        return [self._result("sync", new), self._result("duplicates", repeated)]

    def _turns(self, number: int, product: Any, baseline: Any) -> tuple[Turn, Turn]:
        """Run both, in an order that changes from round to round, as the database grows all the time."""
        if number % 2:
            by_hand = baseline()
            return product(), by_hand
        return product(), baseline()

    def _warm_up(self, case: str) -> None:
        for by_hand in (False, True):
            self._load(case, by_hand=by_hand, seconds=0.5)

    def _load(
        self,
        case: str,
        *,
        by_hand: bool = False,
        seed: int | None = None,
        moment: str | None = None,
        repeat: int = 1,
        seconds: float | None = None,
    ) -> Turn:
        server = self.baseline if by_hand else self.product
        prefix = "" if by_hand else "/api/sales"
        paths = {"sync": "/sync", "duplicates": "/sync", "echo": "/echo"}
        path = prefix + paths.get(case, "/sales" if by_hand else "")
        job = Job(
            kind="sales" if case == "echo" else case,
            port=server.port,
            path=path,
            token=self._token,
            connections=CONNECTIONS[case],
            seconds=seconds or (self._seconds / 2 if case in ("echo", "duplicates") else self._seconds),
            products=self._products,
            warehouse=self._warehouse,
            channel=self._channel,
            seed=self._seeds.getrandbits(64) if seed is None else seed,
            timestamp=moment or _moment(),
            repeat=repeat,
        )
        before = cpu_of(server, self.postmaster)
        outcome = _run_load(job)
        cpu = cpu_of(server, self.postmaster).since(before)
        expected = {"sales": "201", "hot": "201"}.get(case, "200")
        if set(outcome.statuses) != {expected}:
            raise SystemExit(f"{case}: answers {outcome.statuses}; the log ends:\n{server.logs()[-3000:]}")
        if case == "echo":
            outcome.acknowledged = outcome.requests
        elif case != "duplicates":
            self._acknowledged += outcome.acknowledged
        return Turn(outcome, cpu)

    def _result(self, case: str, rounds: list[tuple[Turn, Turn]]) -> Result:
        ours, theirs = [left for left, _ in rounds], [right for _, right in rounds]
        return Result(
            engine=self._engine,
            case=case,
            sales_per_s=round(statistics.median(turn.rate for turn in ours), 1),
            baseline_per_s=round(statistics.median(turn.rate for turn in theirs), 1),
            ratio=round(statistics.median(left.rate / right.rate for left, right in rounds), 3),
            application_us=round(statistics.median(turn.application_us for turn in ours)),
            baseline_application_us=round(statistics.median(turn.application_us for turn in theirs)),
            database_us=round(statistics.median(turn.database_us for turn in ours)),
            baseline_database_us=round(statistics.median(turn.database_us for turn in theirs)),
            p50_ms=round(statistics.median(turn.outcome.p50_ms for turn in ours), 2),
            p99_ms=round(statistics.median(turn.outcome.p99_ms for turn in ours), 2),
        )

    def _say_round(self, case: str, number: int, left: Turn, right: Turn) -> None:
        _say(
            f"{self._engine} {case} {number + 1}/{ROUNDS}: {left.rate:,.0f}/s against {right.rate:,.0f}/s,"
            f" ratio {left.rate / right.rate:.2f}; CPU application {left.application_us:,.0f} against"
            f" {right.application_us:,.0f} µs, database {left.database_us:,.0f} against {right.database_us:,.0f} µs;"
            f" p50 {left.outcome.p50_ms:.1f} ms, p99 {left.outcome.p99_ms:.1f} ms"
        )


def _modules() -> tuple[str, ...]:
    """Return the plugins of this repository, as ``bin/serve`` runs them; no examples."""
    installed = entry_points(group="tillhook.plugins").names
    ours = {folder.name for folder in (Path(__file__).parents[1] / "plugins").iterdir()}
    found = sorted(installed & ours)
    return tuple(found) if "pos" in found else (*found, COUNTER)


def _run_load(job: Job) -> Outcome:
    process = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(job)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    return Outcome(**json.loads(process.stdout))


def _moment() -> str:
    # A minute ago: a till's clock that runs ahead would be another case.
    # Written as instants are stored, for the baseline stores it as it comes.
    return (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def _scalar(runtime: Runtime, statement: str) -> int:
    with runtime.database.connect() as connection:
        return int(connection.exec_driver_sql(statement).scalar_one())


def _fill_products(runtime: Runtime, count: int, warehouse: int) -> list[int]:
    """Make products with stock, and return their ids; the rows at once, the stock by receipts."""
    with runtime.unit_of_work() as session:
        unit = session.scalars(select(Unit).order_by(Unit.id).limit(1)).first() or Unit(code="pc", name="piece")
        session.add(unit)
        session.flush()
        first = int(session.scalar(select(func.coalesce(func.max(Product.id), 0))) or 0) + 1
        ids = list(range(first, first + count))
        rows = [
            {
                "id": key,
                "name": f"Article {key}",
                "sku": f"BENCH-{key}",
                "unit_id": unit.id,
                "price": Decimal(UNIT_PRICE),
                "status": "published",
                "search_text": f"article {key}",
            }
            for key in ids
        ]
        session.execute(insert(Product), rows)
        session.execute(insert(Variant), [{"product_id": key, "is_default": True} for key in ids])
    for start in range(0, count, 1000):
        lines = [StockLine(product_id=key, quantity=STOCK) for key in ids[start : start + 1000]]
        with runtime.unit_of_work() as session:
            post_receipt(session, StockCommand(warehouse=warehouse, lines=tuple(lines)))
    with runtime.database.connect() as connection:
        # Statistics as a database that has run for a while has them.
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")
    return ids


def _table(results: list[Result]) -> str:
    heads = ("sales/s", "by hand", "ratio", "app µs", "by hand", "db µs", "by hand", "p50 ms", "p99 ms")
    lines = [f"{'engine':10} {'case':10}" + "".join(f" {head:>8}" for head in heads)]
    lines += [
        f"{r.engine:10} {r.case:10} {r.sales_per_s:8,.0f} {r.baseline_per_s:8,.0f} {r.ratio:8.2f}"
        f" {r.application_us:8,} {r.baseline_application_us:8,} {r.database_us:8,} {r.baseline_database_us:8,}"
        f" {r.p50_ms:8.1f} {r.p99_ms:8.1f}"
        for r in results
    ]
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
