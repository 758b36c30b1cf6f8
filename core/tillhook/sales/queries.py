"""Reading the journal."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select, text
from sqlalchemy.orm import Session

from tillhook.access import sees_all_sales, visible_warehouses
from tillhook.db import Json, grouped
from tillhook.errors import NotFound
from tillhook.ledger.models import CUSTOMER
from tillhook.runtime import actor_of, snapshot_of
from tillhook.sales.answers import NONE, Row, show_sale
from tillhook.sales.commands import body_digest
from tillhook.sales.models import Sale

# Plain rows instead of mapped objects: they have the shape that a new sale's rows have.
_SALES = """
SELECT sale.*, sale_sent.warnings FROM sale LEFT JOIN sale_sent ON sale_sent.sale_id = sale.id WHERE sale.id {among}
"""
_LINES = """
SELECT l.*, v.is_default FROM sale_line l JOIN variant v ON v.id = l.variant_id
WHERE l.sale_id {among} ORDER BY l.sale_id, l.line_number
"""
_PAYMENTS = "SELECT * FROM sale_payment WHERE sale_id {among} ORDER BY sale_id, id"
# What takes a sale back.
_TAKEN_BACK = "SELECT origin_id, kind, reason, created_at FROM sale WHERE origin_id {among} ORDER BY id"
# What went to the customer, and with a minus what came from there.
_LOTS = f"""
SELECT s.id AS sale_id, m.document_line, b.batch_number, b.expiry_date,
  CASE m.destination_id WHEN {CUSTOMER} THEN m.quantity ELSE -m.quantity END AS quantity,
  (SELECT CAST(COALESCE(SUM(r.quantity), 0) AS BIGINT) FROM stock_movement r
    WHERE r.reverses_id = m.id AND r.document_type IN ('return', 'exchange')) AS returned_quantity
FROM sale s JOIN stock_movement m ON m.document_type = s.kind AND m.document_id = s.id JOIN lot b ON b.id = m.lot_id
WHERE s.id {{among}} AND {CUSTOMER} IN (m.source_id, m.destination_id) ORDER BY m.id
"""
_RETURNED = """
SELECT r.origin_line_id, -SUM(r.quantity) AS quantity FROM sale_line r JOIN sale s ON s.id = r.sale_id
WHERE s.origin_id {among} AND s.kind IN ('return', 'exchange') AND r.origin_line_id IS NOT NULL
GROUP BY r.origin_line_id
"""
_REPEATED = "SELECT external_id, id, body_digest FROM sale WHERE external_id {among}"


def find_repeated(session: Session, bodies: Sequence[Any]) -> dict[int, dict[str, Any]]:
    """Return the sales that the actor posted before with the very same bodies, by the body's position."""
    known = find_repeated_ids(session, bodies)
    shown = sales_by_id(session, known.values())
    return {position: shown[sale_id] for position, sale_id in known.items()}


def find_repeated_ids(session: Session, bodies: Sequence[Any]) -> dict[int, int]:
    """Return the keys of what :func:`find_repeated` returns.

    It saves checking and pricing a batch that a device sends again; what is written differently is left for the
    journal to compare.
    """
    seller_id = actor_of(session).user_id
    wanted: dict[str, list[int]] = {}
    for position, body in enumerate(bodies):
        external_id = body.get("external_id") if isinstance(body, dict) else None
        if isinstance(external_id, str):
            wanted.setdefault(external_id.lower(), []).append(position)
    if not wanted:
        return {}
    return {
        position: row["id"]
        for row in _rows(session, _REPEATED, list(wanted))
        for position in wanted[row["external_id"]]
        if row["body_digest"] == body_digest(bodies[position], seller_id)
    }


def sales_by_id(session: Session, sale_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return the API's answers for documents of the journal, by key, in six statements however many they are."""
    ids = sorted(set(sale_ids))
    if not ids:
        return {}
    sales = _rows(session, _SALES, ids, warnings=Json)
    lines = grouped((row["sale_id"], row) for row in _rows(session, _LINES, ids, flags=Json))
    payments = grouped((row["sale_id"], row) for row in _rows(session, _PAYMENTS, ids))
    lots = _lots_of(session, lines)
    taken_back = grouped((row["origin_id"], row) for row in _rows(session, _TAKEN_BACK, ids))
    returned = {row["origin_line_id"]: int(row["quantity"]) for row in _rows(session, _RETURNED, ids)}
    snapshot = snapshot_of(session)
    return {
        row["id"]: show_sale(
            row,
            lines.get(row["id"], ()),
            payments.get(row["id"], ()),
            warehouse_name=snapshot.warehouses[row["warehouse_id"]].name,
            default_variants={line["variant_id"] for line in lines.get(row["id"], ()) if line["is_default"]},
            lots=lots.get(row["id"], NONE),
            taken_back=taken_back.get(row["id"], ()),
            returned=returned,
            warnings=row["warnings"] or (),
        )
        for row in sales
    }


def _lots_of(session: Session, lines: Mapping[int, Sequence[Row]]) -> dict[int, dict[int, list[Row]]]:
    """Return what documents took of which lots, by key and number of the line, in the order of issue."""
    # A line that took lots names them.
    ids = [sale_id for sale_id, own in lines.items() if any(line["batch_number"] is not None for line in own)]
    if not ids:
        return {}
    found = grouped((row["sale_id"], row) for row in _rows(session, _LOTS, ids))
    return {sale_id: grouped((row["document_line"], row) for row in rows) for sale_id, rows in found.items()}


def visible_sales(session: Session) -> Select[Sale]:
    """Return the query of what the actor may see: own warehouses, and own sales unless more is granted."""
    actor = actor_of(session)
    query = select(Sale)
    warehouses = visible_warehouses(actor)
    if warehouses is not None:
        query = query.where(Sale.warehouse_id.in_(sorted(warehouses)))
    if not sees_all_sales(actor):
        query = query.where(Sale.seller_id == actor.user_id)
    return query


def require_visible(session: Session, sale_id: int) -> None:
    """Refuse a document that the actor may not see, as if it were not there.

    Raises:
        NotFound: 404 ``unknown-sale``.
    """
    if session.scalar(visible_sales(session).where(Sale.id == sale_id).with_only_columns(Sale.id)) is None:
        raise NotFound("There is no such sale.", code="unknown-sale")


def get_sale(session: Session, sale_id: int) -> dict[str, Any]:
    """Return one document.

    Raises:
        NotFound: 404: there is none, or the actor may not see it.
    """
    require_visible(session, sale_id)
    return sales_by_id(session, [sale_id])[sale_id]


def _rows(session: Session, statement: str, keys: Sequence[Any], **types: Any) -> list[Row]:
    """Return the statement's rows as dicts, ``{among}`` in it standing for the keys.

    The keys are one parameter: the driver takes longer to read a statement of 500 than the database to answer it. And
    they are dicts because each of their values is looked up, which is where a mapping's time goes. ``types`` says of
    columns what the driver cannot know: SQLite keeps JSON as text.
    """
    parameter: Any
    if session.get_bind().dialect.name == "postgresql":
        among, parameter = "= ANY(:keys)", list(keys)
    else:
        among, parameter = "IN (SELECT value FROM json_each(:keys))", json.dumps(list(keys))
    query = text(statement.format(among=among)).columns(**types)
    result = session.execute(query, {"keys": parameter})
    names = tuple(result.keys())
    return [dict(zip(names, row, strict=True)) for row in result]
