"""Counts: what was expected, what was counted, and the difference, which is posted.

Expected is what is on hand or, of a count that says when it was made, was then by what is on record now; so what has
moved since is not counted twice. Levels are locked first. As every stock document, a count begins with its number.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import insert
from sqlalchemy.orm import Session

from tillhook.errors import Conflict, ValidationFailed
from tillhook.ledger.documents import (
    StockCommand,
    check_precision,
    check_warehouse,
    checked_item,
    items_of,
    open_document,
)
from tillhook.ledger.inventory import moved_since
from tillhook.ledger.models import NO_LOT, StockCountLine, StockDocument
from tillhook.ledger.posting.items import Item, Items
from tillhook.ledger.posting.locks import lock_levels
from tillhook.ledger.posting.lots import lot_of_inbound
from tillhook.ledger.posting.stock import Difference, count
from tillhook.ledger.posting.values import CountLine, Document, LevelKey
from tillhook.quantities import ZERO, from_units


def post_count(session: Session, command: StockCommand) -> StockDocument:
    """Make on hand what was counted, by variant and lot; lines without a difference are on the document too.

    Args:
        command: Its lines are :class:`CountLine`. One of a lot-tracked product names its lot, which is made when it is
            new. Without a lot, 0 settles what is on record of none, because it was sold short.

    Raises:
        Conflict: 409 ``inventory-changed``: on hand is not what a line expects.
        ValidationFailed: 422, naming the field of the line: a product and lot named twice, and as for a receipt.
        PermissionDenied: 403: not a warehouse of the actor.
    """
    return _count(session, command, "lines.{}.expected")


def set_inventory(
    session: Session,
    product_id: int,
    quantity: Decimal,
    warehouse_id: int,
    expected: Decimal | None = None,
    variant_id: int | None = None,
) -> StockDocument:
    """Make on hand what was counted of one product that is not tracked by lot; it is a count of one line.

    Args:
        quantity: Counted on hand, not negative.
        expected: Refuse when on hand is no longer this.

    Raises:
        Conflict: 409 ``inventory-changed``: on hand is not ``expected``.
        ValidationFailed: 422: untracked, tracked by lot, or sold by variant without naming one.
    """
    check_warehouse(session, warehouse_id, "warehouse")
    line = CountLine(product_id=product_id, variant_id=variant_id, quantity=quantity, expected=expected)
    items = items_of(session, warehouse_id, (line,))
    item = checked_item(session, items, warehouse_id, line, "inventory", "variant_id")
    if item.tracking == "lot":
        raise ValidationFailed.at("inventory", "Tracked by lot: count the lots.", code="tracked-by-lot")
    check_precision(session, item, quantity, "inventory")
    return _count(session, StockCommand(warehouse=warehouse_id, lines=(line,), reason="Inventory set"), "expected")


def _count(session: Session, command: StockCommand, expected_field: str) -> StockDocument:
    document, items = open_document(session, "count", command)
    counted = _counted(session, command, items)
    on_hand = _on_hand(session, [key for _, _, key in counted], command.occurred_at)
    _refuse_changed(counted, on_hand, expected_field)
    for number, (_, item, key) in enumerate(counted):
        if item.tracking == "lot" and key.lot_id == NO_LOT and not on_hand[key]:
            # Nothing is on record without a lot: refused as goods that come in without one are.
            lot_of_inbound(session, item.variant_id, item.tracking, None, None, f"lines.{number}")
    _write_lines(session, document, counted, on_hand)
    differences = [
        Difference(number, item, key.lot_id, line.quantity - on_hand[key], line.unit_cost)
        for number, (line, item, key) in enumerate(counted)
        if line.quantity != on_hand[key]
    ]
    name = Document("count", document.id)
    count(session, name, command.warehouse, differences, occurred_at=document.occurred_at)
    return document


#: A line with its item and level.
_Counted = tuple[CountLine, Item, LevelKey]


def _counted(session: Session, command: StockCommand, items: Items) -> list[_Counted]:
    """Return the lines with their levels, each another one; lots are made when they are new."""
    counted: list[_Counted] = []
    first: dict[LevelKey, int] = {}
    for number, line in enumerate(command.lines):
        assert isinstance(line, CountLine)
        item = items.find(command.warehouse, line.product_id, line.variant_id)
        assert item is not None
        key = LevelKey(item.variant_id, command.warehouse, _lot_of(session, number, line, item))
        if key in first:
            field = "product_id" if key.lot_id == NO_LOT else "batch_number"
            message = f"Counted in line {first[key]} already."
            raise ValidationFailed.at(f"lines.{number}.{field}", message, code="counted-twice")
        first[key] = number
        counted.append((line, item, key))
    return counted


def _lot_of(session: Session, number: int, line: CountLine, item: Item) -> int:
    if item.tracking == "lot" and line.batch_number is None and line.expiry_date is None and not line.quantity:
        return NO_LOT
    field = f"lines.{number}"
    return lot_of_inbound(session, item.variant_id, item.tracking, line.batch_number, line.expiry_date, field)


def _on_hand(session: Session, keys: Sequence[LevelKey], moment: datetime | None) -> dict[LevelKey, Decimal]:
    """Lock the levels; return what is on hand, or was at a moment."""
    levels = lock_levels(session, keys)
    variants = sorted({key.variant_id for key in keys})
    moved = {} if moment is None else moved_since(session, variants, moment)
    return {key: from_units(levels[key].on_hand) - moved.get(key, ZERO) for key in keys}


def _refuse_changed(counted: Sequence[_Counted], on_hand: dict[LevelKey, Decimal], field: str) -> None:
    changed = [
        (field.format(number), f"{on_hand[key].normalize():f}")
        for number, (line, _, key) in enumerate(counted)
        if line.expected is not None and line.expected != on_hand[key]
    ]
    if changed:
        raise Conflict(
            f"On hand is {changed[0][1]} by now.",
            code="inventory-changed",
            on_hand=changed[0][1],
            errors=[{"field": name, "message": f"On hand is {shown} by now."} for name, shown in changed],
        )


def _write_lines(
    session: Session, document: StockDocument, counted: Sequence[_Counted], on_hand: dict[LevelKey, Decimal]
) -> None:
    rows = [
        {
            "document_id": document.id,
            "line_number": number,
            "product_id": item.product_id,
            "variant_id": item.variant_id,
            "lot_id": key.lot_id,
            "expected": on_hand[key],
            "counted": line.quantity,
        }
        for number, (line, item, key) in enumerate(counted)
    ]
    session.execute(insert(StockCountLine), rows)
