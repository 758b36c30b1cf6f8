"""``bin/bench reads``: what people look at, at 10,000 and at 1,000,000 sales.

Requests go to one business and the other by turns, because a machine's speed changes by the minute. It is an error when
the many sales cost more than a request's limits, or when the database walks through what grows with them, which shows
on a busy machine too; ``--plans`` prints how it goes about each statement.
"""

import argparse
import importlib
import json
import statistics
import time
from dataclasses import asdict, dataclass

from bench.requests import Read
from bench.shops import Shop, open_shops, say
from tillhook.server import logs
from tillhook.testing.databases import ENGINES

#: Modules ``bench.requests_…``; each has the requests of a theme as ``READS``.
GROUPS = ("sales", "stock", "views")
SALES = (10_000, 1_000_000)
#: Of each request and business: how often after how many that do not count, and for how many seconds at most.
ROUNDS, WARM_UP, SECONDS = 50, 3, 5.0
#: Below that a ratio is noise.
NOISE_MS = 2.0


@dataclass(frozen=True)
class Result:
    """One request; times are those of whole requests, ``rows`` what the dearest statement reads at the many."""

    engine: str
    name: str
    person: str
    few_p50_ms: float
    few_p95_ms: float
    many_p50_ms: float
    many_p95_ms: float
    ratio: float
    rows: int
    wrong: str


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/bench reads", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--engine", choices=ENGINES, action="append", help="both unless said")
    parser.add_argument("--plans", action="store_true", help="print how the database answers each query")
    parser.add_argument("--only", default="", metavar="TEXT", help="requests that have this in their names")
    parser.add_argument("--group", choices=GROUPS, action="append", help="all unless said")
    parser.add_argument("--sales", type=int, nargs=2, default=SALES, metavar=("FEW", "MANY"))
    options = parser.parse_args(arguments)
    groups = options.group or GROUPS
    reads = [read for read in declared(groups) if options.only in read.name]
    results = []
    logs.configure("error")
    for engine in options.engine or ENGINES:
        with open_shops(engine, options.sales, counted="views" in groups) as (few, many):
            results += [_measure(engine, read, few, many, show=options.plans) for read in reads]
    print(json.dumps([asdict(each) for each in results], indent=1) if options.json else _table(results))
    wrong = [each for each in results if each.wrong]
    for each in wrong:
        say(f"WRONG: {each.engine}, {each.name}, {each.person}: {each.wrong}")
    return 1 if wrong else 0


def declared(groups: tuple[str, ...] | list[str] = GROUPS) -> list[Read]:
    """Return the requests of ``bench/requests_….py``, by the groups' names."""
    return [read for group in groups for read in importlib.import_module(f"bench.requests_{group}").READS]


def _measure(engine: str, read: Read, few: Shop, many: Shop, *, show: bool) -> Result:
    times: tuple[list[float], list[float]] = ([], [])
    end = time.monotonic() + 2 * SECONDS
    for number in range(WARM_UP + ROUNDS):
        for shop, taken in zip((few, many), times, strict=True):
            took = shop.ask(read)
            if number >= WARM_UP:
                taken.append(took)
        if time.monotonic() > end and number > WARM_UP + 5:
            break
    found = many.explain(read)
    (few_p50, few_p95), (many_p50, many_p95) = map(_percentiles, times)
    rows = max((each.rows for each in found), default=0)
    wrong = _wrong(read, (few_p50, few_p95), (many_p50, many_p95), rows)
    say(f"{engine} {read.name}, {read.person}: {few_p50:.1f} ms, {many_p50:.1f} ms, {rows:,} rows {wrong}")
    for each in found:
        if show or each.rows > read.rows:
            say(f"--- {each.rows:,} rows: {each.statement}\n{each.plan}")
    numbers = (few_p50, few_p95, many_p50, many_p95, many_p50 / few_p50)
    return Result(engine, read.name, read.person, *(round(number, 2) for number in numbers), rows, wrong)


def _percentiles(times: list[float]) -> tuple[float, float]:
    return statistics.median(times), statistics.quantiles(times, n=20, method="inclusive")[-1]


def _wrong(read: Read, few: tuple[float, float], many: tuple[float, float], rows: int) -> str:
    """Return which limits are broken, nothing when none is.

    Args:
        few, many: Median and 95th percentile. One of the few beyond the limit is the machine's, and excuses the many.
    """
    found = []
    if many[0] > NOISE_MS and many[0] > read.ratio * few[0]:
        found.append(f"takes {many[0] / few[0]:.1f} times as long")
    if many[0] > read.p95_ms or many[1] > read.p95_ms >= few[1]:
        found.append(f"p50 is {many[0]:.0f} ms, p95 {many[1]:.0f} ms")
    if rows > read.rows:
        found.append(f"reads about {rows:,} rows")
    return ", ".join(found)


def _table(results: list[Result]) -> str:
    head = (
        f"{'engine':10} {'request':42} {'person':8} {'few p50':>8} {'p95':>7} {'many p50':>8} {'p95':>7} {'ratio':>6}"
    )
    return "\n".join(
        [f"{head} {'rows':>9}"]
        + [
            f"{r.engine:10} {r.name:42} {r.person:8} {r.few_p50_ms:8.1f} {r.few_p95_ms:7.1f} {r.many_p50_ms:8.1f}"
            f" {r.many_p95_ms:7.1f} {r.ratio:6.2f} {r.rows:9,} {'WRONG' if r.wrong else ''}".rstrip()
            for r in results
        ]
    )
