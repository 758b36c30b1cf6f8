"""Keys taken before the rows that have them are written: each is given once, and what is not used stays a gap."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection

from tillhook.db.bulk import fetch
from tillhook.db.filelock import FileLock
from tillhook.encoding import to_json
from tillhook.errors import DatabaseUnavailable

#: In ``Connection.info``: the file of SQLite's keys.
KEY_FILE = "tillhook_keys"
_LONGEST = 4096
_NO_KEYS = (
    "The file of keys beside the database cannot be written; its disk may be full. Nothing was changed; try again."
)


class KeyFile(FileLock):
    """The last keys given on SQLite, in a file beside the database: what a sequence is on PostgreSQL.

    Without it a key would be free only to who holds the writer's lock. It may get lost: then the next keys follow those
    in the database, and of two transactions that were given the same one is run again.
    """

    def take(self, last: Mapping[str, int], wanted: Mapping[str, int]) -> dict[str, Sequence[int]]:
        """Return new keys by table, all above ``last``, the largest in the database.

        Raises:
            DatabaseUnavailable: The file cannot be written, or its lock (DatabaseBusy) does not come free.
        """
        with self:
            given = self._read()
            firsts = {table: max(last[table], given.get(table, 0)) + 1 for table in wanted}
            ends = {table: first + wanted[table] for table, first in firsts.items()}
            text = to_json(given | {table: end - 1 for table, end in ends.items()})
            try:
                os.pwrite(self.descriptor, text.ljust(_LONGEST), 0)
            except OSError as error:
                raise DatabaseUnavailable(_NO_KEYS) from error
        return {table: range(first, ends[table]) for table, first in firsts.items()}

    def _read(self) -> dict[str, int]:
        try:
            found: dict[str, int] = json.loads(os.pread(self.descriptor, _LONGEST, 0) or b"{}")
        except ValueError:
            # Torn by a crash.
            return {}
        return found


def next_keys(connection: Connection, wanted: Mapping[str, int]) -> dict[str, Sequence[int]]:
    """Return so many new keys for rows of each table, ascending."""
    tables = tuple(wanted)
    if connection.dialect.name == "postgresql":
        counts = {f"new_{table}": str(count) for table, count in wanted.items()}
        row = fetch(connection, f"SELECT {', '.join(map(keys_sql, tables))}", counts)[0]
        return dict(zip(tables, row, strict=True))
    last = fetch(connection, _last_sql(tables))[0]
    key_file: Any = connection.info[KEY_FILE]
    keys: dict[str, Sequence[int]] = key_file.take(dict(zip(tables, last, strict=True)), wanted)
    return keys


def keys_sql(table: str) -> str:
    """Return the expression by which PostgreSQL gives new keys of a table; its parameter ``new_…`` says how many."""
    return f"ARRAY(SELECT nextval('{table}_id_seq') FROM generate_series(1, %(new_{table})s::int))"


@cache
def _last_sql(tables: tuple[str, ...]) -> str:
    return "SELECT " + ", ".join(f"(SELECT COALESCE(MAX(id), 0) FROM {table})" for table in tables)
