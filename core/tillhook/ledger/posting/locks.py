"""Every lock of the ledger, each kind taken in one order, so that no two documents deadlock.

Documents being undone come first, then levels by (variant, location, lot). The whole order is in docs/architecture.md.
On SQLite the writer's lock is all there is to take.
"""

import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.orm import Session

from tillhook.db import AdvisoryLock, advisory_lock, among, begin_writing, json_records
from tillhook.ledger.models import StockLevel
from tillhook.ledger.posting.values import Document, LevelKey
from tillhook.products.models import Variant
from tillhook.quantities import to_units

_KEY = ("v", "p", "t")
# Missing rows are made first, so that there is a row to lock.
_MAKE = text(
    "INSERT INTO stock_level (variant_id, location_id, lot_id, on_hand, reserved, updated_at)"
    " SELECT v, p, t, 0, 0, now() FROM json_to_recordset(CAST(:keys AS json)) AS k(v bigint, p bigint, t bigint)"
    " ORDER BY v, p, t ON CONFLICT DO NOTHING"
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

    With them come all other levels of their products, so that nobody changes a product's total meanwhile. A level that
    does not exist yet is returned as zero.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_MAKE, {"keys": json_records(wanted, *_KEY)})
    products = select(Variant.product_id).where(among(Variant.id, sorted({key.variant_id for key in wanted})))
    levels = {key: Level() for key in wanted}
    for *found, on_hand, reserved in _locked(session, Variant.product_id.in_(products)):
        key = LevelKey(*found)
        if key in levels:
            levels[key] = Level(to_units(on_hand), to_units(reserved))
    return levels


def lock_products(session: Session, product_ids: Collection[int]) -> None:
    """Lock all levels of the products, in key order."""
    _locked(session, among(Variant.product_id, product_ids))


def _locked(session: Session, condition: ColumnElement[bool]) -> Sequence[Any]:
    key = (StockLevel.variant_id, StockLevel.location_id, StockLevel.lot_id)
    return session.execute(
        select(*key, StockLevel.on_hand, StockLevel.reserved)
        .join(Variant, Variant.id == StockLevel.variant_id)
        .where(condition)
        .order_by(*key)
        .with_for_update(of=StockLevel)
    ).all()
