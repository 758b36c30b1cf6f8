"""Every lock of the ledger, each kind taken in one order, so that no two documents deadlock.

Documents being undone come first, then levels by (variant, location, lot). The whole order is in docs/architecture.md.
On SQLite the writer's lock is all there is to take.
"""

import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tillhook.db import AdvisoryLock, advisory_lock, among, begin_writing, json_records, records
from tillhook.ledger.models import StockLevel
from tillhook.ledger.posting.items import ItemKey
from tillhook.ledger.posting.values import Document, LevelKey
from tillhook.products.models import Variant
from tillhook.quantities import to_units

_KEY = ("v", "p", "t")
_ITEM = ("w", "p", "v")
# Locks the rows that are there, without changing them, and makes the others, all in one order.
_TAKE = """
WITH k AS ({keys})
INSERT INTO stock_level AS l (variant_id, location_id, lot_id, on_hand, reserved, updated_at)
SELECT v, p, t, 0, 0, now() FROM (
  SELECT v, p, t FROM k UNION
  SELECT x.variant_id, x.location_id, x.lot_id FROM k
  JOIN variant a ON a.id = k.v JOIN variant b ON b.product_id = a.product_id JOIN stock_level x ON x.variant_id = b.id
) AS every ORDER BY v, p, t
ON CONFLICT (variant_id, location_id, lot_id) DO UPDATE SET reserved = l.reserved WHERE false
"""
_TAKE_KEYS = text(
    _TAKE.format(keys="SELECT v, p, t FROM json_to_recordset(CAST(:keys AS json)) AS j(v bigint, p bigint, t bigint)")
)
_TAKE_ITEMS = text(
    _TAKE.format(
        keys="SELECT y.id AS v, j.w AS p, 0 AS t"
        " FROM json_to_recordset(CAST(:items AS json)) AS j(w bigint, p bigint, v bigint)"
        " JOIN product ON product.id = j.p AND product.tracking <> 'none'"
        " JOIN variant y ON y.product_id = j.p AND (y.id = j.v OR (j.v IS NULL AND y.is_default))"
    )
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
    keys = {zlib.crc32(f"{document.type} {document.id}".encode()) for document in documents}
    if keys:
        begin_writing(session.connection())
        advisory_lock(session, AdvisoryLock.DOCUMENT, keys)


def lock_levels(session: Session, keys: Iterable[LevelKey]) -> dict[LevelKey, Level]:
    """Lock the levels in key order and return them as they are now, expired reservations counted in.

    With them come all other levels of their products, so that nobody changes a product's total meanwhile. A level that
    does not exist yet is returned as zero.
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


def lock_products(session: Session, product_ids: Collection[int]) -> None:
    """Lock all levels of the products, so that nobody changes their totals meanwhile."""
    found = session.execute(
        select(StockLevel.variant_id, StockLevel.location_id, StockLevel.lot_id)
        .join(Variant, Variant.id == StockLevel.variant_id)
        .where(among(Variant.product_id, product_ids))
    )
    lock_levels(session, [LevelKey(*row) for row in found])


def lock_goods(session: Session, goods: Iterable[ItemKey]) -> None:
    """Lock the levels of goods, for a transaction that posts several documents one after another.

    Each document takes its levels in order, but a later one would take some that come before those of an earlier
    one. What is unknown or not tracked is left out.
    """
    wanted = set(goods)
    if wanted and session.get_bind().dialect.name == "postgresql":
        session.execute(_TAKE_ITEMS, {"items": json_records(wanted, *_ITEM)})
