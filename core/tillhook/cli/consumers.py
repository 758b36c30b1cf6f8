"""``tillhook consumers``: how far each consumer of events is, and setting it going again."""

import click

from tillhook.cli.context import Context, print_table, with_context
from tillhook.errors import StartupError
from tillhook.events import consumers as services
from tillhook.hooks import Consumer


@click.group()
def consumers() -> None:
    """Who gets the events."""


@consumers.command("list")
@with_context
def list_(context: Context) -> None:
    """List the consumers: position, events and seconds behind, failures in a row, last error, next try."""
    declared = context.runtime.registry.consumers
    with context.runtime.unit_of_work(write=False) as session:
        found = {each.cursor.name: each for each in services.list_consumers(session)}
    rows = [(name, "new", "", "", "", "", "") for name in declared if name not in found]
    for name, status in found.items():
        cursor = status.cursor
        if name not in declared:
            rows.append((name, str(cursor.seq), "(its plugin is not enabled)", "", "", "", ""))
            continue
        next_try = f"{cursor.next_at:%Y-%m-%d %H:%M:%S}Z" if cursor.failures else ""
        behind = (str(status.lag), f"{status.lag_s:.0f}")
        rows.append((name, str(cursor.seq), *behind, str(cursor.failures), next_try, cursor.last_error))
    heads = ("consumer", "position", "behind", "seconds", "failures", "next try", "last error")
    print_table(heads, sorted(rows))


@consumers.command()
@click.argument("name")
@with_context
def skip(context: Context, name: str) -> None:
    """Let the consumer NAME pass over the next event that waits for it: the one that it fails at."""
    consumer = _declared(context, name)
    with context.runtime.unit_of_work() as session:
        skipped = services.skip(session, consumer)
    click.echo(f"No event waits for {name}." if skipped is None else f"{name} passes over event {skipped}.")


@consumers.command()
@click.argument("name")
@click.option("--to", type=click.IntRange(min=0), help="The last event that it is to have had; 0 for none.")
@with_context
def reset(context: Context, name: str, to: int | None) -> None:
    """Let the consumer NAME go on elsewhere: where a new one begins, or after an event."""
    consumer = _declared(context, name)
    with context.runtime.unit_of_work() as session:
        position = services.reset(session, consumer, to)
    click.echo(f"{name} goes on after event {position}.")


def _declared(context: Context, name: str) -> Consumer:
    declared = context.runtime.registry.consumers
    if name not in declared:
        raise StartupError(f"there is no consumer {name}; there are: {', '.join(sorted(declared)) or 'none'}")
    return declared[name]
