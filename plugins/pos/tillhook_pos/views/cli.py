"""``tillhook pos``: what the counter's server does by itself, done now."""

from typing import TYPE_CHECKING, Any

import click

from tillhook_pos.views.totals import count_documents, rebuild_totals

if TYPE_CHECKING:
    from tillhook.runtime import Runtime


@click.group()
def pos() -> None:
    """The counter."""


@pos.command("rebuild-totals")
@click.pass_obj
def rebuild(context: Any) -> None:
    """Make the day's totals from the journal again; tills go on selling."""
    runtime: Runtime = context.runtime
    with runtime.unit_of_work() as session:
        count = rebuild_totals(session)
    while True:
        with runtime.unit_of_work() as session:
            more = count_documents(session)
        if not more:
            break
        count += more
    click.echo(f"{count} documents are counted.")
