"""``tillhook verify``."""

import sys
from collections.abc import Collection

import click

from tillhook.cli.context import Context, print_table, with_context
from tillhook.hooks import Difference
from tillhook.server.verify import repair as repair_all
from tillhook.server.verify import repairable
from tillhook.server.verify import verify as verify_all


@click.command()
@click.option("--repair", is_flag=True, help="Make anew what is derived and wrong: levels, alerts, totals per day.")
@click.option("--yes", is_flag=True, help="Do not ask before repairing.")
@with_context
def verify(context: Context, repair: bool, yes: bool) -> None:
    """Recompute levels, totals, numbers; print a row per difference and exit 1 if there is one, 2 if it cannot."""
    found = _verified(context)
    if found and repair and _repaired(context, found, yes=yes):
        found = _verified(context)
    if found:
        sys.exit(1)


def _verified(context: Context) -> dict[str, list[Difference]]:
    found = {}
    for name, differences in verify_all(context.runtime):
        click.echo(f"{name}: {f'{len(differences)} differ' if differences else 'ok'}", err=True)
        if differences:
            found[name] = differences
    if found:
        rows = [(name, each.subject, each.expected, each.actual) for name in found for each in found[name]]
        print_table(("invariant", "subject", "expected", "actual"), rows)
    return found


def _repaired(context: Context, names: Collection[str], *, yes: bool) -> bool:
    """Say what would be done, do it when that is wanted, and return whether it was."""
    known = repairable(context.runtime)
    for name in sorted(set(names) - known.keys()):
        click.echo(f"{name}: cannot be repaired, for it is not derived from anything.")
    doing = [(name, each.repair) for name, each in known.items() if name in names]
    for name, does in doing:
        click.echo(f"{name}: {(does.__doc__ or '').partition(chr(10))[0]}")
    if not doing or not (yes or click.confirm("Repair now, in one transaction?")):
        return False
    for name, count in repair_all(context.runtime).items():
        click.echo(f"{name}: repaired, {count} differed.")
    return True
