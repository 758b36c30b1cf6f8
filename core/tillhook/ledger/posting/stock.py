"""The verbs that bring goods in, correct what there is, and move it between warehouses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from tillhook.errors import ValidationFailed
from tillhook.ledger.models import ADJUSTMENT, VENDOR
from tillhook.ledger.posting.book import Draft, Wanted, open_book
from tillhook.ledger.posting.items import Item, Items, load_items
from tillhook.ledger.posting.lots import lot_of_inbound
from tillhook.ledger.posting.planning import plan_lines
from tillhook.ledger.posting.values import Alongside, Document, Issue, Issued, IssueLine, Movement, StockLine
from tillhook.ledger.posting.writing import post
from tillhook.products import why_not_there
from tillhook.quantities import from_units


@dataclass(frozen=True, slots=True)
class Difference:
    """What a line of a count finds more, or less, of a variant and lot than was expected; no cost is the product's."""

    line: int
    item: Item
    lot_id: int
    quantity: Decimal
    unit_cost: Decimal | None


def receive(
    session: Session,
    document: Document,
    warehouse_id: int,
    lines: Sequence[StockLine],
    *,
    occurred_at: datetime,
    source_id: int = VENDOR,
    items: Items | None = None,
    alongside: Alongside | None = None,
) -> tuple[Movement, ...]:
    """Take goods into a warehouse, each at its unit cost; lots are made when they are new.

    Args:
        items: What :func:`load_items` returned for the lines, which saves reading them again.
        alongside: Rows that are written in the same statement.

    Raises:
        ValidationFailed: 422, naming the field of the line: an unknown or untracked product, a lot-tracked one
            without a batch number, another expiry date than the lot's.
    """
    found = _found(session, warehouse_id, lines, items)
    movements = [
        _inbound(session, document, number, line, item, "receipt", source_id, warehouse_id, occurred_at)
        for number, (line, item) in enumerate(zip(lines, found, strict=True))
    ]
    return _written(session, document, movements, found, alongside)


def adjust(
    session: Session,
    document: Document,
    warehouse_id: int,
    lines: Sequence[StockLine],
    *,
    occurred_at: datetime,
    items: Items | None = None,
    alongside: Alongside | None = None,
) -> tuple[Movement, ...]:
    """Correct what is on hand by signed quantities; lots are taken first expired first.

    Raises:
        InsufficientStock: 409, naming every short line.
        ValidationFailed: 422, as for :func:`receive`.
    """
    found = _found(session, warehouse_id, lines, items)
    movements, out = [], []
    for number, (line, item) in enumerate(zip(lines, found, strict=True)):
        if line.quantity > 0:
            where = "adjustment", ADJUSTMENT, warehouse_id
            movements.append(_inbound(session, document, number, line, item, *where, occurred_at))
        else:
            out.append(_outbound(number, replace(line, quantity=-line.quantity), item))
    movements += _taken(session, document, warehouse_id, out, ADJUSTMENT, occurred_at)
    return _written(session, document, movements, found, alongside)


def transfer(
    session: Session,
    document: Document,
    warehouse_id: int,
    lines: Sequence[StockLine],
    *,
    to_warehouse_id: int,
    occurred_at: datetime,
    items: Items | None = None,
    alongside: Alongside | None = None,
) -> tuple[Movement, ...]:
    """Move goods from one warehouse to another, lots first expired first out.

    Raises:
        InsufficientStock: 409, naming every short line.
        ValidationFailed: 422: an unknown or untracked product, an unknown lot.
    """
    found = _found(session, warehouse_id, lines, items)
    out = [_outbound(number, line, item) for number, (line, item) in enumerate(zip(lines, found, strict=True))]
    movements = _taken(session, document, warehouse_id, out, to_warehouse_id, occurred_at)
    return _written(session, document, movements, found, alongside)


def count(
    session: Session,
    document: Document,
    warehouse_id: int,
    differences: Sequence[Difference],
    *,
    occurred_at: datetime,
) -> tuple[Movement, ...]:
    """Make levels what was counted, whatever is reserved of them: a count is a fact.

    Args:
        differences: By how much the levels change, none of them by nothing; the caller has locked them.
    """
    movements = [
        Movement(
            product_id=each.item.product_id,
            variant_id=each.item.variant_id,
            lot_id=each.lot_id,
            quantity=abs(each.quantity),
            source_id=ADJUSTMENT if each.quantity > 0 else warehouse_id,
            destination_id=warehouse_id if each.quantity > 0 else ADJUSTMENT,
            document_type=document.type,
            document_id=document.id,
            document_line=each.line,
            effect="count",
            occurred_at=occurred_at,
            unit_cost=_cost(each.unit_cost, each.item),
        )
        for each in differences
    ]
    return _written(session, document, movements, [each.item for each in differences], None) if movements else ()


def _found(session: Session, warehouse_id: int, lines: Sequence[StockLine], items: Items | None) -> list[Item]:
    if items is None:
        items = load_items(session, ((warehouse_id, line.product_id, line.variant_id) for line in lines))
    found = []
    for number, line in enumerate(lines):
        item = items.find(warehouse_id, line.product_id, line.variant_id)
        where = f"lines.{number}.product_id"
        if item is None:
            why = why_not_there(session, line.product_id, line.variant_id)
            raise ValidationFailed.at(f"lines.{number}.{why.field}", why.message, code=why.code)
        if item.tracking == "none":
            raise ValidationFailed.at(where, "This product's stock is not tracked.", code="not-tracked")
        found.append(item)
    return found


def _inbound(
    session: Session,
    document: Document,
    number: int,
    line: StockLine,
    item: Item,
    effect: str,
    source_id: int,
    warehouse_id: int,
    occurred_at: datetime,
) -> Movement:
    where = f"lines.{number}"
    return Movement(
        product_id=item.product_id,
        variant_id=item.variant_id,
        lot_id=lot_of_inbound(session, item.variant_id, item.tracking, line.batch_number, line.expiry_date, where),
        quantity=line.quantity,
        source_id=source_id,
        destination_id=warehouse_id,
        document_type=document.type,
        document_id=document.id,
        document_line=number,
        effect=effect,
        occurred_at=occurred_at,
        unit_cost=_cost(line.unit_cost, item),
    )


def _cost(named: Decimal | None, item: Item) -> Decimal | None:
    """Return the cost that a line names, else the product's."""
    if named is None and item.cost_price is not None:
        return from_units(item.cost_price)
    return named


def _outbound(number: int, line: StockLine, item: Item) -> Wanted:
    wanted = IssueLine(
        line=number,
        product_id=item.product_id,
        variant_id=item.variant_id,
        quantity=line.quantity,
        batch_number=line.batch_number,
        expiry_date=line.expiry_date,
    )
    return Wanted(wanted, item, "block")


def _taken(
    session: Session,
    document: Document,
    warehouse_id: int,
    out: Sequence[Wanted],
    destination_id: int,
    occurred_at: datetime,
) -> list[Movement]:
    """Return the movements that take goods out, their levels locked."""
    issue = Issue(
        document=document,
        warehouse_id=warehouse_id,
        occurred_at=occurred_at,
        lines=(),
        destination_id=destination_id,
        # Expired goods may be moved and written off by anybody who may do so with the rest.
        may_sell_expired=True,
        picks_expired=True,
        field="lines",
    )
    draft = Draft(session, open_book(session, ((warehouse_id, each) for each in out), locked=True), issue)
    plan_lines(draft, out)
    return draft.movements


def _written(
    session: Session,
    document: Document,
    movements: Sequence[Movement],
    items: Sequence[Item],
    alongside: Alongside | None,
) -> tuple[Movement, ...]:
    issued = Issued(document, tuple(movements), {})
    post(session, issued, items=items, alongside=alongside)
    return issued.movements
