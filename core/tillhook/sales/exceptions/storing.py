"""Storing what was refused with its payload, so that nothing that a device sent is swallowed."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

# SQLite writes it likewise.
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from tillhook.access import default_warehouse
from tillhook.db import utc_now
from tillhook.errors import DomainError, ValidationFailed
from tillhook.runtime import actor_of
from tillhook.sales.commands import NO_DEVICE, SaleCommand, plain
from tillhook.sales.drafts import SaleDraft
from tillhook.sales.exceptions.states import OPEN, WAITING
from tillhook.sales.models import SaleDevice, SaleException
from tillhook.sales.outcomes import SaleNotSynced

#: Why a posted document is among the exceptions: not all that it took back was left.
CAPPED = "return-capped"


def store_refused(session: Session, refused: Sequence[tuple[SaleCommand, DomainError]]) -> None:
    """Store refused documents for a person to look at; the same payload again only counts as another attempt.

    A return that came before its sale waits for it, unless it has no ``external_id``: when the device sent it again,
    nobody would know that it is the same.
    """
    for command, error in refused:
        origin = error.origin_external_id if isinstance(error, SaleNotSynced) and command.external_id else None
        _store(session, command, error.code, error.detail, origin=origin)


def store_cut(session: Session, command: SaleCommand, draft: SaleDraft) -> None:
    """Store a document that was posted without all that it took back, for a person to look at the rest."""
    if draft.returned is not None and draft.returned.cut:
        detail = f"Posted without what was not left. {' '.join(draft.returned.cut)}"
        _store(session, command, CAPPED, detail, sale_id=draft.id)


def digest_of(code: str, payload: Any, seller_id: int | None) -> str:
    """Return what two refusals of the same payload, for the same reason, have in common."""
    return hashlib.sha256(f"{seller_id}:{code}:{_written(payload)}".encode()).hexdigest()


def _store(
    session: Session,
    command: SaleCommand,
    code: str,
    detail: str,
    *,
    origin: str | None = None,
    sale_id: int | None = None,
) -> None:
    seller_id, now = actor_of(session).user_id, utc_now()
    statement = insert(SaleException).values(
        external_id=command.external_id,
        digest=digest_of(code, command.request, seller_id),
        channel=command.channel,
        source_device=command.source_device,
        seller_id=seller_id,
        warehouse_id=_warehouse_of(session, command),
        code=code,
        detail=detail,
        payload=json.loads(_written(command.payload)),
        status=OPEN if origin is None else WAITING,
        origin_external_id=origin,
        sale_id=sale_id,
        created_at=now,
        last_seen_at=now,
    )
    again = {"attempts": SaleException.attempts + 1, "last_seen_at": now}
    session.execute(statement.on_conflict_do_update(index_elements=[SaleException.digest], set_=again))


def _warehouse_of(session: Session, command: SaleCommand) -> int | None:
    """Return where the document belongs: where it says, else where its device was last seen, or its seller works."""
    if command.warehouse is not None:
        return command.warehouse
    if command.source_device != NO_DEVICE:
        seen_at = select(SaleDevice.warehouse_id).where(SaleDevice.name == command.source_device)
        warehouse_id = session.scalar(seen_at)
        if warehouse_id is not None:
            return warehouse_id
    try:
        return default_warehouse(session)
    except ValidationFailed:
        return None


def _written(payload: Any) -> str:
    return json.dumps(payload, default=plain, sort_keys=True)
