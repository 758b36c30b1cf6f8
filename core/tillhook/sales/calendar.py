"""The business's day: its time zone and the hour at which a day ends."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tillhook.reference import Snapshot


def business_day(snapshot: Snapshot, moment: datetime) -> date:
    """Return the day that ``moment`` belongs to; before the cut-off hour it is still the day before."""
    local = moment.astimezone(ZoneInfo(snapshot.setting("timezone")))
    return (local - timedelta(hours=snapshot.setting("day_cutoff_hour"))).date()
