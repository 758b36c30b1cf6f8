"""The business's day: its time zone and the hour at which a day ends."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tillhook.reference import Snapshot

#: How far a device's clock may run ahead before its word is not taken for the date of a sale.
_TOLERANCE = timedelta(minutes=5)
#: A clock before this year was never set.
_EARLIEST_YEAR = 2000


def happened_at(stamp: datetime | None, recorded_at: datetime) -> tuple[datetime, bool]:
    """Return when something happened by the client's word, and whether that word is not to be believed.

    A clock that was never set, or runs ahead, says nothing: then it happened when it was recorded.
    """
    if stamp is None:
        return recorded_at, False
    if stamp > recorded_at + _TOLERANCE or stamp.year < _EARLIEST_YEAR:
        return recorded_at, True
    return min(stamp, recorded_at), False


def business_day(snapshot: Snapshot, moment: datetime) -> date:
    """Return the day that ``moment`` belongs to; before the cut-off hour it is still the day before."""
    local = moment.astimezone(ZoneInfo(snapshot.setting("timezone")))
    return (local - timedelta(hours=snapshot.setting("day_cutoff_hour"))).date()
