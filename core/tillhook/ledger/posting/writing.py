"""Posting movements: the one way by which a stock level changes.

Movements and levels change in one transaction, by set-based statements over the sum per level, levels in key
order. The statement that changes a level also says what it became; a level that fell below what its plan
relied on undoes the transaction, which is then run again with locks.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.db import RetryTransaction, WriteBatch, fetch, format_instant, utc_now
from tillhook.errors import ValidationFailed
from tillhook.ledger.posting.effects import stock_changed
from tillhook.ledger.posting.items import Item
from tillhook.ledger.posting.values import Alongside, Events, Issued, LevelAfter, LevelKey, Movement
from tillhook.quantities import to_units
from tillhook.runtime import runtime_of

# ORDER BY makes the row locks come in key order; the upsert takes each lock as it changes the row.
_LEVELS = """
INSERT INTO stock_level AS l (variant_id, location_id, lot_id, on_hand, reserved, updated_at)
SELECT d.v, d.p, d.t, d.q, 0, now()
FROM json_to_recordset(%s::json) AS d(v bigint, p bigint, t bigint, q bigint), inserted
WHERE inserted.done >= 0 ORDER BY d.v, d.p, d.t
ON CONFLICT (variant_id, location_id, lot_id)
DO UPDATE SET on_hand = l.on_hand + excluded.on_hand, updated_at = excluded.updated_at
RETURNING variant_id, location_id, lot_id, on_hand, reserved
"""
_LEVEL_SQLITE = """
INSERT INTO stock_level (variant_id, location_id, lot_id, on_hand, reserved, updated_at) VALUES (?, ?, ?, ?, 0, ?)
ON CONFLICT (variant_id, location_id, lot_id)
DO UPDATE SET on_hand = on_hand + excluded.on_hand, updated_at = excluded.updated_at
RETURNING on_hand, reserved
"""


def post(
    session: Session,
    *issued: Issued,
    at_least: Mapping[LevelKey, int] | None = None,
    items: Iterable[Item] = (),
    alongside: Alongside | None = None,
    events: Events | None = None,
) -> None:
    """Write planned movements with the rows that go alongside, and tell whoever wants to know."""
    batch = WriteBatch(session.connection())
    if alongside is not None:
        for table, rows in alongside(issued).items():
            batch.insert(table, rows)
    movements = [movement for each in issued for movement in each.movements]
    levels = write_movements(session, movements, at_least=at_least, batch=batch)
    stock_changed(session, movements, levels, items, events() if events else ())


def write_movements(
    session: Session,
    movements: Sequence[Movement],
    *,
    at_least: Mapping[LevelKey, int] | None = None,
    batch: WriteBatch | None = None,
) -> dict[LevelKey, LevelAfter]:
    """Write movements and levels, and what else is in ``batch``, in one round trip on PostgreSQL.

    ``stock_changed`` follows, which opens alerts and records events.

    Args:
        at_least: Units of 1/10,000 that must have been available at a level before this posting.
        batch: Inserts that come first, such as the document's own rows.

    Returns:
        Every level that changed, as it is now.

    Raises:
        RetryTransaction: Another transaction took what ``at_least`` relied on.
        ValidationFailed: 422 ``stock-out-of-range``: a level would have more digits than its column.
        DomainError: A hook vetoed the movements.
    """
    hooks = runtime_of(session).hooks
    if movements and hooks.implemented("validate_movements"):
        hooks.hook.validate_movements(session=session, movements=tuple(movements))
    connection = session.connection()
    if batch is None:
        batch = WriteBatch(connection)
    recorded_at = format_instant(utc_now())
    batch.insert("stock_movement", [_row(movement, recorded_at) for movement in movements])
    changes = _changes(movements)
    try:
        if connection.dialect.name == "postgresql":
            after = _change_levels_postgresql(batch, changes)
        else:
            batch.run()
            after = {}
            for key in sorted(changes):
                row = fetch(connection, _LEVEL_SQLITE, (*key, changes[key], recorded_at))[0]
                after[key] = LevelAfter(row[0], row[1], changes[key])
    except IntegrityError as error:
        if "ck_stock_level_on_hand_exact" in str(error.orig):
            raise ValidationFailed("More stock than can be counted.", code="stock-out-of-range") from error
        raise
    for key, units in (at_least or {}).items():
        level = after[key]
        if level.on_hand - level.change - level.reserved < units:
            raise RetryTransaction
    return after


def _changes(movements: Sequence[Movement]) -> dict[LevelKey, int]:
    """Return the change of on hand per physical level; virtual locations keep none."""
    changes: dict[LevelKey, int] = {}
    for movement in movements:
        units = to_units(movement.quantity)
        if movement.source_id > 0:
            key = LevelKey(movement.variant_id, movement.source_id, movement.lot_id)
            changes[key] = changes.get(key, 0) - units
        if movement.destination_id > 0:
            key = LevelKey(movement.variant_id, movement.destination_id, movement.lot_id)
            changes[key] = changes.get(key, 0) + units
    return changes


def _change_levels_postgresql(batch: WriteBatch, changes: dict[LevelKey, int]) -> dict[LevelKey, LevelAfter]:
    if not changes:
        batch.run()
        return {}
    parameter = [{"v": key[0], "p": key[1], "t": key[2], "q": units} for key, units in changes.items()]
    after = {}
    for variant_id, location_id, lot_id, on_hand, reserved in batch.run(_LEVELS, parameter):
        key = LevelKey(variant_id, location_id, lot_id)
        after[key] = LevelAfter(on_hand, reserved, changes[key])
    return after


def _row(movement: Movement, recorded_at: str) -> dict[str, Any]:
    cost = movement.unit_cost
    return {
        "product_id": movement.product_id,
        "variant_id": movement.variant_id,
        "lot_id": movement.lot_id,
        "quantity": to_units(movement.quantity),
        "source_id": movement.source_id,
        "destination_id": movement.destination_id,
        "unit_cost": None if cost is None else to_units(cost),
        "occurred_at": format_instant(movement.occurred_at),
        "recorded_at": recorded_at,
        "channel": movement.channel,
        "document_type": movement.document_type,
        "document_id": movement.document_id,
        "document_line": movement.document_line,
        "effect": movement.effect,
        "reverses_id": movement.reverses_id,
    }
