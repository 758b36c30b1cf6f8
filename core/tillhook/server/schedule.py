"""When a job is due: every so many seconds, or at a time of day."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from tillhook.hooks import Job
from tillhook.reference import Calendar


def schedule_of(job: Job, calendar: Calendar) -> str:
    """Return when a job runs as text; another text means that its next turn is to be worked out anew."""
    return f"at {job.at} {calendar.timezone}" if job.at else f"every {job.every_s} s"


def first_turn(job: Job, calendar: Calendar, now: datetime) -> datetime:
    """Return when a job that is new is due: at once, or at the time of day that it names."""
    return next_turn(job, calendar, now) if job.at else now


def next_turn(job: Job, calendar: Calendar, after: datetime) -> datetime:
    """Return when a job is due that began a turn at ``after``, in UTC; a day, by the clock, has one turn."""
    if job.every_s is not None:
        return after + timedelta(seconds=job.every_s)
    at = time.fromisoformat(job.at or "")
    day = after.astimezone(ZoneInfo(calendar.timezone)).date()
    while (moment := calendar.moment(day, at)) <= after:
        day += timedelta(days=1)
    return moment
