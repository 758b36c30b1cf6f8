"""Keys taken before the rows that have them are written: each is given once, and what is not used stays a gap."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection

from tillhook.db.bulk import fetch
from tillhook.db.writer import WriterLock
from tillhook.encoding import to_json

#: In ``Connection.info``: the file of SQLite's keys.
KEY_FILE = "tillhook_keys"
_LONGEST = 4096


class KeyFile(WriterLock):
    """The last keys given on SQLite, in a file beside the database: what a sequence is on PostgreSQL.

    Without it a key would be free only to who holds the writer's lock. It may get lost: then the next keys follow those
    in the database, and of two transactions that were given the same one is run again.
    """

    def take(self, last: Mapping[str, int], wanted: Mapping[str, int]) -> dict[str, Sequence[int]]:
        """Return new keys by table, all above ``last``, the largest in the database."""
        with self:
            given = self._read()
            firsts = {table: max(last[table], given.get(table, 0)) + 1 for table in wanted}
            ends = {table: first + wanted[table] for table, first in firsts.items()}
            text = to_json(given | {table: end - 1 for table, end in ends.items()})
            os.pwrite(self.descriptor, text.ljust(_LONGEST), 0)
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
        row = fetch(connection, f"SELECT {', '.join(map(keys_sql, tables))}", tuple(wanted.values()))[0]
        return dict(zip(tables, row, strict=True))
    last = fetch(connection, _last_sql(tables))[0]
    key_file: Any = connection.info[KEY_FILE]
    keys: dict[str, Sequence[int]] = key_file.take(dict(zip(tables, last, strict=True)), wanted)
    return keys


def keys_sql(table: str) -> str:
    """Return the expression by which PostgreSQL gives new keys of a table; its one parameter says how many."""
    return f"ARRAY(SELECT nextval('{table}_id_seq') FROM generate_series(1, %s::int))"


@cache
def _last_sql(tables: tuple[str, ...]) -> str:
    return "SELECT " + ", ".join(f"(SELECT COALESCE(MAX(id), 0) FROM {table})" for table in tables)
