"""The hot path's way to the database: plain statements, and many rows into several tables in one round trip.

On PostgreSQL a :class:`WriteBatch` is one statement of several CTEs, its rows one JSON array per table
(a single parameter, whatever the number of rows and columns). On SQLite, where a statement costs no
round trip, it is one ``executemany`` per table.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import JSON, Connection
from sqlalchemy.exc import DBAPIError

from tillhook.db.base import Base
from tillhook.db.concealing import conceal
from tillhook.db.writer import before_statement
from tillhook.encoding import to_json

Rows = Sequence[Mapping[str, Any]]
Parameters = Sequence[Any] | Mapping[str, Any]
#: In ``Connection.info``.
_CURSOR = "tillhook_cursor"


def fetch(connection: Connection, sql: str, parameters: Parameters = ()) -> list[Any]:
    """Run one statement that returns rows, in the driver's own style, and return them as tuples.

    It belongs to the connection's transaction, which must have begun, and raises SQLAlchemy's errors; what it saves
    is SQLAlchemy's result, which costs as much as a small statement itself.
    """
    before_statement(connection, sql)
    try:
        cursor = _cursor(connection)
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
    except _driver_error(connection) as error:
        raise _wrapped(connection, sql, parameters, error) from error


class Statement(NamedTuple):
    """A statement in the driver's own style, and its parameters.

    Texts are the cheapest ones for PostgreSQL's driver, lists by far the dearest: ``%(keys)s::bigint[]`` takes what
    :func:`array_text` makes of them.
    """

    sql: str
    parameters: Parameters


def array_text(numbers: Iterable[int]) -> str:
    """Return whole numbers as PostgreSQL writes an array of them."""
    return f"{{{','.join(map(str, numbers))}}}"


def fetch_with_row(connection: Connection, one: Statement, columns: int, many: Statement) -> tuple[Any, list[Any]]:
    """Run a statement that returns one row, and another, in one round trip; on PostgreSQL only, where that costs.

    The row comes once more with each of the others, so this is for few; parameters have names that differ.

    Args:
        columns: Of the one row.
        many: Its first column is never null.

    Returns:
        The row, and those of the other statement.
    """
    assert isinstance(one.parameters, Mapping) and isinstance(many.parameters, Mapping)
    rows = fetch(connection, _beside(one.sql, many.sql), {**one.parameters, **many.parameters})
    return rows[0][:columns], [row[columns:] for row in rows if row[columns] is not None]


@cache
def _beside(one: str, many: str) -> str:
    return f"SELECT * FROM ({one}) AS one LEFT JOIN ({many}) AS many ON TRUE"


def execute_many(connection: Connection, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run one statement for every row; as :func:`fetch`, without a result."""
    before_statement(connection, sql)
    try:
        _cursor(connection).executemany(sql, rows)
    except _driver_error(connection) as error:
        raise _wrapped(connection, sql, (), error) from error


def _cursor(connection: Connection) -> Any:
    """Return the cursor that the driver's connection keeps for these functions; making one costs a tenth of a read."""
    pooled = connection.connection
    cursor = pooled.info.get(_CURSOR)
    if cursor is None:
        cursor = pooled.info[_CURSOR] = pooled.cursor()
    return cursor


def _driver_error(connection: Connection) -> type[Exception]:
    module = connection.dialect.dbapi
    assert module is not None
    return module.Error


def _wrapped(connection: Connection, sql: str, parameters: Any, error: Any) -> BaseException:
    lost = connection.dialect.is_disconnect(error, connection.connection.driver_connection, None)
    if lost:
        connection.invalidate(error)
    wrapped = DBAPIError.instance(
        sql,
        parameters,
        error,
        _driver_error(connection),
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=connection.dialect,
    )
    conceal(error, wrapped)
    return wrapped


class WriteBatch:
    """Inserts that run together, in the caller's transaction.

    The rows of one table all have the same keys; values are what both drivers take as they are:
    integers, text, booleans, ``None``, instants as text, and for JSON columns a dict or list.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._inserts: list[tuple[str, Rows]] = []

    def insert(self, table: str, rows: Rows) -> None:
        """Add rows of ``table``; nothing happens before :meth:`run`."""
        if rows:
            self._inserts.append((table, rows))

    def run(self, then: str | None = None, parameters: Sequence[Any] = ()) -> Sequence[Any]:
        """Insert everything.

        Args:
            then: For PostgreSQL only: what follows in the statement, further CTEs and its end. Those that mention
                ``inserted.done`` in a condition start after the inserts are done.
            parameters: JSON values, one for each ``%s`` of ``then``.

        Returns:
            The rows that ``then`` returns, else none.
        """
        if self._connection.dialect.name == "sqlite":
            for table, rows in self._inserts:
                columns = tuple(rows[0])
                execute_many(
                    self._connection,
                    _sqlite_insert(table, columns),
                    _sqlite_rows(table, columns, rows),
                )
            return ()
        if not self._inserts and then is None:
            return ()
        shape = tuple((table, tuple(rows[0])) for table, rows in self._inserts)
        texts = [_json(rows) for _, rows in self._inserts]
        texts += map(_json, parameters)
        rows = fetch(self._connection, _postgresql_statement(shape, then), texts)
        return rows if then is not None else ()


def insert_rows(connection: Connection, table: str, rows: Rows) -> None:
    """Insert ``rows`` into ``table`` in one statement."""
    batch = WriteBatch(connection)
    batch.insert(table, rows)
    batch.run()


def _json(value: Any) -> str:
    return to_json(value).decode()


def _sqlite_rows(table: str, columns: tuple[str, ...], rows: Rows) -> list[list[Any]]:
    """Return the rows' values in the order of their columns, JSON columns as text."""
    values = [list(row.values()) for row in rows]
    for place in _json_places(table, columns):
        for row in values:
            if row[place] is not None:
                row[place] = _json(row[place])
    return values


@cache
def _json_places(table: str, columns: tuple[str, ...]) -> tuple[int, ...]:
    kinds = Base.metadata.tables[table].columns
    return tuple(place for place, name in enumerate(columns) if isinstance(kinds[name].type, JSON))


@cache
def _sqlite_insert(table: str, columns: tuple[str, ...]) -> str:
    places = ",".join("?" * len(columns))
    return f"INSERT INTO {table} ({','.join(columns)}) VALUES ({places})"


@cache
def _postgresql_statement(shape: tuple[tuple[str, tuple[str, ...]], ...], then: str | None) -> str:
    parts, counts = [], []
    for number, (table, columns) in enumerate(shape):
        names = ",".join(columns)
        parts.append(
            f"i{number} AS (INSERT INTO {table} ({names}) SELECT {names}"
            f" FROM json_populate_recordset(NULL::{table}, %s::json) RETURNING 1)"
        )
        counts.append(f"(SELECT count(*) FROM i{number})")
    if then is None:
        return f"WITH {', '.join(parts)} SELECT {' + '.join(counts)}"
    # The counts make the inserts finish before the last statement takes its first lock.
    parts.append(f"inserted AS (SELECT {' + '.join(counts) or '0'} AS done)")
    return f"WITH {', '.join(parts)}, {then}"
