"""The core's own stock documents, numbered without gaps: receipts, adjustments, transfers, counts.

Each is written in the actor's name, at the actor's warehouses, and moves stock through the ledger's door.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from tillhook.access import audit, require_warehouse
from tillhook.db import utc_now
from tillhook.errors import ValidationFailed
from tillhook.ledger.models import StockDocument
from tillhook.ledger.posting.items import Item, Items, load_items
from tillhook.ledger.posting.stock import adjust, receive, transfer
from tillhook.ledger.posting.values import Document, StockLine
from tillhook.numbering import format_number, next_number
from tillhook.products import is_hidden, why_not_there
from tillhook.quantities import ZERO
from tillhook.runtime import actor_of, request_id_of, snapshot_of

_SERIES = {"receipt": "REC", "adjustment": "ADJ", "transfer": "TRF", "count": "CNT"}
_CLOCK_SKEW_S = 300
_ANY_PRODUCT = "stock:level:change_all"


@dataclass(frozen=True, slots=True, kw_only=True)
class StockCommand:
    """A receipt, adjustment, transfer or count to post; ``to_warehouse`` is for transfers only."""

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
    check_warehouse(session, to, "to_warehouse")
    return _post(session, "transfer", command, transfer, to_warehouse_id=to)


def _post(
    session: Session, kind: str, command: StockCommand, verb: Callable[..., object], **options: object
) -> StockDocument:
    document, items = open_document(session, kind, command)
    name, occurred_at = Document(kind, document.id), document.occurred_at
    verb(session, name, command.warehouse, command.lines, occurred_at=occurred_at, items=items, **options)
    return document


def open_document(session: Session, kind: str, command: StockCommand) -> tuple[StockDocument, Items]:
    """Write the document in the actor's name; return it with the items of its lines, all of which are sound.

    Raises:
        ValidationFailed, PermissionDenied: As for :func:`post_receipt`.
    """
    session.flush()
    check_warehouse(session, command.warehouse, "from_warehouse" if kind == "transfer" else "warehouse")
    now = utc_now()
    occurred_at = command.occurred_at or now
    if (occurred_at - now).total_seconds() > _CLOCK_SKEW_S:
        raise ValidationFailed.at("occurred_at", "In the future.")
    items = items_of(session, command.warehouse, command.lines)
    for number, line in enumerate(command.lines):
        field = f"lines.{number}"
        item = checked_item(session, items, command.warehouse, line, f"{field}.product_id", f"{field}.variant_id")
        if line.quantity == ZERO and kind != "count":
            raise ValidationFailed.at(f"{field}.quantity", "Must not be zero.")
        check_precision(session, item, line.quantity, f"{field}.quantity")
        if kind in ("adjustment", "count"):
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
    audit(session, "post", "stock_document", document.id, after=_for_audit(session, document))
    return document, items


def link_of(document_id: int) -> str:
    """Return the API path of a stock document."""
    return f"/api/inventory/documents/{document_id}"


def _for_audit(session: Session, document: StockDocument) -> dict[str, Any]:
    warehouses = snapshot_of(session).warehouses
    to = document.to_warehouse_id
    return {
        "kind": document.kind,
        "number": document.number,
        "link": link_of(document.id),
        "reason": document.reason,
        "warehouse": document.warehouse_id,
        "warehouse_name": warehouses[document.warehouse_id].name,
        **({} if to is None else {"to_warehouse": to, "to_warehouse_name": warehouses[to].name}),
        "occurred_at": document.occurred_at,
    }


def items_of(session: Session, warehouse_id: int, lines: Iterable[StockLine]) -> Items:
    """Return the items of lines; unknown ones are left out."""
    return load_items(session, ((warehouse_id, line.product_id, line.variant_id) for line in lines))


def checked_item(
    session: Session, items: Items, warehouse_id: int, line: StockLine, field: str, variant_field: str
) -> Item:
    """Return the item of a line.

    Raises:
        ValidationFailed: 422: no such product or variant that the actor may know of, none named, or not tracked.
    """
    item = items.find(warehouse_id, line.product_id, line.variant_id)
    if item is None or is_hidden(actor_of(session), item.status, item.owner_id, was_approved=item.was_approved):
        why = why_not_there(session, line.product_id, line.variant_id)
        raise ValidationFailed.at(variant_field if why.field == "variant_id" else field, why.message, code=why.code)
    if item.tracking == "none":
        raise ValidationFailed.at(field, "This product's stock is not tracked.", code="not-tracked")
    return item


def _require_own(session: Session, item: Item, field: str) -> None:
    """Refuse to say how much there is of what somebody else brought into the catalogue; goods may come and move."""
    actor = actor_of(session)
    is_own = item.owner_id is not None and item.owner_id == actor.user_id
    if not is_own and not actor.can(_ANY_PRODUCT):
        raise actor.refusal(
            f"Product {item.product_id} belongs to somebody else",
            _ANY_PRODUCT,
            code="not-your-product",
            errors=[{"field": field, "message": "Somebody else's product."}],
        )


def check_precision(session: Session, item: Item, quantity: Decimal, field: str) -> None:
    """Refuse a quantity that is finer than the product's unit."""
    fault = snapshot_of(session).unit_fault(item.unit_id, quantity)
    if fault is not None:
        raise ValidationFailed.at(field, fault)


def check_warehouse(session: Session, warehouse_id: int, field: str) -> None:
    """Refuse a warehouse that is not there, or not the actor's."""
    require_warehouse(actor_of(session), warehouse_id, field=field)
    if warehouse_id not in snapshot_of(session).warehouses:
        raise ValidationFailed.at(field, "There is no such warehouse.", code="unknown-warehouse")
