"""Changing levels, in one statement with the rows that come before and the events that come after.

The figure in an event is what its level became, so it is filled in where the level is changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.db import WriteBatch, fetch, format_instant, insert_rows, utc_now
from tillhook.errors import ValidationFailed
from tillhook.events import NewEvent, event_rows
from tillhook.ledger.posting.values import LevelAfter, LevelKey
from tillhook.quantities import json_number

Changes = Mapping[LevelKey, int]

# ORDER BY makes the row locks come in key order; the upsert takes each lock as it changes the row. The events come when
# all levels are locked, so that their keys are in the order in which the transactions of a level commit.
_CHANGE = """
levels AS (
  INSERT INTO stock_level AS l (variant_id, location_id, lot_id, on_hand, reserved, updated_at)
  SELECT d.v, d.p, d.t, d.q, 0, now()
  FROM json_to_recordset(%s::json) AS d(v bigint, p bigint, t bigint, q bigint), inserted
  WHERE inserted.done >= {after} ORDER BY d.v, d.p, d.t
  ON CONFLICT (variant_id, location_id, lot_id)
  DO UPDATE SET on_hand = l.on_hand + excluded.on_hand, updated_at = excluded.updated_at
  RETURNING variant_id, location_id, lot_id, on_hand, reserved),
told AS (
  INSERT INTO outbox (name, payload, warehouse_id, occurred_at)
  SELECT e.name, CASE WHEN e.v IS NULL THEN e.payload ELSE jsonb_set(e.payload, '{{product,inventory}}',
    to_jsonb(trim_scale(({available})::numeric / 10000))) END, e.warehouse_id, e.occurred_at
  FROM json_to_recordset(%s::json)
    AS e(n int, name text, payload jsonb, warehouse_id bigint, occurred_at timestamptz, v bigint)
  LEFT JOIN levels l ON l.variant_id = e.v AND l.location_id = e.warehouse_id
  ORDER BY e.n)
SELECT variant_id, location_id, lot_id, on_hand, reserved FROM levels
"""
_HERE = "l.on_hand - l.reserved"
_ALONE = _CHANGE.format(after="0", available=_HERE)
# What is elsewhere is added up under locks, or the last event might be wrong; a locking read sees the newest rows.
_LOCKED = """
locked AS (
  SELECT x.variant_id, x.location_id, x.on_hand - x.reserved AS available FROM stock_level x
  WHERE x.variant_id = ANY(ARRAY(SELECT json_array_elements_text(%s::json)::bigint))
  ORDER BY x.variant_id, x.location_id, x.lot_id FOR NO KEY UPDATE),
"""
_EVERYWHERE = f"""{_HERE} + COALESCE((SELECT SUM(k.available) FROM locked k
  WHERE k.variant_id = l.variant_id AND k.location_id <> l.location_id), 0)"""
_AMONG_OTHERS = _LOCKED + _CHANGE.format(after="0 * (SELECT count(*) FROM locked)", available=_EVERYWHERE)

_LEVEL_SQLITE = """
INSERT INTO stock_level (variant_id, location_id, lot_id, on_hand, reserved, updated_at) VALUES (?, ?, ?, ?, 0, ?)
ON CONFLICT (variant_id, location_id, lot_id)
DO UPDATE SET on_hand = on_hand + excluded.on_hand, updated_at = excluded.updated_at
RETURNING on_hand, reserved
"""
_AVAILABLE_SQLITE = "SELECT SUM(on_hand - reserved) FROM stock_level WHERE variant_id = ?"


class Told(NamedTuple):
    """An event; with a ``level``, what is available of its variant then goes to ``product.inventory`` of its payload.

    ``is_elsewhere``: the variant has levels at other warehouses, which count too.
    """

    event: NewEvent
    level: LevelKey | None = None
    is_elsewhere: bool = False


def change_levels(
    session: Session, batch: WriteBatch, changes: Changes, told: Sequence[Told]
) -> dict[LevelKey, LevelAfter]:
    """Run the batch, change the levels and record the events; return every level that changed, as it is now.

    Args:
        changes: Units of 1/10,000 to add to what is on hand.

    Raises:
        ValidationFailed: 422 ``stock-out-of-range``: a level would have more digits than its column.
    """
    rows = event_rows(session, (each.event for each in told))
    connection = session.connection()
    with _counted():
        if connection.dialect.name == "sqlite":
            return _on_sqlite(connection, batch, changes, told, rows)
        return _on_postgresql(batch, changes, told, rows)


def _on_postgresql(
    batch: WriteBatch, changes: Changes, told: Sequence[Told], rows: list[dict[str, Any]]
) -> dict[LevelKey, LevelAfter]:
    if not changes:
        batch.insert("outbox", rows)
        batch.run()
        return {}
    for number, (each, row) in enumerate(zip(told, rows, strict=True)):
        row["n"] = number
        row["v"] = each.level and each.level.variant_id
    parameters: list[Any] = [[{"v": key[0], "p": key[1], "t": key[2], "q": changes[key]} for key in changes], rows]
    if any(each.is_elsewhere for each in told):
        # The levels of all variants, so that every lock is taken in the one order.
        found = batch.run(_AMONG_OTHERS, [sorted({key.variant_id for key in changes}), *parameters])
    else:
        found = batch.run(_ALONE, parameters)
    after = {}
    for variant_id, location_id, lot_id, on_hand, reserved in found:
        key = LevelKey(variant_id, location_id, lot_id)
        after[key] = LevelAfter(on_hand, reserved, changes[key])
    return after


def _on_sqlite(
    connection: Connection, batch: WriteBatch, changes: Changes, told: Sequence[Told], rows: list[dict[str, Any]]
) -> dict[LevelKey, LevelAfter]:
    batch.run()
    now = format_instant(utc_now())
    after = {}
    for key in sorted(changes):
        on_hand, reserved = fetch(connection, _LEVEL_SQLITE, (*key, changes[key], now))[0]
        after[key] = LevelAfter(on_hand, reserved, changes[key])
    for each, row in zip(told, rows, strict=True):
        if each.level is not None:
            units = after[each.level].on_hand - after[each.level].reserved
            if each.is_elsewhere:
                units = fetch(connection, _AVAILABLE_SQLITE, (each.level.variant_id,))[0][0]
            row["payload"]["product"]["inventory"] = json_number(units)
    insert_rows(connection, "outbox", rows)
    return after


@contextmanager
def _counted() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if "ck_stock_level_on_hand_exact" in str(error.orig):
            raise ValidationFailed("More stock than can be counted.", code="stock-out-of-range") from error
        raise
