"""``bin/bench sales``: two-line sales over HTTP, against the same rows written by hand, and against themselves.

Product and baseline run side by side on one database, behind the same gunicorn, and take turns within the run,
because a machine's speed changes by the minute: what is printed are medians of ratios of neighbouring turns. Each
case has its own yardstick, see :mod:`bench.cases`: the baseline, or the product's plain sales. With ``--need`` the
figures must be as good as :data:`LEAST_RATIO` and :data:`MOST_COST` say.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from bench.cases import CASES, ROUNDS, Result
from bench.stand import say, stand_of
from tillhook.testing.databases import ENGINES

PRODUCTS = 10_000
#: What the ratio to the yardstick must be at least, by engine and case.
LEAST_RATIO = {
    "postgresql": {"sales": 0.70, "hot": 0.65, "sync": 0.60, "warehouses": 0.9},
    "sqlite": {"sales": 0.60, "hot": 0.58, "sync": 0.42, "warehouses": 0.9},
}
#: How many times the CPU of the yardstick a sale may cost, by case.
MOST_COST = {"devices": 1.3, "policies-sales": 1.05, "policies-sync": 1.05}
_HEADS = (
    *("sales/s", "against", "ratio", "cost", "app µs", "against", "db µs", "against", "WAL B", "against"),
    *("p50 ms", "p99 ms"),
)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/bench sales", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--engine", choices=ENGINES, help="measure one engine only")
    parser.add_argument("--case", choices=CASES, action="append", help="measure this case only; may be repeated")
    parser.add_argument(
        "--seconds", type=float, default=28, help=f"seconds of load per side, in {ROUNDS} turns (default: 28)"
    )
    parser.add_argument("--products", type=int, default=PRODUCTS)
    parser.add_argument("--need", action="store_true", help="fail when a figure is worse than it must be")
    options = parser.parse_args(arguments)
    results: list[Result] = []
    is_clean = True
    for engine in [options.engine] if options.engine else reversed(ENGINES):
        with stand_of(engine, options.products, options.seconds / ROUNDS) as stand:
            for name, case in CASES.items():
                if name in (options.case or CASES):
                    results += case(stand)
            is_clean &= stand.check()
    print(json.dumps([asdict(result) for result in results], indent=1) if options.json else _table(results))
    missed = list(_missed(results)) if options.need else []
    for line in missed:
        say(f"MISSED: {line}")
    return 0 if is_clean and not missed else 1


def _missed(results: Iterable[Result]) -> Iterator[str]:
    """Yield what is worse than it must be."""
    for result in results:
        name = f"{result.engine} {result.case}"
        least = LEAST_RATIO[result.engine].get(result.case, 0)
        if result.ratio < least:
            yield f"{name}: the ratio is {result.ratio}, and must be {least} at least"
        most = MOST_COST.get(result.case, result.cost)
        if result.cost > most:
            yield f"{name}: the cost is {result.cost}, and must be {most} at most"
        if result.deadlocks or result.unavailable:
            yield f"{name}: {_troubles(result)}, and there must be none"


def _table(results: Iterable[Result]) -> str:
    lines = [f"{'engine':10} {'case':14} {'against':8}" + "".join(f" {head:>8}" for head in _HEADS)]
    for r in results:
        figures = [
            *(f"{r.sales_per_s:,.0f}", f"{r.yardstick_per_s:,.0f}", f"{r.ratio:.2f}", f"{r.cost:.2f}"),
            *(f"{r.application_us:,}", f"{r.yardstick_application_us:,}"),
            *(f"{r.database_us:,}", f"{r.yardstick_database_us:,}"),
            *(f"{r.wal_bytes:,}", f"{r.yardstick_wal_bytes:,}", f"{r.p50_ms:,.1f}", f"{r.p99_ms:,.1f}"),
        ]
        line = f"{r.engine:10} {r.case:14} {r.yardstick:8}" + "".join(f" {figure:>8}" for figure in figures)
        lines.append(f"{line}  {_troubles(r)}" if r.case == "batches" else line)
    return "\n".join(lines)


def _troubles(result: Result) -> str:
    return f"{result.deadlocks} deadlocks, {result.unavailable} answers of 503"
