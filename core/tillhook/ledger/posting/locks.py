"""Every lock of the ledger, each kind taken in one order, so that no two documents deadlock.

Documents being undone come first, then levels by (variant, location, lot), then the products whose alerts and
totals are looked at. The whole order is in docs/architecture.md. On SQLite the writer's lock is all there is to take.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tillhook.db import AdvisoryLock, advisory_lock, begin_writing, json_records, records
from tillhook.ledger.models import StockLevel
from tillhook.ledger.posting.items import ItemKey
from tillhook.ledger.posting.values import Document, LevelKey
from tillhook.quantities import to_units

#: Products are told apart modulo this: a lock takes room in PostgreSQL's memory, where some 6,400 fit by default.
_PRODUCT_LOCKS = 4096
_KEY = ("v", "p", "t")
# Locks the rows that are there, without changing them, and makes the others, all in one order.
_TAKE = """
INSERT INTO stock_level AS l (variant_id, location_id, lot_id, on_hand, reserved, updated_at)
SELECT v, p, t, 0, 0, now() FROM {keys} ORDER BY v, p, t
ON CONFLICT (variant_id, location_id, lot_id) DO UPDATE SET reserved = l.reserved WHERE false
"""
_TAKE_KEYS = text(_TAKE.format(keys="json_to_recordset(CAST(:keys AS json)) AS k(v bigint, p bigint, t bigint)"))
_ITEM = ("w", "p", "v")
_ITEMS = "json_to_recordset(CAST(:items AS json)) AS k(w bigint, p bigint, v bigint)"
_TAKE_ITEMS = text(
    "WITH item AS (SELECT DISTINCT y.id AS v, k.w AS p"
    f" FROM {_ITEMS} JOIN product ON product.id = k.p AND product.tracking <> 'none'"
    " JOIN variant y ON y.product_id = k.p AND (y.id = k.v OR (k.v IS NULL AND y.is_default)))"
    + _TAKE.format(
        # With every lot that is there; what is sold short of lots is taken from none.
        keys="(SELECT v, p, 0 AS t FROM item UNION SELECT v, p, x.lot_id FROM item"
        " JOIN stock_level x ON x.variant_id = v AND x.location_id = p) AS k"
    )
)
# Those whose totals are more than one level; see effects.stock_changed.
_SUMMED = text(
    "SELECT product.id FROM product WHERE product.tracking <> 'none'"
    f" AND product.id IN (SELECT k.p FROM {_ITEMS})"
    " AND (:all OR product.has_variants OR product.tracking = 'lot' OR 1 < (SELECT count(*)"
    " FROM variant y JOIN stock_level x ON x.variant_id = y.id WHERE y.product_id = product.id))"
)


@dataclass(slots=True)
class Level:
    """On hand and reserved at one key, in units of 1/10,000."""

    on_hand: int = 0
    reserved: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


def lock_documents(session: Session, documents: Iterable[Document]) -> None:
    """Let one transaction at a time undo movements of these documents, or of what they undid."""
    begin_writing(session.connection())
    keys = {zlib.crc32(f"{document.type} {document.id}".encode()) for document in documents}
    if keys:
        advisory_lock(session, AdvisoryLock.DOCUMENT, keys)


def lock_levels(session: Session, keys: Iterable[LevelKey]) -> dict[LevelKey, Level]:
    """Lock the levels in key order and return them as they are now, expired reservations counted in.

    A level that does not exist yet is returned as zero.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    begin_writing(session.connection())
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_TAKE_KEYS, {"keys": json_records(wanted, *_KEY)})
    table, key = records(session, wanted, *_KEY), (StockLevel.variant_id, StockLevel.location_id, StockLevel.lot_id)
    rows = session.execute(
        select(*key, StockLevel.on_hand, StockLevel.reserved).join(
            table, (key[0] == table.c.v) & (key[1] == table.c.p) & (key[2] == table.c.t)
        )
    )
    levels = {key: Level() for key in wanted}
    for *found, on_hand, reserved in rows:
        levels[LevelKey(*found)] = Level(to_units(on_hand), to_units(reserved))
    return levels


def lock_products(session: Session, product_ids: Iterable[int]) -> None:
    """Let one transaction at a time look at the products' totals, which are several rows."""
    advisory_lock(session, AdvisoryLock.STOCK_ALERTS, {product_id % _PRODUCT_LOCKS for product_id in product_ids})


def lock_goods(session: Session, goods: Iterable[ItemKey]) -> None:
    """Lock the levels and products of goods, for a transaction that posts several documents one after another.

    Each document takes its levels in order, but a later one would take some that come before those of an earlier
    one. What is unknown or not tracked is left out.
    """
    if session.get_bind().dialect.name != "postgresql":
        return
    wanted = set(goods)
    if not wanted:
        return
    items = json_records(wanted, *_ITEM)
    session.execute(_TAKE_ITEMS, {"items": items})
    several = len({warehouse for warehouse, _, _ in wanted}) > 1
    lock_products(session, session.scalars(_SUMMED, {"items": items, "all": several}))
