"""One engine's test stand: a filled database, product and baseline on it, and the turns in which they are measured."""

import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from bench.cpu import Meter, Usage, cpu_of, postmaster_of
from bench.load import UNIT_PRICE, Job, Outcome
from tillhook.config import Settings
from tillhook.ledger import StockCommand, StockLine, post_receipt
from tillhook.products.models import Product, Unit, Variant
from tillhook.reference import bump_epoch
from tillhook.runtime import Runtime
from tillhook.server.building import build_runtime
from tillhook.server.verify import verify
from tillhook.testing import Databases, PostgresServer, RunningServer, Tokens
from tillhook.testing.databases import SECRET
from tillhook.testing.plugins import COUNTER, install_counter
from tillhook.testing.template import environment_of, fill

ROOT = Path(__file__).parents[1]
STOCK = Decimal(1_000_000)
CONNECTIONS = {"hot": 64, "sync": 2, "duplicates": 2}
#: What is not posted to where single sales are.
PATHS = {"sync": "/sync", "duplicates": "/sync", "echo": "/echo"}


@dataclass(frozen=True)
class Turn:
    """What one side did while it had its turn, and what that took; figures per sale are in µs and bytes."""

    outcome: Outcome
    usage: Usage

    @property
    def rate(self) -> float:
        return self._sales / self.outcome.seconds

    @property
    def application_us(self) -> float:
        return self.usage.application / self._sales * 1e6

    @property
    def database_us(self) -> float:
        return self.usage.database / self._sales * 1e6

    @property
    def cpu_us(self) -> float:
        return self.application_us + self.database_us

    @property
    def wal_bytes(self) -> float:
        return self.usage.wal / self._sales

    @property
    def _sales(self) -> int:
        return max(self.outcome.acknowledged, 1)


@contextlib.contextmanager
def stand_of(engine: str, products: int, seconds: float) -> Iterator["Stand"]:
    """Yield the stand of an engine, both servers running.

    Args:
        products: How many are stocked in the first warehouse.
        seconds: How long a turn is.
    """
    folder = PostgresServer.make_folder(durable=True)
    postgres = PostgresServer(folder, durable=True)
    install_counter(folder / "plugins")
    modules = _modules()
    say(f"{engine}: {products} products, modules {', '.join(modules)}")
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
        seller = _scalar(runtime, "SELECT id FROM user_account WHERE email = 'admin@test.com'")
        environment = {
            **environment_of(settings),
            "TILLHOOK_ACCESS_TOKEN_LIFETIME_S": "86400",
            "BENCH_SELLER": str(seller),
        }
        environment["PYTHONPATH"] = f"{ROOT}:{environment['PYTHONPATH']}"
        product = RunningServer(environment, scratch / "product.log")
        baseline = RunningServer(environment, scratch / "baseline.log", application="bench.baseline:create_app()")
        for server in (product, baseline):
            server.start()
            stack.callback(server.stop)
        meter = Meter(runtime, postmaster_of(folder) if engine == "postgresql" else None)
        stand = Stand(engine, runtime, product, baseline, meter, seconds)
        stand.products = stand.stock(products, stand.warehouses[:1])
        yield stand


class Stand:
    """The two sides, on one database; ``products`` are the ids that are sold unless others are named."""

    products: list[int]

    def __init__(
        self,
        engine: str,
        runtime: Runtime,
        product: RunningServer,
        baseline: RunningServer,
        meter: Meter,
        seconds: float,
    ) -> None:
        self.engine = engine
        self.runtime = runtime
        self.seeds = random.Random(1)
        #: The template's two.
        self.warehouses = _column(runtime, "SELECT id FROM location WHERE id > 0 ORDER BY id")
        self.channel = "pos" if "pos" in runtime.registry.channels else COUNTER
        self._product, self._baseline, self._meter = product, baseline, meter
        self._seconds = seconds
        self._token = Tokens(runtime).token("admin")
        self._acknowledged = 0

    def turn(self, kind: str, *, by_hand: bool = False, may_refuse: bool = False, **changes: Any) -> Turn:
        """Have one side answer as many requests as it can while its turn lasts.

        Args:
            kind: One of ``Job.kind``, or ``echo``.
            may_refuse: Whether 503 is an answer to be counted; any other ends the bench.
            changes: Of the job.
        """
        server = self._baseline if by_hand else self._product
        job = Job(
            kind="sales" if kind == "echo" else kind,
            port=server.port,
            path=("" if by_hand else "/api/sales") + PATHS.get(kind, "/sales" if by_hand else ""),
            token=self._token,
            connections=CONNECTIONS.get(kind, 16),
            seconds=self._seconds / 2 if kind in ("echo", "duplicates") else self._seconds,
            products=self.products,
            warehouses=self.warehouses[:1],
            channel=self.channel,
            seed=self.seeds.getrandbits(64),
            timestamp=moment(),
        )
        before = self._meter.read(lambda: cpu_of(server))
        outcome = _run_load(replace(job, **changes))
        usage = self._meter.read(lambda: cpu_of(server)).since(before)
        expected = {"200" if kind in PATHS else "201"} | ({"503"} if may_refuse else set())
        if not outcome.statuses.keys() <= expected:
            raise SystemExit(f"{kind}: answers {outcome.statuses}; the log ends:\n{server.logs()[-3000:]}")
        if kind == "echo":
            outcome.acknowledged = outcome.requests
        elif kind != "duplicates":
            self._acknowledged += outcome.acknowledged
        return Turn(outcome, usage)

    def warm_up(self, kind: str, **changes: Any) -> None:
        """Let statements be prepared and caches be filled; arguments as in :meth:`turn`."""
        self.turn(kind, seconds=0.5, **changes)

    def work(self, sales: int, function: Callable[[], object]) -> Turn:
        """Do in this process what a worker does later for so many sales."""
        before = self._meter.read(time.process_time)
        begin = time.perf_counter()
        function()
        outcome = Outcome(seconds=time.perf_counter() - begin, requests=1, acknowledged=sales)
        return Turn(outcome, self._meter.read(time.process_time).since(before))

    def stock(self, count: int, warehouses: Sequence[int]) -> list[int]:
        """Make products that all the warehouses stock, and return their ids."""
        ids = _make_products(self.runtime, count)
        for warehouse in warehouses:
            for start in range(0, count, 1000):
                lines = [StockLine(product_id=key, quantity=STOCK) for key in ids[start : start + 1000]]
                with self.runtime.unit_of_work() as session:
                    post_receipt(session, StockCommand(warehouse=warehouse, lines=tuple(lines)))
        with self.runtime.database.connect() as connection:
            # Statistics as a database that has run for a while has them.
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")
        return ids

    def count_deadlocks(self) -> int:
        """Return how many transactions the database has ended so far because they waited for each other in a circle."""
        if not self.runtime.database.is_postgresql:
            return 0
        # Within ten seconds of their last statement backends report what they counted.
        time.sleep(11)
        return _scalar(self.runtime, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")

    def check(self) -> bool:
        """Recompute the ledger, of both warehouses, and count the sales; say what is wrong."""
        say(f"{self.engine}: verifying")
        wrong = [
            f"{each.invariant}: {each.subject} should be {each.expected} and is {each.actual}"
            for _, differences in verify(self.runtime)
            for each in differences
        ]
        posted = _scalar(self.runtime, "SELECT COUNT(*) FROM sale")
        if posted != self._acknowledged:
            wrong.append(f"{posted} sales were posted and {self._acknowledged} acknowledged")
        for line in wrong[:20]:
            say(f"{self.engine}: WRONG: {line}")
        say(f"{self.engine}: {posted} sales posted and acknowledged, {len(wrong)} differences")
        return not wrong


def moment() -> str:
    """Return when a till says that it sold: a minute ago, for a clock that runs ahead would be another case.

    Written as instants are stored, for the baseline stores it as it comes.
    """
    return (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def say(text: str) -> None:
    """Tell on stderr how far it is."""
    print(text, file=sys.stderr, flush=True)


def _modules() -> tuple[str, ...]:
    """Return the plugins of this repository, as ``bin/serve`` runs them; no examples."""
    installed = entry_points(group="tillhook.plugins").names
    ours = {folder.name for folder in (ROOT / "plugins").iterdir()}
    found = sorted(installed & ours)
    return tuple(found) if "pos" in found else (*found, COUNTER)


def _run_load(job: Job) -> Outcome:
    process = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(job)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return Outcome(**json.loads(process.stdout))


def _column(runtime: Runtime, statement: str) -> list[int]:
    with runtime.database.connect() as connection:
        return [int(value) for value in connection.exec_driver_sql(statement).scalars()]


def _scalar(runtime: Runtime, statement: str) -> int:
    return _column(runtime, statement)[0]


def _make_products(runtime: Runtime, count: int) -> list[int]:
    """Make products without stock, all rows at once, and return their ids."""
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
        # The unit may be new.
        bump_epoch(session)
    return ids
