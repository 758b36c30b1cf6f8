"""Stock that moves without a sale: receipts, adjustments, transfers, a count that is set."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from tillhook.access import require_warehouse
from tillhook.db import utc_now
from tillhook.errors import Conflict, ValidationFailed
from tillhook.ledger.alerts import stock_changed
from tillhook.ledger.items import Item, load_items
from tillhook.ledger.levels import ensure_lot, lock_levels
from tillhook.ledger.models import ADJUSTMENT, NO_LOT, VENDOR, StockDocument
from tillhook.ledger.movements import LevelKey, StockMovement
from tillhook.ledger.planning import Issue, IssueLine, StockBook, plan_issue
from tillhook.ledger.posting import write_movements
from tillhook.numbering import format_number, next_number
from tillhook.products.models import Product
from tillhook.products.search import is_hidden
from tillhook.quantities import ZERO, from_units
from tillhook.runtime import actor_of, request_id_of, snapshot_of

_SERIES = {"receipt": "REC", "adjustment": "ADJ", "transfer": "TRF", "inventory": "CNT"}
_CLOCK_SKEW_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class StockLine:
    """A line of a stock document.

    ``quantity`` is in the product's stock unit: positive in receipts and transfers, signed in adjustments.
    ``unit_cost`` is money per stock unit.
    """

    product_id: int
    quantity: Decimal
    variant_id: int | None = None
    unit_cost: Decimal | None = None
    batch_number: str | None = None
    expiry_date: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StockCommand:
    """A receipt, adjustment or transfer to post; ``to_warehouse`` is for transfers only."""

    warehouse: int
    lines: tuple[StockLine, ...]
    to_warehouse: int | None = None
    occurred_at: datetime | None = None
    reason: str = ""


def receive(session: Session, command: StockCommand) -> StockDocument:
    """Take goods from a vendor into a warehouse; lines of lot-tracked products need a batch number.

    Raises:
        ValidationFailed: 422, naming the field of the line.
        PermissionDenied: 403: not a warehouse of the actor.
    """
    return _post(session, "receipt", command, _receipt_lines)


def adjust(session: Session, command: StockCommand) -> StockDocument:
    """Correct stock by signed quantities, each with the document's reason; below zero is refused.

    Raises:
        InsufficientStock: 409: a line takes away more than is available.
    """
    return _post(session, "adjustment", command, _adjustment_lines)


def transfer(session: Session, command: StockCommand) -> StockDocument:
    """Move goods from one warehouse to another, lots first expired first out.

    Raises:
        InsufficientStock: 409: a line wants more than is available.
    """
    assert command.to_warehouse is not None
    if command.to_warehouse == command.warehouse:
        raise ValidationFailed.at("to_warehouse", "The same as from_warehouse.")
    _check_warehouse(session, command.to_warehouse, "to_warehouse")
    return _post(session, "transfer", command, _transfer_lines)


def set_inventory(
    session: Session,
    product_id: int,
    quantity: Decimal,
    warehouse_id: int,
    expected: Decimal | None = None,
    variant_id: int | None = None,
) -> StockDocument | None:
    """Make on hand what was counted, by an adjustment of the difference; ``None`` when there is none.

    Args:
        quantity: Counted on hand, not negative.
        expected: Refuse when on hand is no longer this.

    Raises:
        Conflict: 409 ``inventory-changed``: on hand is not ``expected``.
        ValidationFailed: 422: untracked, tracked by lot, or sold by variant without naming one.
    """
    _check_warehouse(session, warehouse_id, "warehouse")
    item = _item(session, warehouse_id, product_id, variant_id, "inventory", "variant_id")
    if item.tracking == "lot":
        raise ValidationFailed.at("inventory", "Tracked by lot: adjust the lots.", code="tracked-by-lot")
    key = LevelKey(item.variant_id, warehouse_id, NO_LOT)
    level = lock_levels(session.connection(), [key])[key]
    on_hand = from_units(level.on_hand)
    # What was counted keeps to the unit; the difference need not, for a till may have sold half a piece.
    _check_precision(session, item, quantity, "inventory")
    if expected is not None and expected != on_hand:
        raise Conflict(
            f"On hand is {on_hand.normalize():f} by now.", code="inventory-changed", on_hand=f"{on_hand.normalize():f}"
        )
    if on_hand == quantity:
        return None
    line = StockLine(product_id=product_id, variant_id=variant_id, quantity=quantity - on_hand)
    command = StockCommand(warehouse=warehouse_id, lines=(line,), reason="Inventory set")
    # A count is a fact: it may go below what is reserved.
    return _post(session, "inventory", command, _count_lines)


def _post(session: Session, kind: str, command: StockCommand, make: Any) -> StockDocument:
    """Write the document and its movements in the actor's name."""
    session.flush()
    _check_warehouse(session, command.warehouse, "from_warehouse" if kind == "transfer" else "warehouse")
    now = utc_now()
    occurred_at = command.occurred_at or now
    if (occurred_at - now).total_seconds() > _CLOCK_SKEW_S:
        raise ValidationFailed.at("occurred_at", "In the future.")
    items = _items(session, command)
    if kind != "inventory":
        _check_lines(session, command, items)
    document = StockDocument(
        kind=kind,
        number=format_number(
            _SERIES[kind] + "{yy}{mm}{seq:05d}", next_number(session, f"stock_document.{kind}"), now.date()
        ),
        warehouse_id=command.warehouse,
        to_warehouse_id=command.to_warehouse,
        reason=command.reason,
        actor_id=actor_of(session).user_id,
        request_id=request_id_of(session),
        occurred_at=occurred_at,
        recorded_at=now,
    )
    session.add(document)
    session.flush()
    movements = make(session, document, command, items)
    levels = write_movements(session, movements)
    # A transfer changes two warehouses, and the items were read for one.
    stock_changed(session, movements, levels, items if command.to_warehouse is None else ())
    return document


def _receipt_lines(
    session: Session, document: StockDocument, command: StockCommand, items: Sequence[Item]
) -> list[StockMovement]:
    return [
        _movement(document, number, line, item, VENDOR, command.warehouse, _lot(session, number, line, item))
        for number, (line, item) in enumerate(zip(command.lines, items, strict=True))
    ]


def _adjustment_lines(
    session: Session, document: StockDocument, command: StockCommand, items: Sequence[Item]
) -> list[StockMovement]:
    movements = []
    for number, (line, item) in enumerate(zip(command.lines, items, strict=True)):
        if line.quantity > 0:
            lot_id = _lot(session, number, line, item)
            movements.append(_movement(document, number, line, item, ADJUSTMENT, command.warehouse, lot_id))
    out = [
        (number, replace(line, quantity=-line.quantity), item)
        for number, (line, item) in enumerate(zip(command.lines, items, strict=True))
        if line.quantity < 0
    ]
    return movements + _issue(session, document, out, ADJUSTMENT)


def _transfer_lines(
    session: Session, document: StockDocument, command: StockCommand, items: Sequence[Item]
) -> list[StockMovement]:
    assert command.to_warehouse is not None
    lines = [(number, line, item) for number, (line, item) in enumerate(zip(command.lines, items, strict=True))]
    return _issue(session, document, lines, command.to_warehouse)


def _count_lines(
    session: Session, document: StockDocument, command: StockCommand, items: Sequence[Item]
) -> list[StockMovement]:
    line, item = command.lines[0], items[0]
    if line.quantity > 0:
        return [_movement(document, 0, line, item, ADJUSTMENT, command.warehouse, NO_LOT)]
    positive = replace(line, quantity=-line.quantity)
    return [_movement(document, 0, positive, item, command.warehouse, ADJUSTMENT, NO_LOT)]


def _issue(
    session: Session,
    document: StockDocument,
    lines: Sequence[tuple[int, StockLine, Item]],
    destination_id: int,
) -> list[StockMovement]:
    """Return the movements that take goods out, refusing what is not available."""
    if not lines:
        return []
    warehouse_id = document.warehouse_id
    book = StockBook(session)
    book.add_lots([item.variant_id for _, _, item in lines if item.tracking == "lot"], warehouse_id)
    book.lock([(item, warehouse_id) for _, _, item in lines])
    issue = Issue(
        document_type=document.kind,
        document_id=document.id,
        warehouse_id=warehouse_id,
        occurred_at=document.occurred_at,
        destination_id=destination_id,
        # Expired goods may be moved and written off by anybody who may do so with the rest.
        may_sell_expired=True,
        picks_expired=True,
        today=document.occurred_at.date(),
        lines=[
            IssueLine(
                line=number,
                item=item,
                quantity=line.quantity,
                policy="block",
                batch_number=line.batch_number,
                expiry_date=line.expiry_date,
            )
            for number, line, item in lines
        ],
    )
    return plan_issue(session, book, issue).movements


def _movement(
    document: StockDocument,
    number: int,
    line: StockLine,
    item: Item,
    source_id: int,
    destination_id: int,
    lot_id: int,
) -> StockMovement:
    cost = line.unit_cost
    if cost is None and item.cost_price is not None:
        cost = from_units(item.cost_price)
    return StockMovement(
        product_id=item.product_id,
        variant_id=item.variant_id,
        lot_id=lot_id,
        quantity=line.quantity,
        source_id=source_id,
        destination_id=destination_id,
        document_type=document.kind,
        document_id=document.id,
        document_line=number,
        effect=document.kind,
        occurred_at=document.occurred_at,
        unit_cost=cost,
    )


def _lot(session: Session, number: int, line: StockLine, item: Item) -> int:
    """Return the lot that an inbound line goes to, made when it is new."""
    field = f"lines.{number}.batch_number"
    if item.tracking != "lot":
        if line.batch_number or line.expiry_date:
            raise ValidationFailed.at(field, "This product is not tracked by lot.")
        return NO_LOT
    if not line.batch_number:
        raise ValidationFailed.at(field, "Required: this product is tracked by lot.")
    lot_id, expiry = ensure_lot(session.connection(), item.variant_id, line.batch_number, line.expiry_date)
    if line.expiry_date is not None and expiry != line.expiry_date:
        raise ValidationFailed.at(
            f"lines.{number}.expiry_date", f"This lot expires on {expiry}.", code="lot-expiry-differs"
        )
    return lot_id


def _items(session: Session, command: StockCommand) -> list[Item]:
    """Return the item of every line, read in two statements however many lines there are."""
    found = _found(session, command.warehouse, command.lines)
    return [
        _checked(session, found, line, f"lines.{number}.product_id", f"lines.{number}.variant_id")
        for number, line in enumerate(command.lines)
    ]


def _item(
    session: Session, warehouse_id: int, product_id: int, variant_id: int | None, field: str, variant_field: str
) -> Item:
    line = StockLine(product_id=product_id, variant_id=variant_id, quantity=ZERO)
    return _checked(session, _found(session, warehouse_id, [line]), line, field, variant_field)


def _found(session: Session, warehouse_id: int, lines: Sequence[StockLine]) -> dict[tuple[int, int | None], Item]:
    """Return items by product and variant, and for simple products by product alone."""
    items = load_items(
        session.connection(),
        warehouse_id,
        variant_ids={line.variant_id for line in lines if line.variant_id is not None},
        product_ids={line.product_id for line in lines if line.variant_id is None},
    )
    found: dict[tuple[int, int | None], Item] = {}
    for item in items:
        found[item.product_id, item.variant_id] = item
        if item.is_default and not item.has_variants:
            found[item.product_id, None] = item
    return found


def _checked(
    session: Session, found: dict[tuple[int, int | None], Item], line: StockLine, field: str, variant_field: str
) -> Item:
    item = found.get((line.product_id, line.variant_id))
    if item is not None and is_hidden(actor_of(session), item.status, item.owner_id):
        raise ValidationFailed.at(field, "There is no such product.", code="unknown-product")
    if item is None:
        if session.get(Product, line.product_id) is None:
            raise ValidationFailed.at(field, "There is no such product.", code="unknown-product")
        if line.variant_id is None:
            raise ValidationFailed.at(variant_field, "This product has variants; name one.", code="variant-needed")
        raise ValidationFailed.at(variant_field, "There is no such variant of this product.", code="unknown-variant")
    if item.tracking == "none":
        raise ValidationFailed.at(field, "This product's stock is not tracked.", code="not-tracked")
    return item


def _check_lines(session: Session, command: StockCommand, items: Sequence[Item]) -> None:
    for number, (line, item) in enumerate(zip(command.lines, items, strict=True)):
        field = f"lines.{number}.quantity"
        if line.quantity == ZERO:
            raise ValidationFailed.at(field, "Must not be zero.")
        _check_precision(session, item, line.quantity, field)


def _check_precision(session: Session, item: Item, quantity: Decimal, field: str) -> None:
    units = snapshot_of(session).units
    places = units[item.unit_id].precision if item.unit_id in units else 4
    if quantity != round(quantity, places):
        raise ValidationFailed.at(field, f"At most {places} digits after the point in this unit.")


def _check_warehouse(session: Session, warehouse_id: int, field: str) -> None:
    require_warehouse(actor_of(session), warehouse_id, field=field)
    if warehouse_id not in snapshot_of(session).warehouses:
        raise ValidationFailed.at(field, "There is no such warehouse.", code="unknown-warehouse")
