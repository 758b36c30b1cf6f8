"""First stage: which sales are new, and the keys that those get."""

import itertools
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tillhook.db import RetryTransaction, begin_writing, fetch
from tillhook.errors import Conflict
from tillhook.sales.commands import SaleCommand, fingerprint, same_warehouse
from tillhook.sales.exceptions import Discarded, decisions, store_refused
from tillhook.sales.outcomes import Outcome
from tillhook.sales.posting.entries import Entry, Run

_KEYS = """
SELECT (SELECT json_agg(json_build_array(external_id, id, fingerprint, warehouse_id))
          FROM sale WHERE external_id = ANY(%s)),
       ARRAY(SELECT nextval('sale_id_seq') FROM generate_series(1, %s)),
       ARRAY(SELECT nextval('sale_line_id_seq') FROM generate_series(1, %s)),
       ARRAY(SELECT external_id FROM sale_exception WHERE external_id = ANY(%s)),
       ARRAY(SELECT origin_external_id FROM sale_exception
              WHERE status = 'waiting' AND origin_external_id = ANY(%s)),
       set_config('lock_timeout', COALESCE(%s, current_setting('lock_timeout')), true)
"""
_KNOWN_SQLITE = """
SELECT external_id, id, fingerprint, warehouse_id FROM sale WHERE external_id IN ({places})
UNION ALL SELECT external_id, 0, NULL, 0 FROM sale_exception WHERE external_id IN ({places})
UNION ALL SELECT origin_external_id, -1, NULL, 0 FROM sale_exception
 WHERE status = 'waiting' AND origin_external_id IN ({places})
"""
_LOCK_NOT_AVAILABLE = "55P03"
_LAST_KEYS = "SELECT (SELECT COALESCE(MAX(id), 0) FROM sale), (SELECT COALESCE(MAX(id), 0) FROM sale_line)"
#: In ``Session.info``: how long a transaction waits for a lock.
_PATIENCE = "sales_patience"


class _Keys(NamedTuple):
    """Sales that are known, by external id: key, fingerprint and warehouse; keys for new sales and lines; the external
    ids that were ever refused, and those that returns wait for.
    """

    known: Mapping[str, tuple[int, str | None, int]]
    sale_ids: Sequence[int]
    line_ids: Sequence[int]
    refused: Set[str | None]
    awaited: Set[str | None]


def recognise(run: Run, commands: Sequence[SaleCommand]) -> list[Entry]:
    """Return an entry per sale: those whose ``external_id`` is known are set aside, the rest have keys."""
    ids = [command.external_id for command in commands if command.external_id]
    lines = sum(map(_lines, commands))
    keys = _keys(run.session, ids, len(commands), lines)
    sale_ids, line_ids = iter(keys.sale_ids), iter(keys.line_ids)
    entries = [
        Entry(
            position=position,
            sent=command,
            command=command,
            fingerprint=_fingerprint(run, command) if command.external_id else None,
            was_refused=command.external_id in keys.refused and command.sent_as is None,
            is_awaited=command.external_id in keys.awaited,
        )
        for position, command in enumerate(commands)
    ]
    refused = {entry.position: entry.sent for entry in entries if entry.was_refused}
    decided = decisions(run.session, refused)
    first: dict[str, Entry] = {}
    for entry in entries:
        _compare(run, entry, keys, decided.get(entry.position), first)
        if entry.is_open:
            entry.sale_id, entry.line_ids = next(sale_ids), tuple(itertools.islice(line_ids, _lines(entry.sent)))
    return entries


@contextmanager
def giving_way(session: Session) -> Iterator[None]:
    """Let a sale, on its first attempt, wait for stock less than PostgreSQL takes to find a deadlock, a second.

    It is written before its stock is locked. A batch that has that stock may come to the same ``external_id``, and
    would be undone. The second attempt locks the stock first, and holds nothing while it waits.

    Raises:
        RetryTransaction: It has waited too long.
    """
    if session.info.get("attempt") != 0:
        yield
        return
    session.info[_PATIENCE] = "800ms"
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise RetryTransaction from error
        raise


def _compare(run: Run, entry: Entry, keys: _Keys, decision: int | Discarded | None, first: dict[str, Entry]) -> None:
    """Set the entry aside when the sale is known, was decided about, or is in the batch already."""
    external_id, warehouse_id = entry.sent.external_id, entry.sent.warehouse
    if external_id is None:
        return
    known = keys.known.get(external_id)
    if known is not None and known[1] == entry.fingerprint and same_warehouse(warehouse_id, known[2]):
        entry.duplicate_of = known[0]
    elif isinstance(decision, Discarded):
        entry.outcome = Outcome("rejected", error=decision)
    elif decision is not None:
        entry.duplicate_of = decision
    elif known is not None:
        _refuse_reuse(run, entry)
    else:
        earlier = first.setdefault(external_id, entry)
        if earlier is entry:
            return
        if earlier.fingerprint == entry.fingerprint and same_warehouse(warehouse_id, earlier.sent.warehouse):
            entry.repeats = earlier.position
        else:
            _refuse_reuse(run, entry)


def _refuse_reuse(run: Run, entry: Entry) -> None:
    error = Conflict(
        "This external_id was used for another sale; the new one waits for a person to look at it.",
        code="external-id-reused",
        errors=[{"field": "external_id", "message": "Used for other content before."}],
    )
    store_refused(run.session, [(entry.sent, error)])
    entry.outcome = Outcome("rejected", error=error)


def _fingerprint(run: Run, command: SaleCommand) -> str:
    return command.sent_as[0] if command.sent_as else fingerprint(command, run.actor.user_id)


def _lines(command: SaleCommand) -> int:
    return len(command.items) + (len(command.returns.lines) if command.returns else 0)


def _keys(session: Session, ids: list[str], sales: int, lines: int) -> _Keys:
    """Read what is known of the ids, and take keys, in one statement; two on SQLite.

    It also says how long the transaction waits for a lock, where :func:`giving_way` has left word.
    """
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        parameters = (ids, sales, lines, ids, ids, session.info.get(_PATIENCE))
        known, sale_ids, line_ids, refused, awaited, _ = fetch(connection, _KEYS, parameters)[0]
        by_id = {row[0]: (row[1], row[2], row[3]) for row in known or ()}
        return _Keys(by_id, sale_ids, line_ids, frozenset(refused), frozenset(awaited))
    begin_writing(connection)
    rows = fetch(connection, _KNOWN_SQLITE.format(places=",".join("?" * len(ids))), ids * 3)
    # The writer's lock is held: nobody else takes these keys.
    last_sale, last_line = fetch(connection, _LAST_KEYS)[0]
    return _Keys(
        {row[0]: (row[1], row[2], row[3]) for row in rows if row[1] > 0},
        range(last_sale + 1, last_sale + 1 + sales),
        range(last_line + 1, last_line + 1 + lines),
        frozenset(row[0] for row in rows if row[1] == 0),
        frozenset(row[0] for row in rows if row[1] < 0),
    )
