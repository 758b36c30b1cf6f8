"""The cases of ``bin/bench sales``, each measured in pairs of neighbouring turns against a yardstick of its own."""

import itertools
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy import delete, exists, insert, select

from bench.stand import Stand, Turn, moment, say
from tillhook.events.consumers import number_events
from tillhook.ledger.models import StockPolicy
from tillhook.reference import bump_epoch
from tillhook.sales.rollups.counting import count_sales

#: Of what is compared with the baseline, and of what the product is compared with itself in.
ROUNDS, FEWER_ROUNDS = 7, 5
POLICIES = 10_000
#: Devices that come back online at once, and what each of them brings: as much as a request may.
DEVICES, BROUGHT = 6, 5_000

Pair = tuple[Turn, Turn]
Side = TypeVar("Side")


@dataclass(frozen=True)
class Result:
    """One line of the report: medians, of the case and of its yardstick.

    ``ratio`` is that of the rates, more is better; ``cost`` that of the CPU per sale of application and database
    together, less is better. CPU is in µs per sale, write-ahead log in bytes per sale; SQLite has neither a process nor
    a log of its own. Latencies are those of whole requests. ``deadlocks`` counts all since the database was made,
    ``unavailable`` answers of 503.
    """

    engine: str
    case: str
    yardstick: str
    sales_per_s: float
    yardstick_per_s: float
    ratio: float
    cost: float
    application_us: int
    yardstick_application_us: int
    database_us: int
    yardstick_database_us: int
    wal_bytes: int
    yardstick_wal_bytes: int
    p50_ms: float
    p99_ms: float
    deadlocks: int = 0
    unavailable: int = 0


def sales(stand: Stand) -> list[Result]:
    """16 connections; and, as ``echo``, what the server can answer at all."""
    pairs, echoes = [], []
    for pair in _by_hand(stand, "sales"):
        pairs.append(pair)
        echoes.append((stand.turn("echo", by_hand=True), pair[0]))
    return [_result(stand, "sales", "by hand", pairs), _result(stand, "echo", "sales", echoes)]


def hot(stand: Stand) -> list[Result]:
    """64 connections, one product."""
    return [_result(stand, "hot", "by hand", list(_by_hand(stand, "hot")))]


def sync(stand: Stand) -> list[Result]:
    """Batches of 500 new sales; and, as ``duplicates``, the same batches again."""
    stand.warm_up("sync")
    stand.warm_up("sync", by_hand=True)
    new, repeated = [], []
    for number in range(ROUNDS):
        same = {"seed": stand.seeds.getrandbits(64), "timestamp": moment()}
        pair = _in_turns(number, lambda same=same: stand.turn("sync", **same), lambda: stand.turn("sync", by_hand=True))
        again = stand.turn("duplicates", repeat=min(pair[0].outcome.requests, 8), **same)
        new.append(pair)
        repeated.append((again, pair[0]))
        _say_round(stand, "sync", number, pair)
        _say_round(stand, "duplicates", number, repeated[-1])
    return [_result(stand, "sync", "by hand", new), _result(stand, "duplicates", "sync", repeated)]


def later(stand: Stand) -> list[Result]:
    """What the worker does for each sale when it is posted: numbering its events, and counting it into the rollups."""
    _number(stand)
    _count(stand)
    numbering, counting = [], []
    for number in range(FEWER_ROUNDS):
        sold = stand.turn("sales")
        posted = sold.outcome.acknowledged
        numbering.append((stand.work(posted, lambda: _number(stand)), sold))
        counting.append((stand.work(posted, lambda: _count(stand)), sold))
        _say_round(stand, "numbering", number, numbering[-1])
        _say_round(stand, "rollups", number, counting[-1])
    return [_result(stand, "numbering", "sales", numbering), _result(stand, "rollups", "sales", counting)]


def warehouses(stand: Stand) -> list[Result]:
    """Sales in either of two warehouses that stock the same products."""
    shared = stand.stock(len(stand.products), stand.warehouses[:2])
    both = {"products": shared, "warehouses": stand.warehouses[:2]}
    stand.warm_up("sales", **both)
    pairs = _rounds(stand, "warehouses", lambda: stand.turn("sales", **both), lambda: stand.turn("sales"))
    return [_result(stand, "warehouses", "sales", list(pairs))]


def devices(stand: Stand) -> list[Result]:
    """Sales of tills that number their receipts, one at a time each."""
    stand.warm_up("devices")
    pairs = _rounds(stand, "devices", lambda: stand.turn("devices"), lambda: stand.turn("sales"))
    return [_result(stand, "devices", "sales", list(pairs))]


def policies(stand: Stand) -> list[Result]:
    """Sales, and synced ones, while 10,000 stock policies are stored; they say what holds without them."""
    kinds = ("sales", "sync")
    pairs: dict[str, list[Pair]] = {kind: [] for kind in kinds}

    def measure(stored: bool) -> dict[str, Turn]:
        _store_policies(stand, stored)
        for kind in kinds:
            stand.warm_up(kind)
        return {kind: stand.turn(kind) for kind in kinds}

    for number in range(FEWER_ROUNDS):
        many, none = _in_turns(number, lambda: measure(True), lambda: measure(False))
        for kind in kinds:
            pairs[kind].append((many[kind], none[kind]))
            _say_round(stand, f"policies-{kind}", number, pairs[kind][-1])
    _store_policies(stand, False)
    return [_result(stand, f"policies-{kind}", kind, pairs[kind]) for kind in kinds]


def batches(stand: Stand) -> list[Result]:
    """Six devices bring 5,000 sales each at once, all of the same products in any order.

    Of so many products that a request comes upon others all the way, not only at its beginning.
    """
    stand.warm_up("sync")
    usual = stand.turn("sync")
    at_once = stand.turn("sync", may_refuse=True, connections=DEVICES, batch=BROUGHT, seconds=0)
    _say_round(stand, "batches", 0, (at_once, usual))
    unavailable = at_once.outcome.statuses.get("503", 0)
    result = _result(stand, "batches", "sync", [(at_once, usual)])
    return [replace(result, deadlocks=stand.count_deadlocks(), unavailable=unavailable)]


#: In the order in which they are measured.
CASES: dict[str, Callable[[Stand], list[Result]]] = {
    case.__name__: case for case in (sales, later, hot, sync, warehouses, devices, policies, batches)
}


def _by_hand(stand: Stand, kind: str) -> Iterator[Pair]:
    stand.warm_up(kind)
    stand.warm_up(kind, by_hand=True)
    return _rounds(stand, kind, lambda: stand.turn(kind), lambda: stand.turn(kind, by_hand=True), ROUNDS)


def _rounds(
    stand: Stand, case: str, ours: Callable[[], Turn], yardstick: Callable[[], Turn], count: int = FEWER_ROUNDS
) -> Iterator[Pair]:
    for number in range(count):
        pair = _in_turns(number, ours, yardstick)
        _say_round(stand, case, number, pair)
        yield pair


def _in_turns(number: int, ours: Callable[[], Side], yardstick: Callable[[], Side]) -> tuple[Side, Side]:
    """Run both, in an order that changes from round to round, as the database grows all the time."""
    if number % 2:
        right = yardstick()
        return ours(), right
    return ours(), yardstick()


def _number(stand: Stand) -> None:
    number_events(stand.runtime)


def _count(stand: Stand) -> None:
    counted = 1
    while counted:
        with stand.runtime.unit_of_work(lazy=True) as session:
            counted = count_sales(session)


def _store_policies(stand: Stand, wanted: bool) -> None:
    """Have many policies of products, or none, and every process notice."""
    channel = stand.runtime.registry.channels[stand.channel]
    rules = ((channel.name, channel.stock_policy), (f"{channel.name}:offline", channel.offline_policy))
    with stand.runtime.unit_of_work() as session:
        if session.scalar(select(exists(StockPolicy.id))) == wanted:
            return
        if wanted:
            rows = [
                {"product_id": product, "channel": name, "policy": policy}
                for product, (name, policy) in itertools.product(stand.products, rules)
            ]
            session.execute(insert(StockPolicy), rows[:POLICIES])
        else:
            session.execute(delete(StockPolicy))
        bump_epoch(session)


def _result(stand: Stand, case: str, yardstick: str, pairs: list[Pair]) -> Result:
    def median(figure: Callable[[Turn], float], side: int) -> float:
        return statistics.median(figure(pair[side]) for pair in pairs)

    return Result(
        engine=stand.engine,
        case=case,
        yardstick=yardstick,
        sales_per_s=round(median(lambda turn: turn.rate, 0), 1),
        yardstick_per_s=round(median(lambda turn: turn.rate, 1), 1),
        ratio=round(statistics.median(left.rate / right.rate for left, right in pairs), 3),
        cost=round(statistics.median(left.cpu_us / right.cpu_us for left, right in pairs), 3),
        application_us=round(median(lambda turn: turn.application_us, 0)),
        yardstick_application_us=round(median(lambda turn: turn.application_us, 1)),
        database_us=round(median(lambda turn: turn.database_us, 0)),
        yardstick_database_us=round(median(lambda turn: turn.database_us, 1)),
        wal_bytes=round(median(lambda turn: turn.wal_bytes, 0)),
        yardstick_wal_bytes=round(median(lambda turn: turn.wal_bytes, 1)),
        p50_ms=round(median(lambda turn: turn.outcome.p50_ms, 0), 2),
        p99_ms=round(median(lambda turn: turn.outcome.p99_ms, 0), 2),
    )


def _say_round(stand: Stand, case: str, number: int, pair: Pair) -> None:
    left, right = pair
    say(
        f"{stand.engine} {case} {number + 1}: {left.rate:,.0f}/s against {right.rate:,.0f}/s, ratio"
        f" {left.rate / right.rate:.2f}; CPU {left.cpu_us:,.0f} against {right.cpu_us:,.0f} µs, cost"
        f" {left.cpu_us / right.cpu_us:.2f}; p50 {left.outcome.p50_ms:.1f} ms, p99 {left.outcome.p99_ms:.1f} ms"
    )
