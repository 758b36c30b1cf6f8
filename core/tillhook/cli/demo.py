"""``tillhook demo``: what the first run of a demonstration finds."""

import click
from sqlalchemy import text

from tillhook.cli.context import Context, with_context
from tillhook.errors import StartupError
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
    if not is_demo(runtime) and has_users(runtime):
        raise StartupError("this database has users already; demo data is for an empty one")
    made = []
    for name, data in runtime.registry.demo_data.items():
        # A transaction each: the next one sees its warehouses and taxes among the reference data.
        with runtime.unit_of_work() as session:
            marker = session.get(Setting, DONE)
            if marker is None:
                marker = Setting(key=DONE, value=[])
                session.add(marker)
            if name not in marker.value:
                data.create(session)
                marker.value = [*marker.value, name]
                made.append(name)
    return made


def is_demo(runtime: Runtime) -> bool:
    """Say whether demo data was made in this database."""
    with runtime.database.unit_of_work(write=False) as session:
        return session.get(Setting, DONE) is not None


def has_users(runtime: Runtime) -> bool:
    """Say whether anybody could log in."""
    with runtime.database.connect() as connection:
        return connection.execute(text("SELECT 1 FROM user_account LIMIT 1")).first() is not None
