"""Posting movements: the one way by which a stock level changes.

Movements and levels change in one transaction, by set-based statements over the sum per level, levels in key
order. The statement that changes a level also says what it became; a level that fell below what its plan
relied on undoes the transaction, which is then run again with locks.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from tillhook.db import RetryTransaction, WriteBatch, format_instant, utc_now
from tillhook.ledger.posting.effects import follow, inventory_event
from tillhook.ledger.posting.items import Item
from tillhook.ledger.posting.levels import Told, change_levels
from tillhook.ledger.posting.locks import lock_levels
from tillhook.ledger.posting.values import Alongside, Events, Issued, LevelKey, Movement
from tillhook.quantities import to_units
from tillhook.runtime import runtime_of


def post(
    session: Session,
    *issued: Issued,
    at_least: Mapping[LevelKey, int] | None = None,
    items: Iterable[Item] = (),
    alongside: Alongside | None = None,
    events: Events | None = None,
) -> None:
    """Write planned movements, levels, the rows that go alongside and the events; in one round trip on PostgreSQL.

    Args:
        at_least: Units of 1/10,000 that must have been available at a level before this posting.
        items: Items as they were read before, which saves reading them again.

    Raises:
        RetryTransaction: Another transaction took what ``at_least`` relied on.
        ValidationFailed: 422 ``stock-out-of-range``: a level would have more digits than its column.
        DomainError: A hook vetoed the movements.
    """
    batch = WriteBatch(session.connection())
    if alongside is not None:
        for table, rows in alongside(issued).items():
            batch.insert(table, rows)
    movements = [movement for each in issued for movement in each.movements]
    _ask_hooks(session, movements)
    changes = _changes(movements)
    alone = _alone(changes, items)
    if changes.keys() - alone.keys():
        # Totals of the others are several rows, which are added up afterwards. All at once, for the one order of keys.
        lock_levels(session, changes)
    batch.insert("stock_movement", _rows(movements))
    told = [Told(event) for event in (events() if events else ())]
    told += [Told(inventory_event(session, item), key, item.is_elsewhere) for key, item in alone.items()]
    after = change_levels(session, batch, changes, told)
    for key, units in (at_least or {}).items():
        level = after[key]
        if level.on_hand - level.change - level.reserved < units:
            raise RetryTransaction
    follow(session, movements, after, alone)


def _ask_hooks(session: Session, movements: Sequence[Movement]) -> None:
    hooks = runtime_of(session).hooks
    if movements and hooks.implemented("validate_movements"):
        hooks.hook.validate_movements(session=session, movements=tuple(movements))


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


def _alone(changes: Mapping[LevelKey, int], items: Iterable[Item]) -> dict[LevelKey, Item]:
    """Return the items of products that have one level at a warehouse, and change at no other one."""
    found = {LevelKey(item.variant_id, item.warehouse_id, 0): item for item in items if item.is_single_level}
    if len({key.location_id for key in changes}) > 1:
        return {}
    return {key: found[key] for key in changes if key in found}


def _rows(movements: Sequence[Movement]) -> list[dict[str, Any]]:
    recorded_at = format_instant(utc_now())
    return [
        {
            "product_id": movement.product_id,
            "variant_id": movement.variant_id,
            "lot_id": movement.lot_id,
            "quantity": to_units(movement.quantity),
            "source_id": movement.source_id,
            "destination_id": movement.destination_id,
            "unit_cost": None if movement.unit_cost is None else to_units(movement.unit_cost),
            "occurred_at": format_instant(movement.occurred_at),
            "recorded_at": recorded_at,
            "channel": movement.channel,
            "document_type": movement.document_type,
            "document_id": movement.document_id,
            "document_line": movement.document_line,
            "effect": movement.effect,
            "reverses_id": movement.reverses_id,
        }
        for movement in movements
    ]
