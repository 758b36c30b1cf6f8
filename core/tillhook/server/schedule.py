"""When a job is due: every so many seconds, or at a time of day."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tillhook.hooks import Job
from tillhook.reference import Snapshot


def zone_of(snapshot: Snapshot) -> ZoneInfo:
    """Return the business's time zone."""
    return ZoneInfo(snapshot.setting("timezone"))


def schedule_of(job: Job, zone: ZoneInfo) -> str:
    """Return when a job runs as text; another text means that its next turn is to be worked out anew."""
    return f"at {job.at} {zone.key}" if job.at else f"every {job.every_s} s"


def first_turn(job: Job, zone: ZoneInfo, now: datetime) -> datetime:
    """Return when a job that is new is due: at once, or at the time of day that it names."""
    return next_turn(job, zone, now) if job.at else now


def next_turn(job: Job, zone: ZoneInfo, after: datetime) -> datetime:
    """Return when a job is due that began a turn at ``after``, in UTC.

    A day has one turn: of a time that is there twice the first, of one that clocks skip the moment after it.
    """
    if job.every_s is not None:
        return after + timedelta(seconds=job.every_s)
    at = time.fromisoformat(job.at or "")
    day = after.astimezone(zone).date()
    while (moment := _moment(datetime.combine(day, at), zone)) <= after:
        day += timedelta(days=1)
    return moment


def _moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment at which clocks show ``wall``, else the first at which they show something later."""
    while (moment := wall.replace(tzinfo=zone).astimezone(UTC)).astimezone(zone).replace(tzinfo=None) != wall:
        wall += timedelta(minutes=1)
    return moment
