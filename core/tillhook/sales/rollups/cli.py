"""``tillhook rollups``: what the worker does by itself, done now."""

from typing import TYPE_CHECKING, Any

import click

from tillhook.sales.rollups.counting import rebuild

if TYPE_CHECKING:
    from tillhook.runtime import Runtime


@click.group()
def rollups() -> None:
    """Totals per business day."""


@rollups.command("rebuild")
@click.pass_obj
def rebuild_all(context: Any) -> None:
    """Make the totals from the journal again; on PostgreSQL sales go on."""
    runtime: Runtime = context.runtime
    with runtime.unit_of_work() as session:
        count = rebuild(session)
    click.echo(f"{count} documents are counted.")
