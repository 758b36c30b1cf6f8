"""What is read before sales are recognised: what is known of their ids, keys for them, and mostly their goods too."""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tillhook.db import GaveWay, Statement, fetch, keys_sql, next_keys
from tillhook.encoding import to_json
from tillhook.ledger import Items, load_items_with
from tillhook.reference import EPOCH_SQL
from tillhook.runtime import confirm_epoch, runtime_of
from tillhook.sales.commands import SaleCommand
from tillhook.sales.posting.entries import Run

# So written, PostgreSQL plans it once whatever the number of ids.
_IDS = "ANY(ARRAY(SELECT json_array_elements_text(%(ids)s::json)))"
_POSTGRESQL = f"""
SELECT (SELECT json_agg(json_build_array(external_id, id, fingerprint, warehouse_id))
          FROM sale WHERE external_id = {_IDS}),
       ARRAY(SELECT external_id FROM sale_exception WHERE external_id = {_IDS}),
       ARRAY(SELECT origin_external_id FROM sale_exception WHERE status = 'waiting' AND origin_external_id = {_IDS}),
       {keys_sql("sale")}, {keys_sql("sale_line")}, {EPOCH_SQL},
       set_config('statement_timeout', COALESCE(%(patience)s, current_setting('statement_timeout')), true)
"""
_COLUMNS = 7
_QUERY_CANCELED = "57014"
#: In ``Session.info``: how long a statement of the transaction may take.
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
    which of it is new. The statement reads the epoch too, and says how long the next ones may take, where
    :func:`giving_way` has left word.
    """
    ids = [command.external_id for command in commands if command.external_id]
    connection = run.session.connection()
    lines = sum(map(line_count, commands))
    if connection.dialect.name != "postgresql":
        runtime_of(run.session).confirm(run.session)
        return _read_sqlite(connection, ids, len(commands), lines)
    goods = Items({})
    statement = Statement(
        _POSTGRESQL,
        {
            "ids": to_json(ids).decode(),
            "new_sale": str(len(commands)),
            "new_sale_line": str(lines),
            "patience": run.session.info.get(_PATIENCE),
        },
    )
    asked = item_keys(commands[0]) if len(commands) == 1 else ()
    if asked:
        goods, row = load_items_with(run.session, asked, statement, _COLUMNS)
    else:
        row = fetch(connection, *statement)[0]
    known, refused, awaited, sale_ids, line_ids, epoch, _ = row
    confirm_epoch(run.session, epoch)
    by_id = {each[0]: (each[1], each[2], each[3]) for each in known or ()}
    return Reading(by_id, frozenset(refused), frozenset(awaited), sale_ids, line_ids, goods)


@contextmanager
def giving_way(session: Session) -> Iterator[None]:
    """Let a sale, on its first attempt, wait for stock less than the second after which PostgreSQL finds a deadlock.

    It is written before its stock is locked. A batch that has that stock may come to the same ``external_id``, and
    would be undone. The second attempt locks the stock first, and holds nothing while it waits.

    The limit is for a statement and not for a lock: in a row's queue it waits for several, each with a time of its own.

    Raises:
        GaveWay: It has waited too long.
    """
    if session.info.get("attempt") != 0:
        yield
        return
    session.info[_PATIENCE] = "700ms"
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == _QUERY_CANCELED:
            raise GaveWay from error
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
