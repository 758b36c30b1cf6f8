"""``tillhook events``: the outbox, for a person."""

import json

import click
from sqlalchemy import select

from tillhook.cli.context import Context, with_context
from tillhook.events.models import OutboxEvent


@click.group()
def events() -> None:
    """Events that were recorded."""


@events.command()
@click.option("--last", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@click.option("--name", help="Of this name only.")
@with_context
def show(context: Context, last: int, name: str | None) -> None:
    """Print the latest events, one JSON object a line, the newest last."""
    statement = select(OutboxEvent).order_by(OutboxEvent.id.desc()).limit(last)
    if name is not None:
        statement = statement.where(OutboxEvent.name == name)
    with context.runtime.unit_of_work(write=False) as session:
        for event in reversed(session.scalars(statement).all()):
            line = {
                "id": event.id,
                "seq": event.seq,
                "name": event.name,
                "occurred_at": event.occurred_at.isoformat(),
                "payload": event.payload,
            }
            click.echo(json.dumps(line, ensure_ascii=False))
