"""``tillhook migrate``, ``tillhook db`` and, for developers, ``tillhook migrations``."""

import sys
from pathlib import Path

import click

from tillhook.cli.context import Context, print_table, with_context
from tillhook.db.migrate import check as check_drift
from tillhook.db.migrate import make as make_revision
from tillhook.db.migrate import progress_of
from tillhook.errors import StartupError
from tillhook.hooks import MigrationSource
from tillhook.modules import installed_names
from tillhook.runtime import Runtime
from tillhook.server.building import build_runtime
from tillhook.server.install import install


@click.group()
def db() -> None:
    """The database's tables."""


@db.command()
@with_context
def upgrade(context: Context) -> None:
    """Bring the core's and every plugin's tables up to date; enables new plugins."""
    runtime = install(context.settings, database=context.database)
    _print_progress(runtime)


@db.command()
@with_context
def current(context: Context) -> None:
    """Show the revision of the core and of each plugin; exit 1 when one is behind."""
    if _print_progress(context.runtime):
        sys.exit(1)


@db.command()
@with_context
def check(context: Context) -> None:
    """Compare the tables with the code; exit 1 when they differ."""
    with context.database.connect() as connection:
        differences = check_drift(connection, context.runtime.migrations)
    for difference in differences:
        click.echo(difference)
    if differences:
        sys.exit(1)
    click.echo("The tables are as the code wants them.")


#: The same as ``tillhook db upgrade``.
migrate = click.Command("migrate", callback=upgrade.callback, help=upgrade.help)


@click.group()
def migrations() -> None:
    """Write revisions (for developers)."""


@migrations.command()
@click.argument("name")
@click.option("--plugin", default="tillhook", help="Whose tables; the core's by default.")
@click.option("--folder", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Where to write.")
@with_context
def make(context: Context, name: str, plugin: str, folder: Path | None) -> None:
    """Write the next revision, NAME in a few words: what the mapped classes have beyond the present ones."""
    runtime = build_runtime(context.settings, database=context.database, names=installed_names())
    click.echo(make_revision(_sources_until(runtime, plugin), name, folder))


def _sources_until(runtime: Runtime, name: str) -> list[MigrationSource]:
    """Return the named source at the end of those it requires."""
    known = {source.name: source for source in runtime.migrations}
    if name not in known:
        raise StartupError(f"{name} has no revisions; there are {', '.join(known)}")
    wanted = {"tillhook", name}
    for source in reversed(runtime.migrations):
        if source.name in wanted:
            wanted.update(source.requires)
    return [source for source in runtime.migrations if source.name in wanted]


def _print_progress(runtime: Runtime) -> bool:
    with runtime.database.connect() as connection:
        rows = progress_of(connection, runtime.migrations)
    print_table(
        ("module", "revision", "head"),
        [(row.name, row.current or "(none)", row.head or "(none)") for row in rows],
    )
    return any(row.is_pending for row in rows)
