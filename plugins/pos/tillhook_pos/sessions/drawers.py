"""Whose document is whose: what a session has taken, or would take if it closed now.

Nothing is looked up when a sale is posted. A session claims when it closes, and until then its documents are those of
its drawer that no session has claimed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from tillhook.db import as_instant, format_instant
from tillhook.sales import NO_DEVICE
from tillhook_pos.documents import PERSONAL, till_name
from tillhook_pos.models import Till, TillSession

#: Stands in ``session_id`` of what was sold before its drawer ever had a session: in no Z report, and late in none.
OUTSIDE = 0
#: How far an online till's clock may be behind before what it says is believed to be of the session before.
_TOLERANCE = timedelta(minutes=5)
_NEVER = "9999-12-31T23:59:59.000000Z"

# A drawer is in one warehouse: what another shop sells by the same name is not in it.
_UNCLAIMED = """
SELECT d.sale_id, s.currency,
       (s.created_at < :opened OR s.sale_date < :tolerated OR (s.is_offline AND s.sale_date < :opened)) AS is_late
  FROM pos_document d JOIN sale s ON s.id = d.sale_id
 WHERE d.session_id IS NULL AND d.till IN (:till, :personal) AND s.warehouse_id = :warehouse
   AND (d.till = :till OR s.created_at < :covered OR (s.created_at >= :opened AND s.created_at < :outranked))
 ORDER BY d.sale_id
"""
_CLAIM = "UPDATE pos_document SET session_id = :session, is_late = :late WHERE sale_id {among}"
# Other open sessions of the same person, and whether they come first: the person's own, then the latest.
_RIVALS = """
SELECT p.opened_at, (t.name = :personal OR p.id > :session) AS comes_first
  FROM pos_session p JOIN pos_till t ON t.id = p.till_id
 WHERE p.closed_at IS NULL AND p.warehouse_id = :warehouse AND p.id <> :session
   AND (t.name = :personal OR (p.opened_by = :person AND NOT EXISTS (SELECT 1 FROM api_key k WHERE k.device = t.name)))
"""
_HAD_SESSIONS = """
SELECT 1 FROM pos_session p JOIN pos_till t ON t.id = p.till_id
 WHERE p.warehouse_id = :warehouse AND (t.name = :drawer OR (:personal = :drawer AND p.opened_by = :person
       AND NOT EXISTS (SELECT 1 FROM api_key k WHERE k.device = t.name)))
 LIMIT 1
"""
_LEAVE_OUTSIDE = """
UPDATE pos_document SET session_id = :outside
 WHERE session_id IS NULL AND till = :drawer
   AND EXISTS (SELECT 1 FROM sale s WHERE s.id = pos_document.sale_id AND s.warehouse_id = :warehouse)
"""


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the journal in a session: late ones happened before it was opened."""

    sale_id: int
    currency: str
    is_late: bool


def personal_till(user_id: int | None) -> str:
    """Return the name of the drawer of a person who sells without naming a device."""
    return till_name(NO_DEVICE, user_id)


def names_itself(session: Session, till: str) -> bool:
    """Say whether some device's key is bound to the till, so that its sales always carry its name."""
    found = session.execute(text("SELECT 1 FROM api_key WHERE device = :name LIMIT 1"), {"name": till})
    return found.first() is not None


def unclaimed(session: Session, till: Till, row: TillSession, *, lock: bool = False) -> list[Document]:
    """Return what the session would claim if it closed now, in order of the documents' keys.

    With those of its till come those that its opener posted without naming a device, unless a device is bound to the
    till, or another open session of this person covers their time: the person's own, else the one opened last.

    An offline document is late when it happened before the session was opened. One that was posted online since then
    is not, though the till's clock be a few minutes slow.

    Args:
        lock: Keep others from claiming them; rows are locked in key order.
    """
    personal = _personal_of(session, till, row)
    covered, outranked = _bounds(session, row, personal) if personal else (_NEVER, _NEVER)
    if personal == till.name:
        outranked = _NEVER
    suffix = " FOR UPDATE OF d" if lock and _is_postgresql(session) else ""
    rows = session.execute(
        text(_UNCLAIMED + suffix),
        {
            # What is the person's own drawer has the bounds of one.
            "till": "" if personal == till.name else till.name,
            "personal": personal,
            "warehouse": row.warehouse_id,
            "opened": format_instant(row.opened_at),
            "tolerated": format_instant(row.opened_at - _TOLERANCE),
            "covered": covered,
            "outranked": outranked,
        },
    )
    return [Document(each.sale_id, each.currency, bool(each.is_late)) for each in rows]


def claim(session: Session, session_id: int, documents: Sequence[Document]) -> None:
    """Enter the session into documents that are locked by :func:`unclaimed`."""
    for late in (False, True):
        keys = [document.sale_id for document in documents if document.is_late is late]
        if keys:
            among, parameter = among_keys(session, keys)
            session.execute(text(_CLAIM.format(among=among)), {"session": session_id, "late": late, "keys": parameter})


def leave_outside(session: Session, till: Till, row: TillSession) -> None:
    """Set aside what was sold before the drawer's first session; to be called before that session is written."""
    personal = _personal_of(session, till, row)
    for drawer in sorted({till.name, personal} - {""}):
        wanted = {"warehouse": row.warehouse_id, "drawer": drawer, "personal": personal, "person": row.opened_by}
        if session.execute(text(_HAD_SESSIONS), wanted).first() is None:
            session.execute(text(_LEAVE_OUTSIDE), {"outside": OUTSIDE, "drawer": drawer, "warehouse": row.warehouse_id})


def among_keys(session: Session, keys: Sequence[int]) -> tuple[str, Any]:
    """Return the condition that a column is among the keys, and its parameter ``keys``: one, however many they are."""
    if _is_postgresql(session):
        return "= ANY(:keys)", list(keys)
    return "IN (SELECT value FROM json_each(:keys))", json.dumps(list(keys))


def _personal_of(session: Session, till: Till, row: TillSession) -> str:
    """Return the personal drawer that goes into the session, empty for none."""
    if till.name.startswith(PERSONAL):
        return till.name
    if row.opened_by is None or names_itself(session, till.name):
        return ""
    return personal_till(row.opened_by)


def _bounds(session: Session, row: TillSession, personal: str) -> tuple[str, str]:
    """Return since when another open session, and since when one that comes first, takes the personal drawer."""
    wanted = {"personal": personal, "person": row.opened_by, "session": row.id, "warehouse": row.warehouse_id}
    rivals = [
        (format_instant(as_instant(each.opened_at)), bool(each.comes_first))
        for each in session.execute(text(_RIVALS), wanted)
    ]
    covered = min((opened for opened, _ in rivals), default=_NEVER)
    outranked = min((opened for opened, comes_first in rivals if comes_first), default=_NEVER)
    return covered, outranked


def _is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"
