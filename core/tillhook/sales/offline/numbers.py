"""Devices' running numbers as they come in: which have come, and which were used twice.

A device counts its sales from 1. What is not there below the highest number seen is missing. Every number counts that
reached us, those of refused sales too. Nothing here refuses a sale: a number used twice is reported.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, func, or_, select, true, update

# SQLite writes it likewise.
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tillhook.access import audit
from tillhook.db import among, array_text, fetch, format_instant, utc_now
from tillhook.encoding import to_json
from tillhook.runtime import actor_of
from tillhook.sales.commands import NO_DEVICE, SaleCommand
from tillhook.sales.models import Sale, SaleDevice
from tillhook.sales.offline.gaps import Gap, as_ranges, read_gaps, replace_gaps, without

if TYPE_CHECKING:
    from tillhook.sales.outcomes import Outcome

# On the way of every numbered sale, hence plain SQL; who may count is said by :func:`may_count` too.
_NEXT = """
UPDATE sale_device SET last_number = {last}, last_seen_at = {now}, seller_id = {seller},
  warehouse_id = COALESCE({warehouse}, warehouse_id)
WHERE name = {name} AND last_number = {before}"""
_MINE = " AND (name = {device} OR warehouse_id IS NULL OR warehouse_id {among})"
_NAMES = ("last", "now", "seller", "warehouse", "name", "before", "device")


def _next_sql(mark: str, among: str) -> tuple[str, str]:
    """Return the statement for who may count for some devices, and for who may for all."""
    marks = {name: mark.format(name) for name in _NAMES}
    some, every = (f"{text} RETURNING 1".format(among=among, **marks) for text in (_NEXT + _MINE, _NEXT))
    return some, every


# What is text takes the type of its column on both engines.
_NEXT_POSTGRESQL = _next_sql("%({})s", "= ANY(%(places)s::bigint[])")
_NEXT_SQLITE = _next_sql(":{}", "IN (SELECT value FROM json_each(:places))")


@dataclass(slots=True)
class _Arrival:
    """What one batch brings of one device."""

    numbers: set[int] = field(default_factory=set)
    warehouse_id: int | None = None


def note_numbers(session: Session, commands: Sequence[SaleCommand], outcomes: Sequence["Outcome"]) -> list["Outcome"]:
    """Enter the numbers of sales that came, posted or refused, and mark those that use one again.

    Locks the devices' rows, in the order of their names and after everything that a sale locks.

    Returns:
        The outcomes; a new sale whose number an earlier one has names that one in ``same_number_as``.
    """
    arrivals: dict[str, _Arrival] = {}
    numbers: dict[int, tuple[str, int]] = {}
    for position, (command, outcome) in enumerate(zip(commands, outcomes, strict=True)):
        if command.device_number is None or command.source_device == NO_DEVICE:
            continue
        numbers[position] = command.source_device, command.device_number
        arrival = arrivals.setdefault(command.source_device, _Arrival())
        arrival.numbers.add(command.device_number)
        if outcome.sale is not None:
            arrival.warehouse_id = outcome.sale["warehouse"]
    seen = {name: _enter(session, name, arrivals[name]) for name in sorted(arrivals)}
    new = {position: number for position, number in numbers.items() if outcomes[position].status == "created"}
    return _mark_reuse(session, list(outcomes), new, seen)


def may_count(session: Session) -> ColumnElement[bool]:
    """Return the condition that the actor may count in a device's name.

    The device itself may, and who works where it was last seen: somebody in another shop could make it wait for a
    billion sales by calling himself so.
    """
    actor = actor_of(session)
    if actor.warehouse_ids is None:
        return true()
    here = among(SaleDevice.warehouse_id, sorted(actor.warehouse_ids))
    return or_(SaleDevice.name == actor.device, SaleDevice.warehouse_id.is_(None), here)


def _enter(session: Session, name: str, arrival: _Arrival) -> set[int]:
    """Enter what came of a device, and return what of it had come before."""
    if _is_next(session, name, arrival):
        return set()
    seen = {"last_seen_at": utc_now(), "seller_id": actor_of(session).user_id}
    new = insert(SaleDevice).values(name=name, last_number=0, warehouse_id=arrival.warehouse_id, **seen)
    warehouse = func.coalesce(new.excluded.warehouse_id, SaleDevice.warehouse_id)
    # The row is locked by this, whether it is new or not.
    last = session.scalar(
        new.on_conflict_do_update(
            index_elements=[SaleDevice.name], set_=seen | {"warehouse_id": warehouse}, where=may_count(session)
        ).returning(SaleDevice.last_number)
    )
    if last is None:
        return set()
    before = _fill(session, name, {number for number in arrival.numbers if number <= last})
    _advance(session, name, last, sorted(number for number in arrival.numbers if number > last))
    return before


def _is_next(session: Session, name: str, arrival: _Arrival) -> bool:
    """Enter numbers that follow the last one without a gap, as nearly all do, in one statement."""
    first, last = min(arrival.numbers), max(arrival.numbers)
    if last - first >= len(arrival.numbers):
        return False
    connection, actor = session.connection(), actor_of(session)
    is_postgresql = connection.dialect.name == "postgresql"
    everywhere = actor.warehouse_ids is None
    places = sorted(actor.warehouse_ids or ())
    parameters = {
        "name": name,
        "before": str(first - 1),
        "last": str(last),
        "now": format_instant(utc_now()),
        "seller": actor.user_id and str(actor.user_id),
        "warehouse": arrival.warehouse_id and str(arrival.warehouse_id),
        "device": actor.device,
        "places": array_text(places) if is_postgresql else to_json(places).decode(),
    }
    return bool(fetch(connection, (_NEXT_POSTGRESQL if is_postgresql else _NEXT_SQLITE)[everywhere], parameters))


def _fill(session: Session, name: str, numbers: set[int]) -> set[int]:
    """Take numbers out of the gaps, and return those that were in none."""
    if not numbers:
        return set()
    ordered = sorted(numbers)
    gone, left, filled = [], [], set[int]()
    for gap in read_gaps(session, name, ordered[0], ordered[-1]):
        inside = ordered[bisect_left(ordered, gap.first) : bisect_right(ordered, gap.last)]
        if inside:
            gone.append(gap)
            filled.update(inside)
            pieces = without((gap.first, gap.last), as_ranges(inside))
            left += [Gap(first, last, gap.written_off) for first, last in pieces]
    replace_gaps(session, name, gone, left)
    return numbers - filled


def _advance(session: Session, name: str, last: int, numbers: Sequence[int]) -> None:
    """Raise the highest number; what lies between is missing from now on."""
    if not numbers:
        return
    skipped = without((last + 1, numbers[-1]), as_ranges(numbers))
    replace_gaps(session, name, [], [Gap(first, last) for first, last in skipped])
    session.execute(
        update(SaleDevice)
        .where(SaleDevice.name == name)
        .values(last_number=numbers[-1])
        .execution_options(synchronize_session=False)
    )


def _mark_reuse(
    session: Session,
    outcomes: list["Outcome"],
    new: Mapping[int, tuple[str, int]],
    seen: Mapping[str, set[int]],
) -> list["Outcome"]:
    """Name the earlier sale of the same number, where there is one; only suspects are looked up."""
    suspects: dict[str, list[int]] = {}
    for (name, number), times in Counter(new.values()).items():
        if times > 1 or number in seen[name]:
            suspects.setdefault(name, []).append(number)
    earliest = {
        (name, number): sale_id
        for name in sorted(suspects)
        for number, sale_id in session.execute(
            select(Sale.device_number, func.min(Sale.id))
            .where(Sale.source_device == name, among(Sale.device_number, suspects[name]))
            .group_by(Sale.device_number)
        )
    }
    for position, (name, number) in new.items():
        sale = outcomes[position].sale
        assert sale
        first = earliest.get((name, number), sale["id"])
        if first != sale["id"]:
            audit(session, "reuse", "sale_device", name, after={"number": number, "sale": sale["id"], "same_as": first})
            outcomes[position] = replace(outcomes[position], same_number_as=first)
    return outcomes
