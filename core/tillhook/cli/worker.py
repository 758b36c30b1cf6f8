"""``tillhook worker``: jobs and the outbox's consumers, beside the server."""

import signal
import threading

import click

from tillhook.cli.context import Context, with_context
from tillhook.server.lifeline import beat_into, die_with, end_within
from tillhook.server.worker import Worker

#: Seconds within which the process ends when it is told to; what it has in hand has fewer.
_END_S = 7.0


@click.command()
@click.option("--once", is_flag=True, help="Do what is due now, then stop.")
@click.option("--parent", type=int, hidden=True, help="End when this process is gone.")
@click.option("--pulse", type=int, hidden=True, help="Where to give signs of life: a file descriptor.")
@with_context
def worker(context: Context, once: bool, parent: int | None, pulse: int | None) -> None:
    """Run jobs and hand out events until SIGTERM or Ctrl-C."""
    from tillhook.server import logs

    if parent is not None:
        die_with(parent)
    logs.configure(context.settings.log_level)
    logs.divert_output()
    work = Worker(context.runtime, *(() if pulse is None else (beat_into(pulse),)))
    if once:
        work.run_once()
        return

    def stop() -> None:
        end_within(_END_S)
        work.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        # In a thread: the handler may run while the main thread has the event's lock.
        signal.signal(number, lambda *_: threading.Thread(target=stop).start())
    work.run()
