"""When a job is due, on days when clocks change too."""

from datetime import UTC, datetime

import pytest

from tillhook.hooks import Job
from tillhook.reference import Calendar
from tillhook.server.schedule import first_turn, next_turn

VIENNA = Calendar("Europe/Vienna", 4)


def turns(at, after, calendar=VIENNA, count=3):
    job = Job(name="nightly", at=at, run=print)
    found = []
    for _ in range(count):
        after = next_turn(job, calendar, after)
        found.append(f"{after:%m-%d %H:%M}")
    return found


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "after", "expected"),
    [
        # Winter is an hour, summer two hours ahead of UTC.
        ("03:00", "2026-01-10 01:59", ["01-10 02:00", "01-11 02:00", "01-12 02:00"]),
        ("03:00", "2026-01-10 02:00", ["01-11 02:00", "01-12 02:00", "01-13 02:00"]),
        ("00:30", "2026-07-10 12:00", ["07-10 22:30", "07-11 22:30", "07-12 22:30"]),
        # On 29 March clocks go from 02:00 to 03:00: half past two is not there, the next moment is 01:00 UTC.
        ("02:30", "2026-03-28 12:00", ["03-29 01:00", "03-30 00:30", "03-31 00:30"]),
        ("02:30", "2026-03-29 01:00", ["03-30 00:30", "03-31 00:30", "04-01 00:30"]),
        # On 25 October they go from 03:00 back to 02:00: half past two is there at 00:30 and at 01:30 UTC.
        ("02:30", "2026-10-24 12:00", ["10-25 00:30", "10-26 01:30", "10-27 01:30"]),
        ("02:30", "2026-10-25 01:00", ["10-26 01:30", "10-27 01:30", "10-28 01:30"]),
    ],
)
def test_a_time_of_day_comes_once_a_day(at, after, expected):
    assert turns(at, utc(after)) == expected


def test_a_day_that_a_country_skips_does_no_harm():
    # Samoa crossed the date line: after 29 December 2011 came the 31st.
    apia = Calendar("Pacific/Apia", 0)
    found = turns("03:00", utc("2011-12-29 00:00"), apia)
    assert found == ["12-29 13:00", "12-30 10:00", "12-30 13:00"]


def test_an_interval_is_counted_from_the_start():
    job = Job(name="often", every_s=90, run=print)
    now = utc("2026-01-01 00:00")
    assert first_turn(job, VIENNA, now) == now
    assert next_turn(job, VIENNA, now) == utc("2026-01-01 00:01:30")


@pytest.mark.parametrize("wrong", [{}, {"every_s": 60, "at": "03:00"}, {"every_s": 0}, {"at": "24:00"}, {"at": "3:00"}])
def test_a_schedule_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="job bad"):
        Job(name="bad", run=print, **wrong)
