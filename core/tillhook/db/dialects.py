"""What the two engines say differently, for those who write expressions."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

from tillhook.db.types import as_instant, utc_now
from tillhook.db.writer import LOCK, be_patient

#: Seconds that a batch waits for SQLite's writers.
_PATIENCE_S = 60.0
#: ``date(1970, 1, 1).toordinal()``.
_EPOCH_DAY = 719_163


class day_number(FunctionElement[int]):
    """The date of an instant, moved by some seconds, as ``date.toordinal()`` counts days; both after 1970.

    Args of the constructor: the instant, and the seconds to add.
    """

    type = BigInteger()
    inherit_cache = True
    name = "day_number"

    def __init__(self, instant: Any, seconds: ColumnElement[int]) -> None:
        super().__init__(instant, seconds)


@compiles(day_number, "postgresql")
def _day_number_postgresql(element: day_number, compiler: Any, **options: Any) -> str:
    instant, seconds = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(CAST(floor((EXTRACT(epoch FROM {instant}) + {seconds}) / 86400) AS BIGINT) + {_EPOCH_DAY})"


@compiles(day_number, "sqlite")
def _day_number_sqlite(element: day_number, compiler: Any, **options: Any) -> str:
    instant, seconds = (compiler.process(clause, **options) for clause in element.clauses)
    # Whole seconds: SQLite would round a fraction up into the next day.
    epoch = f"CAST(strftime('%s', substr({instant}, 1, 19)) AS INTEGER)"
    return f"(({epoch} + {seconds}) / 86400 + {_EPOCH_DAY})"


def database_now(session: Session) -> datetime:
    """Return the present moment by the clock that all who use the database share: PostgreSQL's, or the machine's."""
    if session.connection().dialect.name != "postgresql":
        return utc_now()
    return as_instant(session.connection().execute(select(func.clock_timestamp())).scalar_one())


def insert_or(connection: Connection, table: Any) -> Any:
    """Return an insert into ``table`` that takes ``on_conflict_do_update`` and ``on_conflict_do_nothing``."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def wait_in_line(connection: Connection) -> None:
    """Let this transaction wait for minutes where others give up after seconds: large ones take turns.

    Five minutes on PostgreSQL; one on SQLite, for its writer's lock, where it has not written yet.
    """
    set_limits(connection, statement_s=300)
    if connection.dialect.name != "postgresql":
        be_patient(connection, _PATIENCE_S)


def without_limits(connection: Connection) -> None:
    """Let this transaction wait and work as long as it takes, and sort in memory what would else go to disk."""
    if connection.dialect.name == "postgresql":
        set_limits(connection, statement_s=0)
        connection.execute(text("SET LOCAL work_mem = '128MB'"))
    else:
        connection.info[LOCK].unlimited = connection.connection.driver_connection


def set_limits(connection: Connection, *, statement_s: int, lock_s: int = 0) -> None:
    """Let a statement of this transaction, and its wait for a lock, take so long on PostgreSQL; 0 is no limit."""
    if connection.dialect.name != "postgresql":
        return
    limits = {"statement_timeout": statement_s, "lock_timeout": lock_s}
    connection.execute(select(*(func.set_config(name, f"{limit}s", True) for name, limit in limits.items())))
    driver: Any = connection.connection.driver_connection
    driver.limit(statement_s)
