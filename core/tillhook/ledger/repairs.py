"""Making anew what the ledger derives: levels from movements, reserved stock from reservations, alerts from levels."""

from decimal import Decimal
from typing import Any, cast

from sqlalchemy import Connection, Table, TextClause, bindparam, text
from sqlalchemy.orm import Session

from tillhook.db import Exact, insert_or, lock_table, utc_now, without_limits
from tillhook.ledger.models import StockLevel
from tillhook.ledger.posting.effects import availability_changed, refresh_alerts, resolve_places
from tillhook.ledger.posting.values import LevelKey
from tillhook.quantities import from_units
from tillhook.runtime import snapshot_of


def _unequal(due: str, column: str) -> TextClause:
    """Return the query of the levels whose ``column`` is not the quantity that the rows of ``due`` come to."""
    return text(
        f"""
        WITH due AS (
            SELECT variant_id, location_id, lot_id, SUM(quantity) AS quantity FROM ({due}) AS d
             GROUP BY variant_id, location_id, lot_id
        ),
        keys AS (
            SELECT variant_id, location_id, lot_id FROM due
            UNION SELECT variant_id, location_id, lot_id FROM stock_level
        )
        SELECT k.variant_id, k.location_id, k.lot_id,
               COALESCE(d.quantity, 0) AS expected, COALESCE(l.{column}, 0) AS actual
          FROM keys k
          LEFT JOIN due d ON d.variant_id = k.variant_id AND d.location_id = k.location_id AND d.lot_id = k.lot_id
          LEFT JOIN stock_level l
                 ON l.variant_id = k.variant_id AND l.location_id = k.location_id AND l.lot_id = k.lot_id
         WHERE COALESCE(d.quantity, 0) <> COALESCE(l.{column}, 0)
         ORDER BY 1, 2, 3
        """
    )


#: Levels whose on hand is not what their movements come to, with both in units of 1/10,000.
WRONG_ON_HAND = _unequal(
    "SELECT variant_id, destination_id AS location_id, lot_id, quantity FROM stock_movement WHERE destination_id > 0"
    " UNION ALL SELECT variant_id, source_id, lot_id, -quantity FROM stock_movement WHERE source_id > 0",
    "on_hand",
)
#: Levels whose reserved is not what their reservations come to.
WRONG_RESERVED = _unequal(
    "SELECT variant_id, location_id, lot_id, quantity FROM reservation WHERE released_at IS NULL", "reserved"
)
# A place is low when it has levels and what they come to is below its threshold.
_ALERTS = text(
    """
    WITH stock AS (
        SELECT v.product_id, l.location_id, SUM(l.on_hand) AS on_hand
          FROM stock_level l JOIN variant v ON v.id = l.variant_id GROUP BY v.product_id, l.location_id
    ),
    due AS (
        SELECT s.product_id, s.location_id, s.on_hand,
               p.tracking <> 'none' AND s.on_hand < COALESCE(t.threshold, p.low_stock_threshold, :threshold) AS is_low
          FROM stock s JOIN product p ON p.id = s.product_id
          LEFT JOIN stock_threshold t ON t.product_id = s.product_id AND t.warehouse_id = s.location_id
    )
    SELECT d.product_id, d.location_id AS warehouse_id, CASE WHEN d.is_low THEN 'open' ELSE 'none' END AS expected
      FROM due d
      LEFT JOIN stock_alert a ON a.product_id = d.product_id AND a.warehouse_id = d.location_id AND a.status = 'open'
     WHERE d.is_low = (a.id IS NULL)
    UNION ALL
    SELECT a.product_id, a.warehouse_id, 'none' FROM stock_alert a
     WHERE a.status = 'open' AND NOT EXISTS (
           SELECT 1 FROM stock s WHERE s.product_id = a.product_id AND s.location_id = a.warehouse_id)
     ORDER BY 1, 2
    """
).bindparams(bindparam("threshold", type_=Exact))


def wrong_alerts(connection: Connection, threshold: Decimal) -> list[Any]:
    """Return product, warehouse and what is ``expected``, ``open`` or ``none``, wherever it is the other.

    Args:
        threshold: The setting's, for products without one of their own.
    """
    return list(connection.execute(_ALERTS, {"threshold": threshold}))


def review_alerts(session: Session) -> None:
    """Open the low-stock alerts that are missing, and resolve those that must not be open."""
    session.flush()
    threshold = Decimal(snapshot_of(session).setting("low_stock_threshold"))
    wrong = wrong_alerts(session.connection(), threshold)
    resolve_places(session, [(row.product_id, row.warehouse_id) for row in wrong if row.expected == "none"])
    refresh_alerts(session, {row.product_id for row in wrong if row.expected == "open"})


def repair_on_hand(session: Session) -> None:
    """Set what levels have on hand to what their movements come to."""
    _set_levels(session, WRONG_ON_HAND, "on_hand")


def repair_reserved(session: Session) -> None:
    """Set what levels have reserved to what their open reservations come to."""
    _set_levels(session, WRONG_RESERVED, "reserved")


def repair_alerts(session: Session) -> None:
    """Open the low-stock alerts that are missing, and resolve those that must not be open.

    No other change of stock is under way meanwhile.
    """
    _lock_levels(session)
    review_alerts(session)


def _lock_levels(session: Session) -> Connection:
    connection = session.connection()
    without_limits(connection)
    lock_table(connection, StockLevel.__tablename__)
    return connection


def _set_levels(session: Session, wrong: TextClause, column: str) -> None:
    connection = _lock_levels(session)
    rows = list(connection.execute(wrong))
    if not rows:
        return
    table, now = cast(Table, StockLevel.__table__), utc_now()
    statement = insert_or(connection, table)
    mended = {column: statement.excluded[column], "updated_at": now}
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=mended),
        [
            {"variant_id": variant, "location_id": location, "lot_id": lot, column: from_units(int(expected))}
            for variant, location, lot, expected, _ in rows
        ],
    )
    availability_changed(session, (LevelKey(*row[:3]) for row in rows))
