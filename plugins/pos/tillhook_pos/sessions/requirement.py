"""With the setting ``pos.require_session``: no sale at the counter without an open till."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from tillhook.errors import Conflict
from tillhook.runtime import snapshot_of
from tillhook.sales import PostedSale, SaleDraft
from tillhook_pos.documents import CHANNEL, PERSONAL, till_name

SETTING = "pos.require_session"

# A person's sales that name no device also go to a till that the person opened and that no device's key is bound to.
_OPEN = """
SELECT p.id FROM pos_session p JOIN pos_till t ON t.id = p.till_id
 WHERE p.closed_at IS NULL AND p.warehouse_id = :warehouse
   AND (t.name = :till OR (:is_personal AND p.opened_by = :seller
        AND NOT EXISTS (SELECT 1 FROM api_key k WHERE k.device = t.name)))
 ORDER BY p.id LIMIT 1
"""


def check_sale(session: Session, draft: SaleDraft) -> None:
    """Refuse a sale that is being made at a counter whose till is closed.

    What happened offline has happened, and lands in the next session.
    """
    if draft.channel.name == CHANNEL and not draft.is_offline and snapshot_of(session).setting(SETTING):
        _require_open(session, draft.command.source_device, draft.seller_id, draft.warehouse_id)


def check_taken_back(session: Session, document: PostedSale) -> None:
    """Refuse a return or a cancellation likewise, for its money comes out of a drawer too."""
    shown = document.sale
    if document.channel == CHANNEL and not shown["is_offline"] and snapshot_of(session).setting(SETTING):
        _require_open(session, shown["source_device"], shown["seller"], document.warehouse_id)


def _require_open(session: Session, source_device: str, seller_id: int | None, warehouse_id: int) -> None:
    till = till_name(source_device, seller_id)
    # Closing waits until the sale is there, and a sale until the till is closed: each is in the session it saw open.
    lock = " FOR SHARE OF p" if session.get_bind().dialect.name == "postgresql" else ""
    found = session.execute(
        text(_OPEN + lock),
        {"warehouse": warehouse_id, "till": till, "is_personal": till.startswith(PERSONAL), "seller": seller_id},
    )
    if found.first() is None:
        raise Conflict(
            f"The till {till} has no open session.",
            code="no-open-session",
            till=till,
            hint="Open one with POST /api/pos/sessions, its opening_float being the cash in the drawer.",
        )
