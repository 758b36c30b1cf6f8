"""What comes back of a sale: which goods, what they are worth, and where they go.

A sale and all that was taken back of it, the goods that it was exchanged for too, share one lock: the row of the first
sale. Whoever takes something back holds it, so that neither goods nor money come back twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from tillhook.db import as_instant, begin_writing, format_instant
from tillhook.errors import Conflict, DomainError, NotFound, ValidationFailed
from tillhook.ledger.models import CUSTOMER, SCRAP
from tillhook.ledger.movements import StockMovement
from tillhook.quantities import ZERO, format_quantity, from_units, to_units
from tillhook.runtime import snapshot_of
from tillhook.sales.commands import ReturnItem, SaleCommand, SaleReturn
from tillhook.sales.models import Sale
from tillhook.sales.queries import visible_sales
from tillhook.sales.refunds import Kept, kept_money
from tillhook.sales.rows import Row
from tillhook.sales.totals import NOTHING, DocumentTotals, LineTotals, refund, sum_up

_ROOT = text(
    """
    WITH RECURSIVE up(id, origin_id) AS (
        SELECT id, origin_id FROM sale WHERE id = :id
        UNION ALL SELECT s.id, s.origin_id FROM sale s JOIN up ON s.id = up.origin_id)
    SELECT id FROM up WHERE origin_id IS NULL
    """
)
_LINES = text(
    "SELECT l.*, p.unit_id, p.tracking FROM sale_line l JOIN product p ON p.id = l.product_id"
    " WHERE l.sale_id = :id ORDER BY l.line_number"
)
_CAME_BACK = text(
    "SELECT r.origin_line_id AS line, -SUM(r.quantity) AS quantity, -SUM(r.total_price) AS price,"
    " -SUM(r.discount_share) AS share, -SUM(r.tax_amount) AS tax FROM sale_line r JOIN sale s ON s.id = r.sale_id"
    " WHERE s.origin_id = :id AND s.kind IN ('return', 'exchange') AND r.origin_line_id IS NOT NULL"
    " GROUP BY r.origin_line_id"
)
_ISSUED = text(
    "SELECT document_line, lot_id, quantity, unit_cost FROM stock_movement"
    " WHERE document_type = :kind AND document_id = :id AND effect = 'issue' ORDER BY id"
)
_CAME_BACK_BY_LOT = text(
    "SELECT r.origin_line_id AS line, m.lot_id, SUM(m.quantity) AS quantity FROM stock_movement m"
    " JOIN sale s ON s.id = m.document_id AND m.document_type = s.kind"
    " JOIN sale_line r ON r.sale_id = s.id AND r.line_number = m.document_line"
    " WHERE s.origin_id = :id AND m.effect = 'return' GROUP BY r.origin_line_id, m.lot_id"
)
#: Not of ``sale_line``.
_PRODUCT_COLUMNS = ("unit_id", "tracking")


class SaleNotSynced(DomainError):
    """A return came before the sale that it is of; it is kept until that one arrives."""

    status = 409
    code = "sale-not-synced"
    title = "Sale not synced yet"

    def __init__(self, origin_external_id: str) -> None:
        super().__init__("The sale that this belongs to has not arrived; it is kept until then.")
        self.origin_external_id = origin_external_id


@dataclass(slots=True)
class Origin:
    """A document of which goods come back, its first sale locked: what was sold, and what came back before."""

    row: Row
    root_id: int
    lines: Sequence[Row]
    #: By line key: quantity and amounts, positive.
    came_back: dict[int, tuple[Decimal, LineTotals]]

    @property
    def id(self) -> int:
        return int(self.row["id"])


@dataclass(slots=True)
class Returned:
    """Goods that come back of an origin, in one document; amounts positive.

    ``cut`` says, for a person, what was asked for beyond what was left.
    """

    origin: Origin
    items: list[tuple[Row, ReturnItem, LineTotals]]
    totals: DocumentTotals
    kept: Kept
    reason: str = ""
    cut: list[str] = field(default_factory=list)
    flags: dict[int, list[str]] = field(default_factory=dict)

    def flag(self, name: str) -> None:
        """Mark every line."""
        for number in range(len(self.items)):
            self.flags.setdefault(number, []).append(name)

    def rows(self, document_id: int, first_number: int) -> list[dict[str, Any]]:
        """Return the rows of ``sale_line``; their lines are numbered from ``first_number`` on."""
        rows = []
        for number, (line, item, amounts) in enumerate(self.items):
            row = {name: plain(value) for name, value in line.items() if name not in _PRODUCT_COLUMNS and name != "id"}
            rows.append(
                row
                | {
                    "sale_id": document_id,
                    "line_number": first_number + number,
                    "origin_line_id": line["id"],
                    "quantity": -to_units(item.quantity),
                    "discount_share": -to_units(amounts.discount_share),
                    "tax_amount": -to_units(amounts.tax_amount),
                    "total_price": -to_units(amounts.total_price),
                    "restock": "restock" if item.restock else "scrap",
                    "flags": self.flags.get(number),
                }
            )
        return rows


def open_origin(session: Session, sale_id: int) -> Origin:
    """Return a document of which goods may come back, its first sale's row locked.

    Raises:
        NotFound: 404: no such sale, or not for this actor.
        Conflict: 409: it is cancelled, or itself no sale.
    """
    if session.scalar(visible_sales(session).where(Sale.id == sale_id).with_only_columns(Sale.id)) is None:
        raise NotFound("There is no such sale.", code="unknown-sale")
    root_id = lock_family(session, sale_id)
    row = session.execute(text("SELECT * FROM sale WHERE id = :id"), {"id": sale_id}).mappings().one()
    if row["kind"] not in ("sale", "exchange"):
        raise Conflict("Only a sale can be taken back.", code="not-a-sale")
    cancelled = text("SELECT 1 FROM sale WHERE origin_id = :id AND kind = 'cancellation'")
    if session.execute(cancelled, {"id": sale_id}).first() is not None:
        raise Conflict("A cancelled sale has nothing to return.", code="sale-cancelled")
    # What an exchange took back is no part of what it sold.
    lines = [line for line in session.execute(_LINES, {"id": sale_id}).mappings() if line["quantity"] > 0]
    came_back = {
        line.line: (
            from_units(int(line.quantity)),
            LineTotals(from_units(int(line.price)), from_units(int(line.share)), from_units(int(line.tax))),
        )
        for line in session.execute(_CAME_BACK, {"id": sale_id})
    }
    return Origin(row, root_id, lines, came_back)


def origin_of(session: Session, command: SaleCommand, *, is_offline: bool) -> Origin:
    """Return the origin that a sale's ``returns`` name.

    Raises:
        SaleNotSynced: 409: offline, and its ``external_id`` is not known yet.
        ValidationFailed: 422: there is no such sale, or not for this actor.
        Conflict: 409: it is cancelled, or itself no sale.
    """
    returns = command.returns
    assert returns is not None
    field_name, sale_id = "returns.sale_id", returns.sale_id
    if returns.external_id is not None:
        field_name, sale_id = "returns.external_id", _key_of(session, returns.external_id)
        if sale_id is None and is_offline:
            raise SaleNotSynced(returns.external_id)
    try:
        if sale_id is None:
            raise NotFound("There is no such sale.")
        return open_origin(session, sale_id)
    except NotFound as error:
        raise ValidationFailed.at(field_name, "There is no such sale.", code="unknown-sale") from error


def lock_family(session: Session, sale_id: int) -> int:
    """Lock the first sale of all that hangs together with a document, and return its key."""
    begin_writing(session.connection())
    root_id = int(session.execute(_ROOT, {"id": sale_id}).scalar_one())
    lock = " FOR UPDATE" if session.get_bind().dialect.name == "postgresql" else ""
    session.execute(text(f"SELECT id FROM sale WHERE id = :id{lock}"), {"id": root_id})
    return root_id


def lock_families(session: Session, returns: Sequence[SaleReturn]) -> None:
    """Lock what several documents will take back, in key order, before any of them locks a level."""
    begin_writing(session.connection())
    if session.get_bind().dialect.name != "postgresql" or not returns:
        return
    rows = session.execute(
        text(
            "WITH RECURSIVE up(id, origin_id) AS ("
            "  SELECT id, origin_id FROM sale WHERE id = ANY(:ids) OR external_id = ANY(:external_ids)"
            "  UNION SELECT s.id, s.origin_id FROM sale s JOIN up ON s.id = up.origin_id)"
            " SELECT id FROM sale WHERE id IN (SELECT id FROM up WHERE origin_id IS NULL) ORDER BY id FOR UPDATE"
        ),
        {
            "ids": [each.sale_id for each in returns if each.sale_id is not None],
            "external_ids": [each.external_id for each in returns if each.external_id is not None],
        },
    )
    rows.all()


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
            nothing of all of it is left.

    Raises:
        ValidationFailed: 422: an unknown line, or more than is left of it.
    """
    places = snapshot_of(session).setting("currency_places")
    taken: list[tuple[Row, ReturnItem, LineTotals]] = []
    cut, flags = [], {}
    for number, asked in enumerate(items):
        line = _line(origin, asked, f"{where}.{number}")
        before_quantity, before = origin.came_back.get(line["id"], (ZERO, NOTHING))
        left = from_units(line["quantity"]) - before_quantity
        item = asked
        if asked.quantity > left:
            what = (
                f"{line['product_name']}: {format_quantity(left)} of {format_quantity(asked.quantity)} can come back."
            )
            if not is_offline:
                message = f"Only {format_quantity(left)} can come back."
                raise ValidationFailed.at(f"{where}.{number}.quantity", message, code="returns-more-than-sold")
            cut.append(what)
            if not left:
                continue
            flags[len(taken)] = ["return-capped"]
            item = replace(asked, quantity=left)
        elif not is_offline and asked.quantity != left:
            _check_precision(session, line, asked.quantity, f"{where}.{number}.quantity")
        amounts = refund(
            _amounts(line),
            tax_inclusive=bool(line["tax_inclusive"]),
            sold_quantity=from_units(line["quantity"]),
            returned=before,
            returned_quantity=before_quantity,
            quantity=item.quantity,
            places=places,
        )
        origin.came_back[line["id"]] = (before_quantity + item.quantity, _sum(before, amounts))
        taken.append((line, item, amounts))
    if not taken:
        raise ValidationFailed.at(where, f"Nothing is left. {' '.join(cut)}", code="returns-more-than-sold")
    totals = sum_up(
        [amounts for _, _, amounts in taken], inclusive=[bool(line["tax_inclusive"]) for line, _, _ in taken]
    )
    return Returned(origin, taken, totals, kept_money(session, origin.root_id), reason, cut, flags)


def movements_back(session: Session, returned: Returned, document: Row, first_number: int) -> list[StockMovement]:
    """Return the goods' way back, into the lots they were taken from, last taken first, or to scrap.

    Args:
        document: With ``id``, ``kind``, ``warehouse_id``, ``channel`` and ``sale_date``.
        first_number: The number of the first line that comes back.
    """
    left = _taken_by_lot(session, returned.origin)
    at: datetime = as_instant(document["sale_date"])
    movements = []
    for number, (line, item, _) in enumerate(returned.items, first_number):
        wanted = to_units(item.quantity)
        for issued in reversed(left.get(line["id"], [])):
            units = min(issued["units"], wanted)
            if units <= 0:
                continue
            issued["units"] -= units
            wanted -= units
            movements.append(
                StockMovement(
                    product_id=line["product_id"],
                    variant_id=line["variant_id"],
                    lot_id=issued["lot_id"],
                    quantity=from_units(units),
                    source_id=CUSTOMER,
                    destination_id=document["warehouse_id"] if item.restock else SCRAP,
                    document_type=document["kind"],
                    document_id=document["id"],
                    document_line=number,
                    effect="return",
                    occurred_at=at,
                    unit_cost=None if issued["unit_cost"] is None else from_units(issued["unit_cost"]),
                    channel=document["channel"],
                )
            )
    return movements


def net_totals(sold: DocumentTotals, returned: DocumentTotals) -> DocumentTotals:
    """Return what a document comes to that sells and takes back; its lines are those sold."""
    return DocumentTotals(
        sold.lines,
        sold.subtotal - returned.subtotal,
        sold.tax_amount - returned.tax_amount,
        sold.discount_amount - returned.discount_amount,
        sold.total_amount - returned.total_amount,
    )


def plain(value: Any) -> Any:
    """Return a column's value as inserts take it: moments and days as text."""
    if isinstance(value, datetime):
        return format_instant(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _key_of(session: Session, external_id: str) -> int | None:
    key: int | None = session.execute(text("SELECT id FROM sale WHERE external_id = :id"), {"id": external_id}).scalar()
    return key


def _line(origin: Origin, item: ReturnItem, where: str) -> Row:
    for line in origin.lines:
        if line["id"] == item.line_id or line["line_number"] == item.position:
            return line
    name = "line_id" if item.position is None else "position"
    raise ValidationFailed.at(f"{where}.{name}", "Not a line of this sale.", code="unknown-line")


def _amounts(line: Row) -> LineTotals:
    return LineTotals(
        from_units(line["total_price"]), from_units(line["discount_share"]), from_units(line["tax_amount"])
    )


def _sum(one: LineTotals, other: LineTotals) -> LineTotals:
    return LineTotals(
        one.total_price + other.total_price,
        one.discount_share + other.discount_share,
        one.tax_amount + other.tax_amount,
    )


def _check_precision(session: Session, line: Row, quantity: Decimal, where: str) -> None:
    """Refuse half a piece; all that is left may come back, for a till that was offline may have sold half of one."""
    if line["unit_id"] is None or line["tracking"] == "none":
        return
    places = snapshot_of(session).units[line["unit_id"]].precision
    if quantity != round(quantity, places):
        raise ValidationFailed.at(where, f"At most {places} digits after the point in this unit.")


def _taken_by_lot(session: Session, origin: Origin) -> dict[int, list[dict[str, Any]]]:
    """Return, by line key, what the origin issued by lot less what came back."""
    by_number = {line["line_number"]: line["id"] for line in origin.lines}
    taken: dict[int, list[dict[str, Any]]] = {}
    for row in session.execute(_ISSUED, {"kind": origin.row["kind"], "id": origin.id}):
        taken.setdefault(by_number[row.document_line], []).append(
            {"lot_id": row.lot_id, "units": row.quantity, "unit_cost": row.unit_cost}
        )
    for row in session.execute(_CAME_BACK_BY_LOT, {"id": origin.id}):
        for issued in taken.get(row.line, []):
            if issued["lot_id"] == row.lot_id:
                issued["units"] -= int(row.quantity)
    return taken
