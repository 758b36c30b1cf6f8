"""The turn of the day: what expired with it is no longer available, which is told though nothing moved."""

from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tillhook.db import records, utc_now
from tillhook.ledger.expiry import today_of
from tillhook.ledger.models import Lot, StockLevel
from tillhook.ledger.posting.effects import availability_changed
from tillhook.ledger.posting.locks import lock_levels
from tillhook.ledger.posting.values import LevelKey
from tillhook.reference import Calendar
from tillhook.runtime import snapshot_of

#: A worker that was down for longer does not make up for it.
_LATE = timedelta(days=30)
#: The most levels that one transaction tells of.
_CHUNK = 500


def tell_expired(session: Session) -> int:
    """Record what is available of products with a lot that has expired since its level last changed; return how many.

    The level's ``updated_at`` says that it is told.
    """
    today, calendar = today_of(session), Calendar.of(snapshot_of(session))
    key = (StockLevel.variant_id, StockLevel.location_id, StockLevel.lot_id)
    rows = session.execute(
        select(*key, StockLevel.updated_at, Lot.expiry_date)
        .join(Lot, (Lot.id == StockLevel.lot_id) & (Lot.variant_id == StockLevel.variant_id))
        .where(Lot.expiry_date < today, Lot.expiry_date >= today - _LATE, StockLevel.on_hand > 0)
    )
    expired = [
        LevelKey(*level) for *level, updated_at, last_day in rows if last_day and updated_at < calendar.end(last_day)
    ]
    keys = expired[:_CHUNK]
    if not keys:
        return 0
    lock_levels(session, keys)
    k = records(session, keys, "v", "p", "t")
    session.execute(
        update(StockLevel)
        .where(key[0] == k.c.v, key[1] == k.c.p, key[2] == k.c.t)
        .values(updated_at=utc_now())
        .execution_options(synchronize_session=False)
    )
    availability_changed(session, keys)
    return len(keys)
