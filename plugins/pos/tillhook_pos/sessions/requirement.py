"""With the setting ``pos.require_session``: no sale at the counter without an open till."""

from datetime import datetime

from sqlalchemy import and_, literal, or_, select
from sqlalchemy.orm import Session

from tillhook.db import RetryTransaction
from tillhook.errors import Conflict
from tillhook.runtime import snapshot_of
from tillhook.sales import PostedSale, SaleDraft
from tillhook_pos.documents import CHANNEL, PERSONAL, till_name
from tillhook_pos.models import Till, TillSession
from tillhook_pos.sessions.drawers import NAMES_ITSELF

SETTING = "pos.require_session"


def check_sale(session: Session, draft: SaleDraft) -> None:
    """Refuse a sale that is being made at a counter whose till is closed.

    What happened offline has happened, and lands in the next session.
    """
    if draft.channel.name == CHANNEL and not draft.is_offline and snapshot_of(session).setting(SETTING):
        opened_at = _require_open(session, draft.command.source_device, draft.seller_id, draft.warehouse_id)
        if opened_at > draft.recorded_at:
            # Planned while the till was closed: it would be late in the session that it has found.
            raise RetryTransaction


def check_taken_back(session: Session, document: PostedSale) -> None:
    """Refuse a return or a cancellation likewise, for its money comes out of a drawer too."""
    shown = document.sale
    if document.channel == CHANNEL and not shown["is_offline"] and snapshot_of(session).setting(SETTING):
        _require_open(session, shown["source_device"], shown["seller"], document.warehouse_id)


def _require_open(session: Session, source_device: str, seller_id: int | None, warehouse_id: int) -> datetime:
    """Return when the session of the till that is open was opened."""
    till = till_name(source_device, seller_id)
    # Sales that name no device also go to a till that the person opened and that no device's key is bound to.
    is_person_s = and_(literal(till.startswith(PERSONAL)), TillSession.opened_by == seller_id, ~NAMES_ITSELF)
    statement = (
        select(TillSession.opened_at)
        .join(Till, Till.id == TillSession.till_id)
        .where(TillSession.closed_at.is_(None), TillSession.warehouse_id == warehouse_id)
        .where(or_(Till.name == till, is_person_s))
        .order_by(TillSession.id)
        .limit(1)
    )
    # Closing waits until the sale is there, and a sale until the till is closed: each is in the session it saw open.
    opened_at = session.scalar(statement.with_for_update(read=True, of=TillSession))
    if opened_at is None:
        raise Conflict(
            f"The till {till} has no open session.",
            code="pos-no-open-session",
            till=till,
            hint="Open one with POST /api/pos/sessions, its opening_float being the cash in the drawer.",
        )
    return opened_at
