"""The core's own stock documents, numbered without gaps: receipts, adjustments, transfers, counts.

Each is written in the actor's name, at the actor's warehouses, and moves stock through the ledger's door.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from tillhook.access import require_warehouse
from tillhook.db import utc_now
from tillhook.errors import Conflict, PermissionDenied, ValidationFailed
from tillhook.ledger.models import NO_LOT, StockDocument
from tillhook.ledger.posting.items import Item, Items, load_items
from tillhook.ledger.posting.locks import lock_levels
from tillhook.ledger.posting.lots import lot_of_inbound
from tillhook.ledger.posting.stock import adjust, receive, transfer
from tillhook.ledger.posting.values import Document, LevelKey, StockLine
from tillhook.numbering import format_number, next_number
from tillhook.products import is_hidden, why_not_there
from tillhook.quantities import ZERO, from_units
from tillhook.runtime import actor_of, request_id_of, snapshot_of

_SERIES = {"receipt": "REC", "adjustment": "ADJ", "transfer": "TRF", "inventory": "CNT"}
_CLOCK_SKEW_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class StockCommand:
    """A receipt, adjustment or transfer to post; ``to_warehouse`` is for transfers only."""

    warehouse: int
    lines: tuple[StockLine, ...]
    to_warehouse: int | None = None
    occurred_at: datetime | None = None
    reason: str = ""


def post_receipt(session: Session, command: StockCommand) -> StockDocument:
    """Take goods from a vendor into a warehouse; lines of lot-tracked products need a batch number.

    Raises:
        ValidationFailed: 422, naming the field of the line.
        PermissionDenied: 403: not a warehouse of the actor.
    """
    return _post(session, "receipt", command, receive)


def post_adjustment(session: Session, command: StockCommand) -> StockDocument:
    """Correct stock by signed quantities, each with the document's reason; below zero is refused.

    Raises:
        InsufficientStock: 409: a line takes away more than is available.
        ValidationFailed, PermissionDenied: As for :func:`post_receipt`.
    """
    return _post(session, "adjustment", command, adjust)


def post_transfer(session: Session, command: StockCommand) -> StockDocument:
    """Move goods from one warehouse to another, lots first expired first out.

    Raises:
        InsufficientStock: 409: a line wants more than is available.
        ValidationFailed, PermissionDenied: As for :func:`post_receipt`.
    """
    to = command.to_warehouse
    assert to is not None
    if to == command.warehouse:
        raise ValidationFailed.at("to_warehouse", "The same as from_warehouse.")
    _check_warehouse(session, to, "to_warehouse")
    return _post(session, "transfer", command, transfer, to_warehouse_id=to)


def post_count(session: Session, command: StockCommand) -> StockDocument | None:
    """Make on hand what was counted, by variant and lot; ``None`` when nothing differs.

    Raises:
        ValidationFailed, PermissionDenied: As for :func:`post_receipt`.
    """
    items, place, counted = _found(session, command.warehouse, command.lines), command.warehouse, []
    for number, line in enumerate(command.lines):
        field = f"lines.{number}"
        item = _checked(session, items, place, line, f"{field}.product_id", f"{field}.variant_id")
        _check_precision(session, item, line.quantity, f"{field}.quantity")
        lot_id = lot_of_inbound(session, item.variant_id, item.tracking, line.batch_number, line.expiry_date, field)
        counted.append((line, LevelKey(item.variant_id, place, lot_id)))
    levels = lock_levels(session, [key for _, key in counted])
    lines = [replace(line, quantity=line.quantity - from_units(levels[key].on_hand)) for line, key in counted]
    changed = replace(command, lines=tuple(line for line in lines if line.quantity))
    return _post(session, "inventory", changed, adjust, effect="inventory", policy="allow") if changed.lines else None


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
    line = StockLine(product_id=product_id, variant_id=variant_id, quantity=quantity)
    item = _checked(session, _found(session, warehouse_id, (line,)), warehouse_id, line, "inventory", "variant_id")
    if item.tracking == "lot":
        raise ValidationFailed.at("inventory", "Tracked by lot: adjust the lots.", code="tracked-by-lot")
    key = LevelKey(item.variant_id, warehouse_id, NO_LOT)
    on_hand = from_units(lock_levels(session, [key])[key].on_hand)
    # What was counted keeps to the unit; the difference need not, for a till may have sold half a piece.
    _check_precision(session, item, quantity, "inventory")
    if expected is not None and expected != on_hand:
        shown = f"{on_hand.normalize():f}"
        raise Conflict(f"On hand is {shown} by now.", code="inventory-changed", on_hand=shown)
    if on_hand == quantity:
        return None
    line = StockLine(product_id=product_id, variant_id=variant_id, quantity=quantity - on_hand)
    command = StockCommand(warehouse=warehouse_id, lines=(line,), reason="Inventory set")
    # A count is a fact: it may go below what is reserved.
    return _post(session, "inventory", command, adjust, effect="inventory", policy="allow")


def _post(
    session: Session, kind: str, command: StockCommand, verb: Callable[..., object], **options: object
) -> StockDocument:
    document, items = _open(session, kind, command)
    name, occurred_at = Document(kind, document.id), document.occurred_at
    verb(session, name, command.warehouse, command.lines, occurred_at=occurred_at, items=items, **options)
    return document


def _open(session: Session, kind: str, command: StockCommand) -> tuple[StockDocument, Items]:
    """Write the document in the actor's name; return it with the items of its lines, all of which are sound."""
    session.flush()
    _check_warehouse(session, command.warehouse, "from_warehouse" if kind == "transfer" else "warehouse")
    now = utc_now()
    occurred_at = command.occurred_at or now
    if (occurred_at - now).total_seconds() > _CLOCK_SKEW_S:
        raise ValidationFailed.at("occurred_at", "In the future.")
    items = _found(session, command.warehouse, command.lines)
    for number, line in enumerate(command.lines):
        field = f"lines.{number}"
        item = _checked(session, items, command.warehouse, line, f"{field}.product_id", f"{field}.variant_id")
        if kind != "inventory":
            if line.quantity == ZERO:
                raise ValidationFailed.at(f"{field}.quantity", "Must not be zero.")
            _check_precision(session, item, line.quantity, f"{field}.quantity")
        if kind != "transfer":
            _require_own(session, item, f"{field}.product_id")
    number_of_kind = next_number(session, f"stock_document.{kind}")
    document = StockDocument(
        kind=kind,
        number=format_number(_SERIES[kind] + "{yy}{mm}{seq:05d}", number_of_kind, now.date()),
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
    return document, items


def _found(session: Session, warehouse_id: int, lines: tuple[StockLine, ...]) -> Items:
    return load_items(session, ((warehouse_id, line.product_id, line.variant_id) for line in lines))


def _checked(
    session: Session, items: Items, warehouse_id: int, line: StockLine, field: str, variant_field: str
) -> Item:
    item = items.find(warehouse_id, line.product_id, line.variant_id)
    if item is None or is_hidden(actor_of(session), item.status, item.owner_id, was_approved=item.was_approved):
        why = why_not_there(session, line.product_id, line.variant_id)
        raise ValidationFailed.at(variant_field if why.field == "variant_id" else field, why.message, code=why.code)
    if item.tracking == "none":
        raise ValidationFailed.at(field, "This product's stock is not tracked.", code="not-tracked")
    return item


def _require_own(session: Session, item: Item, field: str) -> None:
    """Refuse to make up stock of what somebody else brought into the catalogue; moving it is another matter."""
    actor = actor_of(session)
    is_own = item.owner_id is not None and item.owner_id == actor.user_id
    if not is_own and not actor.can("stock:level:change_all"):
        raise PermissionDenied(
            f"Product {item.product_id} belongs to somebody else.",
            code="not-your-product",
            permission="stock:level:change_all",
            errors=[{"field": field, "message": "Somebody else's product."}],
        )


def _check_precision(session: Session, item: Item, quantity: Decimal, field: str) -> None:
    units = snapshot_of(session).units
    places = units[item.unit_id].precision if item.unit_id in units else 4
    if quantity != round(quantity, places):
        raise ValidationFailed.at(field, f"At most {places} digits after the point in this unit.")


def _check_warehouse(session: Session, warehouse_id: int, field: str) -> None:
    require_warehouse(actor_of(session), warehouse_id, field=field)
    if warehouse_id not in snapshot_of(session).warehouses:
        raise ValidationFailed.at(field, "There is no such warehouse.", code="unknown-warehouse")
