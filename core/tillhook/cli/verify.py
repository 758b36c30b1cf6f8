"""``tillhook verify``."""

import sys

import click

from tillhook.cli.context import Context, print_table, with_context
from tillhook.server.verify import verify as verify_all


@click.command()
@with_context
def verify(context: Context) -> None:
    """Recompute levels, totals, numbers; print a row per difference and exit 1 if there is one."""
    found = []
    for name, differences in verify_all(context.runtime):
        click.echo(f"{name}: {f'{len(differences)} differ' if differences else 'ok'}", err=True)
        found += differences
    if found:
        rows = [(each.invariant, each.subject, each.expected, each.actual) for each in found]
        print_table(("invariant", "subject", "expected", "actual"), rows)
        sys.exit(1)
