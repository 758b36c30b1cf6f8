"""``tillhook jobs``: when the jobs run, and running one now."""

import os
import socket

import click
from sqlalchemy import select

from tillhook.cli.context import Context, print_table, with_context
from tillhook.errors import StartupError
from tillhook.reference import Calendar
from tillhook.runtime import snapshot_of
from tillhook.server.jobs import plan_jobs, run_job
from tillhook.server.models import JobTurn
from tillhook.server.schedule import schedule_of


@click.group()
def jobs() -> None:
    """Work that comes up again."""


@jobs.command("list")
@with_context
def list_(context: Context) -> None:
    """List the jobs: schedule, last start, next turn, who runs it, failures in a row, last error. Times are UTC."""
    with context.runtime.unit_of_work(write=False) as session:
        calendar = Calendar.of(snapshot_of(session))
        turns = {turn.name: turn for turn in session.scalars(select(JobTurn))}
    rows = []
    for name, job in sorted(context.runtime.registry.jobs.items()):
        turn = turns.get(name)
        if turn is None:
            rows.append((name, schedule_of(job, calendar), "", "", "", "", ""))
            continue
        last = f"{turn.last_run_at:%Y-%m-%d %H:%M:%S}" if turn.last_run_at else ""
        running = f"{turn.held_by} since {turn.held_since:%H:%M:%S}" if turn.held_by else ""
        due = f"{turn.next_at:%Y-%m-%d %H:%M:%S}"
        rows.append((name, turn.schedule, last, due, running, str(turn.failures), turn.last_error))
    print_table(("job", "schedule", "last", "next", "running", "failures", "last error"), rows)


@jobs.command()
@click.argument("name")
@with_context
def run(context: Context, name: str) -> None:
    """Run the job NAME now, whether it is due or not."""
    declared = context.runtime.registry.jobs
    if name not in declared:
        raise StartupError(f"there is no job {name}; there are: {', '.join(sorted(declared))}")
    with context.runtime.unit_of_work() as session:
        plan_jobs(session, {name: declared[name]})
    who = f"{socket.gethostname()}:{os.getpid()}: command line"
    try:
        had = run_job(context.runtime, declared[name], who, early=True)
    except SystemExit as error:
        raise StartupError(f"{name} has failed: it called sys.exit({error.code!r})") from error
    if not had:
        raise StartupError(f"a worker runs {name} right now")
    click.echo(f"{name} is done.")
