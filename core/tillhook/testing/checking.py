"""Looking whether the books are right, and making them wrong."""

from sqlalchemy import Connection

from tillhook.hooks import Difference
from tillhook.runtime import Runtime
from tillhook.server.verify import verify


def differences(runtime: Runtime) -> list[Difference]:
    """Return all that ``tillhook verify`` finds."""
    return [difference for _, found in verify(runtime) for difference in found]


def clean(runtime: Runtime) -> bool:
    """Return whether ``tillhook verify`` finds nothing: ``assert clean(runtime)``.

    Raises:
        AssertionError: It finds something; each difference is named.
    """
    found = differences(runtime)
    assert not found, "\n".join(
        f"{each.invariant}: {each.subject}: {each.actual}, not {each.expected}" for each in found
    )
    return True


def damage(runtime: Runtime, *statements: str) -> None:
    """Rewrite history by SQL as somebody could who owns the database: its triggers are gone afterwards."""
    with runtime.unit_of_work() as session:
        connection = session.connection()
        _drop_triggers(connection)
        for statement in statements:
            connection.exec_driver_sql(statement)


def _drop_triggers(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
        drops = [f"DROP TRIGGER {name}" for name in names]
    else:
        rows = connection.exec_driver_sql(
            "SELECT tgname, tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0"
        ).all()
        drops = [f"DROP TRIGGER {name} ON {table}" for name, table in rows]
    for drop in drops:
        connection.exec_driver_sql(drop)
