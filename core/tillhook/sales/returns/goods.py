"""The way back of goods that were sold: into the lots they were taken from, last taken first, or to scrap."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tillhook.ledger import CUSTOMER, SCRAP, StockMovement
from tillhook.ledger.models import StockMovement as Moved
from tillhook.sales.drafts import Returned
from tillhook.sales.models import Sale, SaleLine


def movements_back(
    session: Session,
    returned: Returned,
    *,
    document_type: str,
    document_id: int,
    warehouse_id: int,
    channel: str,
    occurred_at: datetime,
    first_number: int,
) -> list[StockMovement]:
    """Return the movements of what comes back; its lines are numbered from ``first_number`` on."""
    left = _taken_by_lot(session, returned)
    movements = []
    for number, line in enumerate(returned.lines, first_number):
        wanted = line.item.quantity
        for issued in reversed(left.get(line.line.id, [])):
            quantity = min(issued[1], wanted)
            if quantity <= 0:
                continue
            issued[1] -= quantity
            wanted -= quantity
            movements.append(
                StockMovement(
                    product_id=line.line.product_id,
                    variant_id=line.line.variant_id,
                    lot_id=issued[0],
                    quantity=quantity,
                    source_id=CUSTOMER,
                    destination_id=warehouse_id if line.item.restock else SCRAP,
                    document_type=document_type,
                    document_id=document_id,
                    document_line=number,
                    effect="return",
                    occurred_at=occurred_at,
                    unit_cost=issued[2],
                    channel=channel,
                )
            )
    return movements


def _taken_by_lot(session: Session, returned: Returned) -> dict[int, list[list[Any]]]:
    """Return, by line key, lot, quantity and unit cost of what the origin issued, less what came back."""
    origin = returned.origin
    by_number = {line.line_number: line.id for line in origin.lines}
    taken: dict[int, list[list[Any]]] = {}
    for number, lot_id, quantity, cost in session.execute(
        select(Moved.document_line, Moved.lot_id, Moved.quantity, Moved.unit_cost)
        .where(Moved.document_type == origin.sale.kind, Moved.document_id == origin.sale.id, Moved.effect == "issue")
        .order_by(Moved.id)
    ):
        taken.setdefault(by_number[number], []).append([lot_id, quantity, cost])
    for line_id, lot_id, quantity in session.execute(
        select(SaleLine.origin_line_id, Moved.lot_id, func.sum(Moved.quantity))
        .join(Sale, (Sale.id == Moved.document_id) & (Sale.kind == Moved.document_type))
        .join(SaleLine, (SaleLine.sale_id == Sale.id) & (SaleLine.line_number == Moved.document_line))
        .where(Sale.origin_id == origin.sale.id, Moved.effect == "return")
        .group_by(SaleLine.origin_line_id, Moved.lot_id)
    ):
        for issued in taken.get(line_id or 0, []):
            if issued[0] == lot_id:
                issued[1] -= quantity
    return taken
