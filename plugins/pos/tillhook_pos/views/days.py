"""The business's days, and how a range of them is put together from a few periods."""

import functools
import itertools
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from tillhook.db import format_instant
from tillhook.runtime import snapshot_of

#: Days of the periods for which sales by product are kept.
LENGTHS = (1, 4, 16, 64, 256, 1024)


class Calendar(NamedTuple):
    """When a day begins, as the settings say or as they said when totals were made.

    It is the core's rule (``tillhook.sales.calendar``) for a time zone and a cut-off that may be former ones.
    """

    timezone: str
    day_cutoff_hour: int

    @classmethod
    def of(cls, session: Session) -> Self:
        """Return the present one."""
        snapshot = snapshot_of(session)
        return cls(snapshot.setting("timezone"), snapshot.setting("day_cutoff_hour"))

    def start(self, day: date) -> datetime:
        """Return the moment at which a day begins."""
        return datetime.combine(day, time(self.day_cutoff_hour), ZoneInfo(self.timezone)).astimezone(UTC)

    def day_of(self, moment: datetime) -> date:
        """Return the day that a moment belongs to."""
        local = moment.astimezone(ZoneInfo(self.timezone))
        return (local - timedelta(hours=self.day_cutoff_hour)).date()

    @functools.lru_cache(maxsize=64)  # noqa: B019 - a calendar is a value, and there are few
    def starts(self, first: date, last: date) -> dict[str, str]:
        """Return the moments at which the days from ``first`` to ``last`` begin, by day, both as text."""
        days = (first + timedelta(days=number) for number in range((last - first).days + 1))
        return {day.isoformat(): format_instant(self.start(day)) for day in days}


class Period(NamedTuple):
    """``length`` days from ``first_day`` on; ``sign`` is -1 when they are to be taken off."""

    length: int
    first_day: str
    sign: int


def cover(first: date, last: date) -> list[Period]:
    """Return periods whose sum is the days from ``first`` to ``last``.

    Both ends move to the next multiple of the longer length, whichever is nearer, so that a length takes at most four
    periods: a year is about ten, ten years are about fifteen.
    """
    periods: list[Period] = []
    start, stop = _number(first), _number(last) + 1

    def add(begin: int, end: int, length: int, sign: int = 1) -> None:
        periods.extend(Period(length, _day(number), sign) for number in range(begin, end, length))

    for length, longer in itertools.pairwise(LENGTHS):
        if stop - start <= 3 * length:
            add(start, stop, length)
            return periods
        over = start % longer
        if over == length:
            start -= over
            add(start, start + over, length, sign=-1)
        elif over:
            add(start, start + longer - over, length)
            start += longer - over
        over = stop % longer
        if over == 3 * length:
            add(stop, stop + length, length, sign=-1)
            stop += length
        else:
            stop -= over
            add(stop, stop + over, length)
    add(start, stop, LENGTHS[-1])
    return periods


def _number(day: date) -> int:
    """Return how many days after 1 January of the year 1 it is: periods begin where their length divides this."""
    return day.toordinal() - 1


def _day(number: int) -> str:
    return date.fromordinal(number + 1).isoformat()
