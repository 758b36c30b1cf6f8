"""Recomputing what must be true, from the rows that are never changed."""

from collections.abc import Iterator

from sqlalchemy import text

from tillhook.hooks import Difference
from tillhook.runtime import Runtime


def verify(runtime: Runtime) -> Iterator[tuple[str, list[Difference]]]:
    """Check every invariant of the core and the plugins; yield its name and its differences, if any.

    All see one and the same state of the database, while others go on writing.
    """
    with runtime.database.connect() as connection:
        connection.execution_options(runtime=runtime)
        if runtime.database.is_postgresql:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        for name, invariant in runtime.registry.invariants.items():
            yield name, list(invariant.check(connection))


__all__ = ["verify"]
