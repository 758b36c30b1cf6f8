"""Whose document is whose: what a session has taken, or would take if it closed now.

Nothing is looked up when a sale is posted. A session claims when it closes, and until then its documents are those of
its drawer that no session has claimed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import and_, exists, literal, or_, select, update
from sqlalchemy.orm import Session

from tillhook.access import ApiKey
from tillhook.db import among
from tillhook.sales import NO_DEVICE, Sale
from tillhook_pos.documents import PERSONAL, till_name
from tillhook_pos.models import CounterDocument, Till, TillSession

#: Stands in ``session_id`` of what was sold before its drawer ever had a session: in no Z report, and late in none.
OUTSIDE = 0
_NEVER = datetime.max.replace(tzinfo=UTC)
#: Of updates: nothing of the table is held by the session.
_PLAIN = {"synchronize_session": False}
#: Whether some device's key is bound to the till, so that its sales always carry its name.
NAMES_ITSELF = exists().where(ApiKey.device == Till.name)


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the journal in a session: late ones happened before it was opened."""

    sale_id: int
    currency: str
    is_late: bool


def personal_till(user_id: int | None) -> str:
    """Return the name of the drawer of a person who sells without naming a device."""
    return till_name(NO_DEVICE, user_id)


def unclaimed(session: Session, till: Till, row: TillSession, *, lock: bool = False) -> list[Document]:
    """Return what the session would claim if it closed now, in order of the documents' keys.

    With those of its till come those that its opener posted without naming a device, unless a device is bound to the
    till, or another open session of this person covers their time: the person's own, else the one opened last.

    A document is late when it happened before the session was opened. One that was posted online since then is not: it
    happened when it was posted, whatever the till's clock says.

    Args:
        lock: Keep others from claiming them; rows are locked in key order.
    """
    personal = _personal_of(session, till, row)
    covered, outranked = _bounds(session, row, personal) if personal else (_NEVER, _NEVER)
    if personal == till.name:
        outranked = _NEVER
    # What is the person's own drawer has the bounds of one.
    named = "" if personal == till.name else till.name
    is_late = Sale.sale_date < row.opened_at
    is_own = or_(
        CounterDocument.till == named,
        Sale.created_at < covered,
        and_(Sale.created_at >= row.opened_at, Sale.created_at < outranked),
    )
    statement = (
        select(CounterDocument.sale_id, Sale.currency, is_late)
        .join(Sale, Sale.id == CounterDocument.sale_id)
        # A drawer is in one warehouse: what another shop sells by the same name is not in it.
        .where(CounterDocument.session_id.is_(None), CounterDocument.till.in_((named, personal)))
        .where(Sale.warehouse_id == row.warehouse_id, is_own)
        .order_by(CounterDocument.sale_id)
    )
    if lock:
        statement = statement.with_for_update(of=CounterDocument)
    return [Document(*each) for each in session.execute(statement)]


def claim(session: Session, session_id: int, documents: Sequence[Document]) -> None:
    """Enter the session into documents that are locked by :func:`unclaimed`."""
    for late in (False, True):
        keys = [document.sale_id for document in documents if document.is_late is late]
        if keys:
            taken = update(CounterDocument).where(among(CounterDocument.sale_id, keys))
            session.execute(taken.values(session_id=session_id, is_late=late), execution_options=_PLAIN)


def leave_outside(session: Session, till: Till, row: TillSession) -> None:
    """Set aside what was sold before the drawer's first session; to be called before that session is written."""
    personal = _personal_of(session, till, row)
    for drawer in sorted({till.name, personal} - {""}):
        by_person = and_(literal(drawer == personal), TillSession.opened_by == row.opened_by, ~NAMES_ITSELF)
        had_sessions = (
            select(TillSession.id)
            .join(Till, Till.id == TillSession.till_id)
            .where(TillSession.warehouse_id == row.warehouse_id, or_(Till.name == drawer, by_person))
        )
        if session.scalar(had_sessions.limit(1)) is None:
            here = select(Sale.id).where(Sale.id == CounterDocument.sale_id, Sale.warehouse_id == row.warehouse_id)
            left = update(CounterDocument).where(
                CounterDocument.session_id.is_(None), CounterDocument.till == drawer, here.exists()
            )
            session.execute(left.values(session_id=OUTSIDE), execution_options=_PLAIN)


def _personal_of(session: Session, till: Till, row: TillSession) -> str:
    """Return the personal drawer that goes into the session, empty for none."""
    if till.name.startswith(PERSONAL):
        return till.name
    if row.opened_by is None or session.scalar(select(ApiKey.id).where(ApiKey.device == till.name).limit(1)):
        return ""
    return personal_till(row.opened_by)


def _bounds(session: Session, row: TillSession, personal: str) -> tuple[datetime, datetime]:
    """Return since when another open session, and since when one that comes first, takes the personal drawer.

    The person's own comes first, then the one opened last.
    """
    is_own = Till.name == personal
    rivals = session.execute(
        select(TillSession.opened_at, or_(is_own, TillSession.id > row.id))
        .join(Till, Till.id == TillSession.till_id)
        .where(
            TillSession.closed_at.is_(None),
            TillSession.warehouse_id == row.warehouse_id,
            TillSession.id != row.id,
            or_(is_own, and_(TillSession.opened_by == row.opened_by, ~NAMES_ITSELF)),
        )
    ).all()
    covered = min((opened for opened, _ in rivals), default=_NEVER)
    outranked = min((opened for opened, comes_first in rivals if comes_first), default=_NEVER)
    return covered, outranked
