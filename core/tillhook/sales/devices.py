"""Devices' running numbers: which have come, which are missing, which nobody waits for any more.

A device counts its sales from 1. What is not there below the highest number seen is missing; it is kept as ranges, so
that a jump of a billion is one row. Every number counts that reached us, those of refused sales too. Nothing here
refuses a sale: a number used twice is reported.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tillhook.access import audit, require_warehouse, sees_all_sales, warehouse_condition
from tillhook.db import format_instant, utc_now
from tillhook.errors import Conflict, NotFound
from tillhook.http import page
from tillhook.runtime import actor_of
from tillhook.sales.commands import NO_DEVICE
from tillhook.sales.models import SaleDevice, SaleDeviceGap

if TYPE_CHECKING:
    from tillhook.sales.commands import SaleCommand
    from tillhook.sales.journal import Outcome

#: Missing ranges that one answer lists of a device; the rest follows when these are filled.
MAX_RANGES = 1_000

Range = tuple[int, int]


@dataclass(slots=True)
class _Arrival:
    """What one batch brings of one device."""

    numbers: set[int] = field(default_factory=set)
    warehouse_id: int | None = None


def note_numbers(session: Session, commands: Sequence["SaleCommand"], outcomes: Sequence["Outcome"]) -> list["Outcome"]:
    """Enter the numbers of sales that came, posted or refused, and mark those that use one again.

    Locks the devices' rows, in the order of their names and after everything that a sale locks.

    Returns:
        The outcomes; a new sale whose number an earlier one has names that one in ``same_number_as``.
    """
    arrivals: dict[str, _Arrival] = {}
    numbered = [
        position
        for position, command in enumerate(commands)
        if command.device_number is not None and command.source_device != NO_DEVICE
    ]
    for position in numbered:
        command, sale = commands[position], outcomes[position].sale
        arrival = arrivals.setdefault(command.source_device, _Arrival())
        assert command.device_number
        arrival.numbers.add(command.device_number)
        if sale is not None:
            arrival.warehouse_id = sale["warehouse"]
    seen = _enter(session, arrivals)
    return _mark_reuse(session, commands, list(outcomes), numbered, seen)


def missing_numbers(session: Session, names: Iterable[str], *, own_only: bool = False) -> list[dict[str, Any]]:
    """Return what is missing of the named devices that count, by name.

    ``last_number`` is the highest seen, by which a device knows of sales at its end that never came.

    Args:
        own_only: Leave out those in whose name the actor may not count.
    """
    condition, places = _is_own(session) if own_only else ("1 = 1", {})
    devices = session.execute(
        text(f"SELECT name, last_number FROM sale_device WHERE name {_among(session)} AND {condition} ORDER BY name"),
        {"keys": _keys(session, sorted(set(names))), **places},
    ).all()
    ranges = _ranges(session, [device.name for device in devices])
    return [
        {"source_device": device.name, "last_number": device.last_number, "ranges": ranges.get(device.name, [])}
        for device in devices
    ]


def list_devices(session: Session, query: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return the devices that the actor may see: last seen in an own warehouse, or else by the actor."""
    statement = _visible(session)
    if "warehouse" in query:
        require_warehouse(session, query["warehouse"])
        statement = statement.where(SaleDevice.warehouse_id == query["warehouse"])
    if query["search"]:
        statement = statement.where(SaleDevice.name.icontains(query["search"], autoescape=True))
    ordering = {"id": SaleDevice.id, "name": SaleDevice.name, "last_seen_at": SaleDevice.last_seen_at}
    devices, cursor = page(session, statement, ordering=ordering, query=query)
    ranges = _ranges(session, [device.name for device in devices])
    return [_show(device, ranges) for device in devices], cursor


def write_off(session: Session, device_id: int, first: int, last: int, reason: str) -> dict[str, Any]:
    """Stop waiting for missing numbers from ``first`` to ``last``; one that comes all the same is simply taken.

    Returns:
        The device, as the list shows it.

    Raises:
        NotFound: 404 ``unknown-device``: there is none, or not for this actor.
        Conflict: 409 ``nothing-missing``: none of these numbers is missing.
    """
    device = session.scalars(_visible(session).where(SaleDevice.id == device_id).with_for_update()).one_or_none()
    if device is None:
        raise NotFound("There is no such device.", code="unknown-device")
    name = device.name
    gaps = [gap for gap in _gaps(session, name, first, last) if gap["written_off"] is None]
    if not gaps:
        raise Conflict("None of these numbers is missing.", code="nothing-missing")
    rows, written = [], []
    for gap in gaps:
        inner = max(first, gap["first_number"]), min(last, gap["last_number"])
        written.append(list(inner))
        rows += [_gap(name, piece) for piece in _without((gap["first_number"], gap["last_number"]), [inner])]
        rows.append(_gap(name, inner, reason))
    _replace(session, gaps, rows)
    audit(session, "write-off", "sale_device", name, after={"ranges": written, "reason": reason})
    return _show(device, _ranges(session, [name]))


def _enter(session: Session, arrivals: Mapping[str, _Arrival]) -> dict[str, set[int]]:
    """Enter what came, and return what of it had come before."""
    actor, now = actor_of(session), format_instant(utc_now())
    seen: dict[str, set[int]] = {}
    for name in sorted(arrivals):
        arrival = arrivals[name]
        highest = max(arrival.numbers)
        condition, places = _is_own(session)
        # The row is locked by this, whether it is new or not.
        last = session.execute(
            text(
                "INSERT INTO sale_device (name, last_number, seller_id, warehouse_id, last_seen_at)"
                " VALUES (:name, 0, :seller, :warehouse, :now) ON CONFLICT (name) DO UPDATE SET"
                " last_seen_at = :now, seller_id = :seller,"
                " warehouse_id = COALESCE(:warehouse, sale_device.warehouse_id)"
                f" WHERE {condition} RETURNING last_number"
            ),
            {"name": name, "seller": actor.user_id, "warehouse": arrival.warehouse_id, "now": now, **places},
        ).scalar()
        if last is None:
            seen[name] = set()
            continue
        seen[name] = _fill(session, name, {number for number in arrival.numbers if number <= last})
        if highest > last:
            _advance(session, name, last, sorted(number for number in arrival.numbers if number > last))
    return seen


def _fill(session: Session, name: str, numbers: set[int]) -> set[int]:
    """Take numbers out of the gaps, and return those that were in none."""
    if not numbers:
        return set()
    gaps, rows, filled = [], [], set[int]()
    ordered = sorted(numbers)
    for gap in _gaps(session, name, ordered[0], ordered[-1]):
        whole = gap["first_number"], gap["last_number"]
        inside = ordered[bisect_left(ordered, whole[0]) : bisect_right(ordered, whole[1])]
        if inside:
            gaps.append(gap)
            filled.update(inside)
            rows += [_gap(name, piece, gap["written_off"]) for piece in _without(whole, as_ranges(inside))]
    _replace(session, gaps, rows)
    return numbers - filled


def _advance(session: Session, name: str, last: int, numbers: Sequence[int]) -> None:
    """Raise the highest number; what lies between is missing from now on."""
    skipped = _without((last + 1, numbers[-1]), as_ranges(numbers))
    _replace(session, [], [_gap(name, piece) for piece in skipped])
    session.execute(
        text("UPDATE sale_device SET last_number = :last WHERE name = :name"), {"last": numbers[-1], "name": name}
    )


def _is_own(session: Session) -> tuple[str, dict[str, Any]]:
    """Return the condition that the actor may count in a device's name, and its parameters.

    The device itself may, and who works where it was last seen: somebody in another shop could make it wait for a
    billion sales by calling himself so.
    """
    actor = actor_of(session)
    if actor.warehouse_ids is None:
        return "1 = 1", {}
    return (
        "(sale_device.name = :own_name OR sale_device.warehouse_id IS NULL"
        f" OR sale_device.warehouse_id {_among(session, 'own_places')})",
        {"own_name": actor.device, "own_places": _keys(session, sorted(actor.warehouse_ids))},
    )


def as_ranges(numbers: Iterable[int]) -> list[Range]:
    """Return ascending numbers as ranges, first and last of each."""
    ranges: list[Range] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = ranges[-1][0], number
        else:
            ranges.append((number, number))
    return ranges


def _without(whole: Range, taken: Iterable[Range]) -> list[Range]:
    """Return what is left of a range; ``taken`` lies in it, in ascending order."""
    first, left = whole[0], []
    for start, end in taken:
        if first < start:
            left.append((first, start - 1))
        first = end + 1
    if first <= whole[1]:
        left.append((first, whole[1]))
    return left


def _mark_reuse(
    session: Session,
    commands: Sequence["SaleCommand"],
    outcomes: list["Outcome"],
    numbered: Sequence[int],
    seen: Mapping[str, set[int]],
) -> list["Outcome"]:
    """Name the earlier sale of the same number, where there is one; only suspects are looked up."""
    new = [position for position in numbered if outcomes[position].status == "created"]
    used: dict[tuple[str, int], int] = {}
    for position in new:
        key = commands[position].source_device, commands[position].device_number or 0
        used[key] = used.get(key, 0) + 1
    suspects: dict[str, list[int]] = {}
    for (name, number), times in used.items():
        if times > 1 or number in seen[name]:
            suspects.setdefault(name, []).append(number)
    earliest = {
        (name, row.device_number): row.id
        for name in sorted(suspects)
        for row in session.execute(
            text(
                "SELECT device_number, MIN(id) AS id FROM sale WHERE source_device = :name"
                f" AND device_number {_among(session)} GROUP BY device_number"
            ),
            {"name": name, "keys": _keys(session, suspects[name])},
        )
    }
    for position in new:
        command, sale = commands[position], outcomes[position].sale
        name, number = command.source_device, command.device_number or 0
        assert sale
        first = earliest.get((name, number), sale["id"])
        if first != sale["id"]:
            audit(session, "reuse", "sale_device", name, after={"number": number, "sale": sale["id"], "same_as": first})
            outcomes[position] = replace(outcomes[position], same_number_as=first)
    return outcomes


def _visible(session: Session) -> Any:
    actor = actor_of(session)
    statement = select(SaleDevice)
    if not sees_all_sales(actor):
        own = SaleDevice.seller_id == actor.user_id
        return statement.where(own if actor.device is None else own | (SaleDevice.name == actor.device))
    if actor.warehouse_ids is None:
        return statement
    return statement.where(
        warehouse_condition(session, SaleDevice.warehouse_id) | (SaleDevice.seller_id == actor.user_id)
    )


def _show(device: SaleDevice, ranges: Mapping[str, list[list[int]]]) -> dict[str, Any]:
    return {
        "id": device.id,
        "name": device.name,
        "last_number": device.last_number,
        "missing": ranges.get(device.name, []),
        "warehouse": device.warehouse_id,
        "seller": device.seller_id,
        "last_seen_at": format_instant(device.last_seen_at),
    }


def _ranges(session: Session, names: Sequence[str]) -> dict[str, list[list[int]]]:
    """Return the missing ranges of devices in ascending order, the first ``MAX_RANGES`` of each."""
    rows = session.execute(
        text(
            "SELECT device, first_number, last_number FROM (SELECT device, first_number, last_number,"
            " ROW_NUMBER() OVER (PARTITION BY device ORDER BY first_number) AS place FROM sale_device_gap"
            f" WHERE written_off IS NULL AND device {_among(session)}) gap"
            " WHERE place <= :most ORDER BY device, first_number"
        ),
        {"keys": _keys(session, names), "most": MAX_RANGES},
    )
    ranges: dict[str, list[list[int]]] = {}
    for row in rows:
        ranges.setdefault(row.device, []).append([row.first_number, row.last_number])
    return ranges


def _gaps(session: Session, name: str, first: int, last: int) -> list[dict[str, Any]]:
    """Return the gaps that reach into a range, by their first number."""
    rows = session.execute(
        text(
            "SELECT id, first_number, last_number, written_off FROM sale_device_gap"
            " WHERE device = :name AND first_number <= :last AND last_number >= :first ORDER BY first_number"
        ),
        {"name": name, "first": first, "last": last},
    )
    return [dict(row._mapping) for row in rows]


def _gap(name: str, piece: Range, written_off: str | None = None) -> dict[str, Any]:
    return {"device": name, "first_number": piece[0], "last_number": piece[1], "written_off": written_off}


def _replace(session: Session, gone: Sequence[Mapping[str, Any]], rows: Sequence[dict[str, Any]]) -> None:
    if gone:
        session.execute(
            text(f"DELETE FROM sale_device_gap WHERE id {_among(session)}"),
            {"keys": _keys(session, [gap["id"] for gap in gone])},
        )
    if rows:
        session.execute(SaleDeviceGap.__table__.insert(), rows)  # type: ignore[attr-defined]


def _among(session: Session, parameter: str = "keys") -> str:
    """Return the condition of being among the values of a parameter."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    return f"= ANY(:{parameter})" if is_postgresql else f"IN (SELECT value FROM json_each(:{parameter}))"


def _keys(session: Session, keys: Sequence[Any]) -> Any:
    return list(keys) if session.get_bind().dialect.name == "postgresql" else json.dumps(list(keys))
