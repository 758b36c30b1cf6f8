"""``tillhook demo``: what the first run of a demonstration finds."""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

import click
from sqlalchemy import text

from tillhook.cli.context import Context, with_context
from tillhook.db.migrate import one_at_a_time
from tillhook.errors import StartupError
from tillhook.hooks import DemoData
from tillhook.reference.models import Setting
from tillhook.runtime import Runtime

#: The row of ``setting`` that keeps which demo data was made; no declared setting is named so.
DONE = "demo.created"


@click.command()
@with_context
def demo(context: Context) -> None:
    """Make the demo users and goods in a database that has no users yet."""
    made = create_demo_data(context.runtime)
    click.echo(f"made: {', '.join(made)}" if made else "There is nothing to make.")


def create_demo_data(runtime: Runtime) -> list[str]:
    """Make the demo data that is not there yet, each in a transaction of its own; return the names.

    Raises:
        StartupError: The database has users and is no demonstration.
    """
    if has_users(runtime) and not is_demo(runtime):  # in this order: another server may be making it
        raise StartupError("this database has users already; demo data is for an empty one")
    made = []
    for name, data in _in_order(runtime.registry.demo_data):
        # A transaction each: the next one sees its warehouses and taxes among the reference data.
        with runtime.unit_of_work() as session:
            one_at_a_time(session)
            marker = session.get(Setting, DONE)
            if marker is None:
                marker = Setting(key=DONE, value=[])
                session.add(marker)
            if name not in marker.value:
                data.create(session)
                marker.value = [*marker.value, name]
                made.append(name)
    return made


def _in_order(found: Mapping[str, DemoData]) -> Iterator[tuple[str, DemoData]]:
    """Yield each after those it requires; what is not there (its plugin is not enabled) is not waited for."""
    requires = {name: sorted(set(data.requires) & set(found)) for name, data in found.items()}
    try:
        for name in TopologicalSorter(requires).static_order():
            yield name, found[name]
    except CycleError as error:
        raise StartupError(f"demo data requires itself: {' → '.join(error.args[1])}") from error


def is_demo(runtime: Runtime) -> bool:
    """Say whether demo data was made in this database."""
    with runtime.database.unit_of_work(write=False) as session:
        return session.get(Setting, DONE) is not None


def has_users(runtime: Runtime) -> bool:
    """Say whether anybody could log in."""
    with runtime.database.connect() as connection:
        return connection.execute(text("SELECT 1 FROM user_account LIMIT 1")).first() is not None
