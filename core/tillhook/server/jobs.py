"""Jobs: when they are due, and one turn of one; whichever worker comes first has it."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from tillhook.db import database_now, format_instant, retrying
from tillhook.events.turns import TurnLost, give_back, give_up, is_due, is_free, take
from tillhook.hooks import Job
from tillhook.reference import Calendar
from tillhook.runtime import Runtime, snapshot_of
from tillhook.server.models import JobTurn
from tillhook.server.schedule import first_turn, next_turn, schedule_of

_ENTER = text(
    "INSERT INTO job (name, schedule, next_at, failures, last_error) VALUES (:name, :schedule, :next_at, 0, '')"
    " ON CONFLICT (name) DO UPDATE SET schedule = excluded.schedule, next_at = excluded.next_at"
    " WHERE job.schedule <> excluded.schedule OR job.next_at > :latest"
)
#: How much later than possible a turn must be, so that the clock was wrong when it was worked out.
_CLOCK_WAS_WRONG = timedelta(minutes=1)


def plan_jobs(session: Session, jobs: Mapping[str, Job]) -> None:
    """Enter the jobs that are new, and those whose schedule or time zone has changed; mostly nothing is written.

    One that would come up later than its schedule allows is entered anew too: the clock was wrong.
    """
    calendar, now = Calendar.of(snapshot_of(session)), database_now(session)
    entered = {turn.name: turn for turn in session.scalars(select(JobTurn))}
    for name, job in jobs.items():
        schedule, turn = schedule_of(job, calendar), entered.get(name)
        latest = next_turn(job, calendar, now) + _CLOCK_WAS_WRONG
        if turn is None or turn.schedule != schedule or turn.next_at > latest:
            moments = {"next_at": format_instant(first_turn(job, calendar, now)), "latest": format_instant(latest)}
            session.execute(_ENTER, {"name": name, "schedule": schedule, **moments})


def renew_jobs(session: Session, runtime: Runtime, plugin: str) -> None:
    """Let a plugin's jobs be as new: what happened while it was not enabled is theirs to make up for at once."""
    names = [name for name in runtime.registry.jobs if runtime.registry.owner_of("job", name) == plugin]
    session.execute(delete(JobTurn).where(JobTurn.name.in_(names)))


def due_jobs(session: Session, jobs: Mapping[str, Job]) -> list[Job]:
    """Return the jobs that are due and that nobody runs; rows of plugins that are gone are passed over."""
    now = database_now(session)
    due = select(JobTurn.name).where(is_due(JobTurn, now), is_free(JobTurn, now)).order_by(JobTurn.next_at)
    return [jobs[name] for name in session.scalars(due) if name in jobs]


def run_job(runtime: Runtime, job: Job, worker: str, *, early: bool = False) -> bool:
    """Run a job and enter its next turn, in one transaction; return whether the turn was to be had.

    Args:
        early: Whether it is due or not.

    Raises:
        BaseException: What the job raised, ``SystemExit`` too; it is entered, and the job is tried again after a
            pause.
    """
    with runtime.unit_of_work() as session:
        turn = take(session, JobTurn, job.name, worker, early=early)
    if turn is None:
        return False
    started = turn.held_since
    assert started is not None

    def run() -> None:
        with runtime.unit_of_work(lazy=True) as session:
            job.run(session)
            session.flush()  # before the job's row is locked
            next_at = next_turn(job, Calendar.of(snapshot_of(session)), started)
            give_back(session, JobTurn, job.name, worker, next_at=next_at, last_run_at=started)

    try:
        retrying(run)
    except TurnLost:
        raise
    except BaseException as error:
        with runtime.unit_of_work() as session:
            latest = next_turn(job, Calendar.of(snapshot_of(session)), started)
            give_up(session, JobTurn, job.name, worker, error, latest)
        raise
    return True
