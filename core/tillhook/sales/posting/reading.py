"""What is read before sales are recognised: what is known of their ids, keys for them, and mostly their goods too."""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tillhook.db import RetryTransaction, Statement, fetch, keys_sql, next_keys
from tillhook.ledger import Items, load_items_with
from tillhook.sales.commands import SaleCommand
from tillhook.sales.posting.entries import Run

# So written, PostgreSQL plans it once whatever the number of ids.
_IDS = "ANY(ARRAY(SELECT unnest(%s::text[])))"
_POSTGRESQL = f"""
SELECT (SELECT json_agg(json_build_array(external_id, id, fingerprint, warehouse_id))
          FROM sale WHERE external_id = {_IDS}),
       ARRAY(SELECT external_id FROM sale_exception WHERE external_id = {_IDS}),
       ARRAY(SELECT origin_external_id FROM sale_exception WHERE status = 'waiting' AND origin_external_id = {_IDS}),
       {keys_sql("sale")}, {keys_sql("sale_line")},
       set_config('lock_timeout', COALESCE(%s, current_setting('lock_timeout')), true)
"""
_COLUMNS = 6
_LOCK_NOT_AVAILABLE = "55P03"
#: In ``Session.info``: how long a transaction waits for a lock.
_PATIENCE = "sales_patience"
_KNOWN_SQLITE = """
SELECT external_id, id, fingerprint, warehouse_id FROM sale WHERE external_id IN ({places})
UNION ALL SELECT external_id, 0, NULL, 0 FROM sale_exception WHERE external_id IN ({places})
UNION ALL SELECT origin_external_id, -1, NULL, 0 FROM sale_exception
 WHERE status = 'waiting' AND origin_external_id IN ({places})
"""


class Reading(NamedTuple):
    """What was found.

    ``known`` has the key, fingerprint and warehouse of sales by external id. ``refused`` are external ids that ever
    were, ``awaited`` those that returns wait for. ``sale_ids`` and ``line_ids`` are new keys, ``goods`` those of a
    single sale.
    """

    known: Mapping[str, tuple[int, str | None, int]]
    refused: Set[str | None]
    awaited: Set[str | None]
    sale_ids: Sequence[int]
    line_ids: Sequence[int]
    goods: Items


def read(run: Run, commands: Sequence[SaleCommand]) -> Reading:
    """Read what is known of the commands and take keys for them, all in one statement on PostgreSQL.

    The goods are read with it for a single sale, if it says from where; those of a batch only once it is known
    which of it is new. It also says how long the transaction waits for a lock, where :func:`giving_way` has left word.
    """
    ids = [command.external_id for command in commands if command.external_id]
    connection = run.session.connection()
    lines = sum(map(line_count, commands))
    if connection.dialect.name != "postgresql":
        return _read_sqlite(connection, ids, len(commands), lines)
    goods = Items({})
    patience = run.session.info.get(_PATIENCE)
    statement = Statement(_POSTGRESQL, (ids, ids, ids, len(commands), lines, patience))
    asked = item_keys(commands[0]) if len(commands) == 1 else ()
    if asked:
        goods, row = load_items_with(run.session, asked, statement, _COLUMNS)
    else:
        row = fetch(connection, *statement)[0]
    return _reading(row, goods)


@contextmanager
def giving_way(session: Session) -> Iterator[None]:
    """Let a sale, on its first attempt, wait for stock less than the second after which PostgreSQL finds a deadlock.

    It is written before its stock is locked. A batch that has that stock may come to the same ``external_id``, and
    would be undone. The second attempt locks the stock first, and holds nothing while it waits.

    Raises:
        RetryTransaction: It has waited too long.
    """
    if session.info.get("attempt") != 0:
        yield
        return
    session.info[_PATIENCE] = "400ms"
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise RetryTransaction from error
        raise


def item_keys(command: SaleCommand) -> list[tuple[int, int, int | None]]:
    """Return the keys of the items that a sale wants; none while it says no warehouse."""
    if command.warehouse is None:
        return []
    place = command.warehouse
    return [(place, item.product_id, item.variant_id) for item in command.items if item.product_id is not None]


def line_count(command: SaleCommand) -> int:
    """Return how many lines the document has, of what is sold and of what comes back."""
    return len(command.items) + (len(command.returns.lines) if command.returns else 0)


def _reading(row: Any, goods: Items) -> Reading:
    known, refused, awaited, sale_ids, line_ids, _ = row
    by_id = {each[0]: (each[1], each[2], each[3]) for each in known or ()}
    return Reading(by_id, frozenset(refused), frozenset(awaited), sale_ids, line_ids, goods)


def _read_sqlite(connection: Connection, ids: Sequence[str], sales: int, lines: int) -> Reading:
    rows = fetch(connection, _KNOWN_SQLITE.format(places=",".join("?" * len(ids))), [*ids, *ids, *ids]) if ids else []
    keys = next_keys(connection, {"sale": sales, "sale_line": lines})
    return Reading(
        {row[0]: (row[1], row[2], row[3]) for row in rows if row[1] > 0},
        frozenset(row[0] for row in rows if row[1] == 0),
        frozenset(row[0] for row in rows if row[1] < 0),
        keys["sale"],
        keys["sale_line"],
        Items({}),
    )
