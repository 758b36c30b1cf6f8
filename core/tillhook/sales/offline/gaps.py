"""The numbers of a device that are missing, as ranges: so a jump of a billion is one row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from tillhook.db import among, grouped
from tillhook.sales.models import SaleDeviceGap

#: Missing ranges that one answer lists of a device; the rest follows when these are filled.
MAX_RANGES = 1_000

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing numbers, first and last; ``written_off`` says why they are not waited for, ``None`` when they are."""

    first: int
    last: int
    written_off: str | None = None
    #: ``None`` for one that is not stored.
    id: int | None = None


def as_ranges(numbers: Iterable[int]) -> list[Range]:
    """Return ascending numbers as ranges, first and last of each."""
    ranges: list[Range] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = ranges[-1][0], number
        else:
            ranges.append((number, number))
    return ranges


def without(whole: Range, taken: Iterable[Range]) -> list[Range]:
    """Return what is left of a range; ``taken`` lies in it, in ascending order."""
    first, left = whole[0], []
    for start, end in taken:
        if first < start:
            left.append((first, start - 1))
        first = end + 1
    if first <= whole[1]:
        left.append((first, whole[1]))
    return left


def read_gaps(session: Session, device: str, first: int, last: int) -> list[Gap]:
    """Return the gaps of a device that reach into a range, by their first number."""
    rows = session.execute(
        select(SaleDeviceGap.first_number, SaleDeviceGap.last_number, SaleDeviceGap.written_off, SaleDeviceGap.id)
        .where(SaleDeviceGap.device == device, SaleDeviceGap.first_number <= last, SaleDeviceGap.last_number >= first)
        .order_by(SaleDeviceGap.first_number)
    )
    return [Gap(*row) for row in rows]


def replace_gaps(session: Session, device: str, gone: Sequence[Gap], new: Sequence[Gap]) -> None:
    """Delete gaps of a device and insert others; the caller holds the lock on the device's row."""
    if gone:
        keys = [gap.id for gap in gone if gap.id is not None]
        session.execute(
            delete(SaleDeviceGap).where(among(SaleDeviceGap.id, keys)).execution_options(synchronize_session=False)
        )
    if new:
        rows = [
            {"device": device, "first_number": gap.first, "last_number": gap.last, "written_off": gap.written_off}
            for gap in new
        ]
        session.execute(insert(SaleDeviceGap), rows)


def missing_ranges(session: Session, devices: Sequence[str]) -> dict[str, list[list[int]]]:
    """Return what is missing of devices and waited for, in ascending order, the first ``MAX_RANGES`` of each."""
    place = func.row_number().over(partition_by=SaleDeviceGap.device, order_by=SaleDeviceGap.first_number)
    gap = (
        select(SaleDeviceGap.device, SaleDeviceGap.first_number, SaleDeviceGap.last_number, place.label("place"))
        .where(SaleDeviceGap.written_off.is_(None), among(SaleDeviceGap.device, devices))
        .subquery()
    )
    statement = select(gap.c.device, gap.c.first_number, gap.c.last_number).where(gap.c.place <= MAX_RANGES)
    rows = session.execute(statement.order_by(gap.c.device, gap.c.first_number))
    return grouped((device, [first, last]) for device, first, last in rows)
