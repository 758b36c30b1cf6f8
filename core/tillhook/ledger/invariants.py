"""What must always be true of the ledger; recomputed from the append-only rows by ``tillhook verify``."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from tillhook.hooks import Difference, Invariant
from tillhook.ledger.repairs import (
    WRONG_ON_HAND,
    WRONG_RESERVED,
    repair_alerts,
    repair_on_hand,
    repair_reserved,
    wrong_alerts,
)
from tillhook.quantities import from_units
from tillhook.runtime import runtime_of

# What undoes a movement takes the same goods from where it brought them.
_REVERSALS = text(
    """
    SELECT r.id, r.reverses_id, o.quantity AS expected, r.quantity AS actual FROM stock_movement r
      LEFT JOIN stock_movement o ON o.id = r.reverses_id
     WHERE r.reverses_id IS NOT NULL AND (o.id IS NULL OR o.quantity < r.quantity OR o.destination_id <> r.source_id
           OR o.variant_id <> r.variant_id OR o.lot_id <> r.lot_id)
    """
)
# What undoes a movement can itself be undone, and so on: every second one counts against it.
_UNDONE = text(
    """
    WITH RECURSIVE undoing(root_id, id, quantity) AS (
        SELECT reverses_id, id, quantity FROM stock_movement WHERE reverses_id IS NOT NULL
        UNION ALL
        SELECT u.root_id, m.id, CASE WHEN u.quantity > 0 THEN -m.quantity ELSE m.quantity END
          FROM undoing u JOIN stock_movement m ON m.reverses_id = u.id
    )
    SELECT o.id, o.quantity AS expected, SUM(u.quantity) AS actual
      FROM undoing u JOIN stock_movement o ON o.id = u.root_id
     GROUP BY o.id, o.quantity HAVING SUM(u.quantity) > o.quantity OR SUM(u.quantity) < 0
    """
)
# What a movement names must be there; the hot tables carry few foreign keys.
_MOVEMENTS = text(
    """
    SELECT m.id FROM stock_movement m
      LEFT JOIN variant v ON v.id = m.variant_id AND v.product_id = m.product_id
      LEFT JOIN location s ON s.id = m.source_id
      LEFT JOIN location d ON d.id = m.destination_id
      LEFT JOIN lot t ON t.id = m.lot_id AND t.variant_id = m.variant_id
     WHERE v.id IS NULL OR s.id IS NULL OR d.id IS NULL OR (m.lot_id <> 0 AND t.id IS NULL)
    """
)
_DOCUMENTS = text(
    """
    SELECT 'stock movement' AS what, m.id FROM stock_movement m
      LEFT JOIN stock_document d ON d.id = m.document_id AND d.kind = m.document_type
     WHERE m.document_type IN ('receipt', 'adjustment', 'transfer', 'count') AND d.id IS NULL
    UNION ALL
    SELECT 'stock document', d.id FROM stock_document d
     WHERE d.kind <> 'count'
       AND NOT EXISTS (SELECT 1 FROM stock_movement m WHERE m.document_type = d.kind AND m.document_id = d.id)
    UNION ALL
    SELECT 'stock document', d.id FROM stock_document d
     WHERE d.kind = 'count' AND NOT EXISTS (SELECT 1 FROM stock_count_line l WHERE l.document_id = d.id)
    UNION ALL
    SELECT 'line of a count', l.id FROM stock_count_line l
      LEFT JOIN stock_document d ON d.id = l.document_id AND d.kind = 'count'
      LEFT JOIN stock_movement m ON m.document_type = 'count' AND m.document_id = l.document_id
            AND m.document_line = l.line_number AND m.variant_id = l.variant_id AND m.lot_id = l.lot_id
     WHERE d.id IS NULL
        OR l.counted - l.expected <> COALESCE(CASE WHEN m.destination_id > 0 THEN m.quantity ELSE -m.quantity END, 0)
    """
)
_SERIES = text(
    """
    SELECT s.name, s.last AS expected, COUNT(d.id) AS actual FROM number_series s
      LEFT JOIN stock_document d ON s.name = 'stock_document.' || d.kind
     WHERE s.name LIKE 'stock_document.%' GROUP BY s.name, s.last HAVING COUNT(d.id) <> s.last
    """
)


def _levels(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(WRONG_ON_HAND):
        yield _difference("stock levels", row, "on hand")


def _reserved(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(WRONG_RESERVED):
        yield _difference("reserved stock", row, "reserved")


def _alerts(connection: Connection) -> Iterator[Difference]:
    settings = runtime_of(connection).snapshots.current(connection)
    for row in wrong_alerts(connection, Decimal(settings.setting("low_stock_threshold"))):
        yield Difference(
            invariant="alerts",
            subject=f"product {row.product_id} at warehouse {row.warehouse_id}: low-stock alert",
            expected=row.expected,
            actual="none" if row.expected == "open" else "open",
        )


def _reversals(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_REVERSALS):
        yield Difference(
            invariant="reversals",
            subject=f"movement {row.id} reverses {row.reverses_id}",
            expected=_units(row.expected),
            actual=_units(row.actual),
        )
    for row in connection.execute(_UNDONE):
        yield Difference(
            invariant="reversals",
            subject=f"movement {row.id}: undone, at most",
            expected=_units(row.expected),
            actual=_units(row.actual),
        )


def _movements(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_MOVEMENTS):
        yield Difference(
            invariant="movements",
            subject=f"movement {row.id}: its product, variant, lot or locations",
            expected="known",
            actual="unknown",
        )


def _documents(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_DOCUMENTS):
        yield Difference(invariant="stock documents", subject=f"{row.what} {row.id}", expected="whole", actual="half")


def _series(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_SERIES):
        yield Difference(
            invariant="number series", subject=row.name, expected=str(row.expected), actual=str(row.actual)
        )


def _difference(invariant: str, row: Any, what: str) -> Difference:
    variant_id, location_id, lot_id, expected, actual = row
    lot = f", lot {lot_id}" if lot_id else ""
    return Difference(
        invariant=invariant,
        subject=f"variant {variant_id} at location {location_id}{lot}: {what}",
        expected=_units(expected),
        actual=_units(actual),
    )


def _units(value: int | None) -> str:
    return "none" if value is None else f"{from_units(int(value)):f}"


INVARIANTS = (
    Invariant(name="stock levels", check=_levels, repair=repair_on_hand),
    Invariant(name="reserved stock", check=_reserved, repair=repair_reserved),
    Invariant(name="alerts", check=_alerts, repair=repair_alerts),
    Invariant(name="reversals", check=_reversals),
    Invariant(name="movements", check=_movements),
    Invariant(name="stock documents", check=_documents),
    Invariant(name="number series", check=_series),
)
