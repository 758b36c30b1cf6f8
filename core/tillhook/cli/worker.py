"""``tillhook worker``: jobs and the outbox's consumers, beside the server."""

import signal
import threading

import click

from tillhook.cli.context import Context, with_context
from tillhook.server.worker import Worker


@click.command()
@click.option("--once", is_flag=True, help="Do what is due now, then stop.")
@click.option("--parent", type=int, hidden=True, help="Stop when this process is gone.")
@with_context
def worker(context: Context, once: bool, parent: int | None) -> None:
    """Run jobs and hand out events until SIGTERM or Ctrl-C."""
    from tillhook.server import logs

    logs.configure(context.settings.log_level)
    logs.divert_output()
    work = Worker(context.runtime, parent)
    if once:
        work.run_once()
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        # In a thread: the handler may run while the main thread has the event's lock.
        signal.signal(number, lambda *_: threading.Thread(target=work.stop).start())
    work.run()
