"""``tillhook worker``: jobs and the outbox's consumers, beside the server."""

import signal

import click

from tillhook.cli.context import Context, with_context
from tillhook.server.worker import Worker


@click.command()
@click.option("--once", is_flag=True, help="Do what is due now, then stop.")
@with_context
def worker(context: Context, once: bool) -> None:
    """Run jobs and hand out events until SIGTERM or Ctrl-C."""
    from tillhook.server import logs

    logs.configure(context.settings.log_level)
    work = Worker(context.runtime)
    if once:
        work.run_once()
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: work.stop())
    work.run()
