"""What comes back of a sale: which goods, what they are worth, and where they go.

A sale and all that was taken back of it, the goods that it was exchanged for too, share one lock: the row of the first
sale. Whoever takes something back holds it, so that neither goods nor money come back twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import CTE, ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from tillhook.db import begin_writing
from tillhook.errors import Conflict, NotFound, ValidationFailed
from tillhook.ledger import Document, ItemKey, Lot, RestockLine, moved_by
from tillhook.ledger.models import CUSTOMER
from tillhook.products.models import Product, Variant
from tillhook.quantities import ZERO, format_quantity
from tillhook.runtime import snapshot_of
from tillhook.sales.commands import ReturnItem, SaleReturn
from tillhook.sales.drafts import Origin, Returned, ReturnedLine
from tillhook.sales.models import Sale, SaleLine
from tillhook.sales.outcomes import SaleNotSynced
from tillhook.sales.queries import require_visible
from tillhook.sales.returns.refunds import money_left
from tillhook.sales.totals import NOTHING, DocumentTotals, LineTotals, refund, sum_up


def open_origin(session: Session, sale_id: int, *, lock: bool = True) -> Origin:
    """Return a document of which goods may come back, its first sale's row locked unless said otherwise.

    Raises:
        NotFound: 404: no such sale, or not for this actor.
        Conflict: 409: it is cancelled, or itself no sale.
    """
    require_visible(session, sale_id)
    root_id = lock_family(session, sale_id) if lock else _root(session, sale_id)
    sale = sale_row_of(session, sale_id)
    if sale.kind not in ("sale", "exchange"):
        raise Conflict("Only a sale can be taken back.", code="not-a-sale")
    cancelled = select(Sale.id).where(Sale.origin_id == sale_id, Sale.kind == "cancellation")
    if session.scalar(cancelled) is not None:
        raise Conflict("A cancelled sale has nothing to return.", code="sale-cancelled")
    # What an exchange took back is no part of what it sold.
    lines = session.execute(
        select(*(column for column in SaleLine.__table__.columns if column.name != "flags"))
        .add_columns(Product.unit_id, Product.tracking, Variant.is_default)
        .join(Product, Product.id == SaleLine.product_id)
        .join(Variant, Variant.id == SaleLine.variant_id)
        .where(SaleLine.sale_id == sale_id, SaleLine.quantity > 0)
        .order_by(SaleLine.line_number)
    )
    back = session.execute(
        select(
            SaleLine.origin_line_id,
            func.sum(SaleLine.quantity),
            func.sum(SaleLine.total_price),
            func.sum(SaleLine.discount_share),
            func.sum(SaleLine.tax_amount),
        )
        .join(Sale, Sale.id == SaleLine.sale_id)
        .where(Sale.origin_id == sale_id, Sale.kind.in_(("return", "exchange")), SaleLine.origin_line_id.is_not(None))
        .group_by(SaleLine.origin_line_id)
    )
    came_back = {
        line: (-quantity, LineTotals(-price, -share, -tax))
        for line, quantity, price, share, tax in back
        if line is not None
    }
    return Origin(sale, root_id, tuple(lines), MappingProxyType(came_back))


def origin_of(session: Session, returns: SaleReturn, *, is_offline: bool, lock: bool = True) -> Origin:
    """Return the origin that a sale's ``returns`` name.

    Raises:
        SaleNotSynced: 409: offline, and its ``external_id`` is not known yet.
        ValidationFailed: 422: there is no such sale, or not for this actor.
        Conflict: 409: it is cancelled, or itself no sale.
    """
    field, sale_id = "returns.sale_id", returns.sale_id
    if returns.external_id is not None:
        field = "returns.external_id"
        sale_id = session.scalar(select(Sale.id).where(Sale.external_id == returns.external_id))
        if sale_id is None and is_offline:
            raise SaleNotSynced(returns.external_id)
    try:
        if sale_id is None:
            raise NotFound("There is no such sale.")
        return open_origin(session, sale_id, lock=lock)
    except NotFound as error:
        raise ValidationFailed.at(field, "There is no such sale.", code="unknown-sale") from error


def sale_row_of(session: Session, sale_id: int) -> Any:
    """Return the row of ``sale``, which cannot be changed."""
    return session.execute(select(*Sale.__table__.columns).where(Sale.id == sale_id)).one()


def lock_family(session: Session, sale_id: int) -> int:
    """Lock the first sale of all that hangs together with a document, and return its key."""
    begin_writing(session.connection())
    root_id = _root(session, sale_id)
    session.execute(select(Sale.id).where(Sale.id == root_id).with_for_update())
    return root_id


def lock_families(session: Session, returns: Sequence[SaleReturn]) -> None:
    """Lock what several documents will take back, in key order, before any of them locks a level."""
    if session.get_bind().dialect.name != "postgresql" or not returns:
        return
    up = _upwards(_named_by(returns))
    roots = select(up.c.id).where(up.c.origin_id.is_(None))
    session.execute(select(Sale.id).where(Sale.id.in_(roots)).order_by(Sale.id).with_for_update()).all()


def goods_of(session: Session, returns: Sequence[SaleReturn]) -> list[ItemKey]:
    """Return the goods of the sales of which something comes back, where they were sold."""
    if not returns:
        return []
    columns = (Sale.warehouse_id, SaleLine.product_id, SaleLine.variant_id)
    found = session.execute(
        select(*columns).join(SaleLine, SaleLine.sale_id == Sale.id).where(_named_by(returns)).distinct()
    )
    return [(warehouse, product, variant) for warehouse, product, variant in found]


def _named_by(returns: Sequence[SaleReturn]) -> ColumnElement[bool]:
    ids = [each.sale_id for each in returns if each.sale_id is not None]
    external_ids = [each.external_id for each in returns if each.external_id is not None]
    return or_(Sale.id.in_(ids), Sale.external_id.in_(external_ids))


def _root(session: Session, sale_id: int) -> int:
    up = _upwards(Sale.id == sale_id)
    return session.execute(select(up.c.id).where(up.c.origin_id.is_(None))).scalar_one()


def _upwards(condition: ColumnElement[bool]) -> CTE:
    """Return documents, and all that they take back, up to the first sale."""
    up = select(Sale.id, Sale.origin_id).where(condition).cte("up", recursive=True)
    return up.union(select(Sale.id, Sale.origin_id).join(up, Sale.id == up.c.origin_id))


def take_back(
    session: Session,
    origin: Origin,
    items: Sequence[ReturnItem],
    *,
    where: str = "lines",
    reason: str = "",
    is_offline: bool = False,
) -> Returned:
    """Return what comes back, never more than was sold less what came back before.

    Amounts are the sale's own, so that returning everything pays back everything.

    Args:
        where: The path of ``items`` in the body.
        is_offline: The goods have come back already: what is beyond the rest is cut and said, not refused, unless
            nothing of all of it is left; of a lot that is not out, it comes back as of none.

    Raises:
        ValidationFailed: 422: an unknown line, a lot that it did not take, or more than is left of one of them.
    """
    places = snapshot_of(session).setting("currency_places")
    came_back = dict(origin.came_back)
    lots = _lots_out(session, origin) if any(item.batch_number for item in items) else {}
    taken: list[ReturnedLine] = []
    cut: list[str] = []
    for number, asked in enumerate(items):
        line = _line(origin, asked, f"{where}.{number}")
        before_quantity, before = came_back.get(line.id, (ZERO, NOTHING))
        left = line.quantity - before_quantity
        item = asked
        flags: tuple[str, ...] = ()
        if asked.quantity > left:
            if not is_offline:
                message = f"Only {format_quantity(left)} can come back."
                raise ValidationFailed.at(f"{where}.{number}.quantity", message, code="returns-more-than-sold")
            cut.append(
                f"{line.product_name}: {format_quantity(left)} of {format_quantity(asked.quantity)} can come back."
            )
            if not left:
                continue
            item, flags = replace(asked, quantity=left), ("return-capped",)
        elif not is_offline and asked.quantity != left:
            _check_precision(session, line, asked.quantity, f"{where}.{number}.quantity")
        if item.batch_number is not None:
            item, differs = _of_lot(lots, line, item, None if is_offline else f"{where}.{number}")
            flags += differs
        amounts = refund(
            LineTotals(line.total_price, line.discount_share, line.tax_amount),
            tax_inclusive=line.tax_inclusive,
            sold_quantity=line.quantity,
            returned=before,
            returned_quantity=before_quantity,
            quantity=item.quantity,
            places=places,
        )
        came_back[line.id] = (before_quantity + item.quantity, _sum(before, amounts))
        taken.append(ReturnedLine(line, item, amounts, flags))
    if not taken:
        raise ValidationFailed.at(where, f"Nothing is left. {' '.join(cut)}", code="returns-more-than-sold")
    totals = sum_up([each.amounts for each in taken], inclusive=[each.line.tax_inclusive for each in taken])
    return Returned(origin, tuple(taken), totals, money_left(session, origin.root_id), reason, tuple(cut))


def restock_lines(returned: Returned, first_number: int) -> list[RestockLine]:
    """Return the goods' way back for the ledger; lines are numbered from ``first_number`` on."""
    origin = Document(returned.origin.sale.kind, returned.origin.sale.id)
    return [
        RestockLine(
            line=number,
            origin=origin,
            origin_line=part.line.line_number,
            quantity=part.item.quantity,
            scrap=not part.item.restock,
            batch_number=part.item.batch_number,
        )
        for number, part in enumerate(returned.lines, first_number)
    ]


def net_totals(sold: DocumentTotals, returned: DocumentTotals) -> DocumentTotals:
    """Return what a document comes to that sells and takes back; its lines are those sold."""
    return DocumentTotals(
        sold.lines,
        sold.subtotal - returned.subtotal,
        sold.tax_amount - returned.tax_amount,
        sold.discount_amount - returned.discount_amount,
        sold.total_amount - returned.total_amount,
    )


def _line(origin: Origin, item: ReturnItem, where: str) -> Any:
    for line in origin.lines:
        if line.id == item.line_id or line.line_number == item.position:
            return line
    name = "line_id" if item.position is None else "position"
    raise ValidationFailed.at(f"{where}.{name}", "Not a line of this sale.", code="unknown-line")


def _lots_out(session: Session, origin: Origin) -> dict[int, dict[str, Decimal]]:
    """Return what is still out of each lot that the origin took, by number of the line and batch number."""
    out = [each for each in moved_by(session, Document(origin.sale.kind, origin.sale.id)) if each.lot_id]
    names = dict(
        session.execute(select(Lot.id, Lot.batch_number).where(Lot.id.in_({each.lot_id for each in out}))).all()
    )
    found: dict[int, dict[str, Decimal]] = {}
    for each in out:
        if each.destination_id == CUSTOMER:
            found.setdefault(each.document_line, {})[names[each.lot_id]] = each.quantity
    return found


def _of_lot(
    lots: Mapping[int, dict[str, Decimal]], line: Any, item: ReturnItem, where: str | None
) -> tuple[ReturnItem, tuple[str, ...]]:
    """Return what comes back of the lot that it names, and flags; takes it off ``lots``.

    Args:
        where: The path of the item; ``None`` takes back what cannot be of that lot, in the order of issue.
    """
    assert item.batch_number is not None
    out = lots.get(line.line_number, {})
    left = out.get(item.batch_number)
    if left is not None and left >= item.quantity:
        out[item.batch_number] = left - item.quantity
        return item, ()
    unnamed = replace(item, batch_number=None)
    if line.tracking != "lot" and item.batch_number == line.batch_number:
        # What the till noted of goods that are not tracked by lot.
        return unnamed, ()
    if where is None:
        return unnamed, ("return-lot-differs",)
    if left is None:
        raise ValidationFailed.at(f"{where}.batch_number", "Nothing of this lot is out.", code="lot-not-sold")
    message = f"Only {format_quantity(left)} of this lot can come back."
    raise ValidationFailed.at(f"{where}.quantity", message, code="returns-more-than-sold")


def _sum(one: LineTotals, other: LineTotals) -> LineTotals:
    return LineTotals(
        one.total_price + other.total_price,
        one.discount_share + other.discount_share,
        one.tax_amount + other.tax_amount,
    )


def _check_precision(session: Session, line: Any, quantity: Decimal, where: str) -> None:
    """Refuse half a piece; all that is left may come back, for a till that was offline may have sold half of one."""
    fault = None if line.tracking == "none" else snapshot_of(session).unit_fault(line.unit_id, quantity)
    if fault is not None:
        raise ValidationFailed.at(where, fault)
