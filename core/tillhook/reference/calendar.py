"""The business's calendar: its time zone, and the hour at which one of its days ends and the next begins."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

from tillhook.reference.snapshot import Snapshot

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)


class Shift(NamedTuple):
    """By how many ``seconds`` the clock of business days is ahead of UTC, ``until`` it is changed."""

    until: datetime
    seconds: int


@dataclass(frozen=True)
class Calendar:
    """When a business day begins: ``day_cutoff_hour`` o'clock in ``timezone``. It may be a former one."""

    timezone: str
    day_cutoff_hour: int

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        """Return the present one, as the settings say."""
        return cls(snapshot.setting("timezone"), snapshot.setting("day_cutoff_hour"))

    def day_of(self, moment: datetime) -> date:
        """Return the day that a moment belongs to; before the cut-off hour it is still the day before."""
        local = moment.astimezone(ZoneInfo(self.timezone))
        return (local - timedelta(hours=self.day_cutoff_hour)).date()

    def today(self) -> date:
        """Return the day that it is now."""
        return self.day_of(datetime.now(UTC))

    def start(self, day: date) -> datetime:
        """Return the moment, in UTC, at which a day begins."""
        return self.moment(day, time(self.day_cutoff_hour))

    def end(self, day: date) -> datetime:
        """Return the moment at which the day after begins."""
        return self.start(day + _DAY)

    def moment(self, date_: date, at: time) -> datetime:
        """Return the moment, in UTC, at which clocks show a time on a date, whatever the cut-off hour.

        Of a time that is there twice it is the first, of one that clocks skip the moment after it.
        """
        zone, wall = ZoneInfo(self.timezone), datetime.combine(date_, at)
        while (moment := wall.replace(tzinfo=zone).astimezone(UTC)).astimezone(zone).replace(tzinfo=None) != wall:
            wall += _MINUTE
        return moment

    def shifts(self, first: date, last: date) -> tuple[Shift, ...]:
        """Return the shifts from the first day to the last, in order: a moment's day is the date of moment and shift.

        The database computes days with them. There is one more for each time that the clocks are changed.
        """
        return _shifts(self, first, last)


@functools.lru_cache(maxsize=64)
def _shifts(calendar: Calendar, first: date, last: date) -> tuple[Shift, ...]:
    zone = ZoneInfo(calendar.timezone)

    def ahead(moment: datetime) -> int:
        offset = moment.astimezone(zone).utcoffset() or timedelta()
        return int(offset.total_seconds()) - calendar.day_cutoff_hour * 3600

    # A little more than asked for: a moment shortly before or after must not be shifted into the days.
    found, moment, end = [], calendar.start(first) - 2 * _DAY, calendar.end(last) + 2 * _DAY
    while moment < end:
        later = moment + _DAY
        if ahead(moment) != ahead(later):
            found.append(Shift(_change(ahead, moment, later), ahead(moment)))
        moment = later
    return (*found, Shift(moment, ahead(moment)))


def _change(ahead: Callable[[datetime], int], before: datetime, after: datetime) -> datetime:
    """Return the first whole second that is like ``after``."""
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if ahead(middle) == ahead(after):
            after = middle
        else:
            before = middle
    return after
