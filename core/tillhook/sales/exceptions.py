"""Refused documents: kept with their payload, so that nothing that a device sent is swallowed."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from tillhook.db import format_instant, utc_now
from tillhook.errors import DomainError
from tillhook.runtime import actor_of
from tillhook.sales.commands import SaleCommand, plain
from tillhook.sales.drafts import SaleDraft
from tillhook.sales.returns.returning import SaleNotSynced

_KEEP = text(
    "INSERT INTO sale_exception (external_id, digest, channel, source_device, seller_id, warehouse_id,"
    " code, detail, payload, attempts, status, origin_external_id, sale_id, resolution, created_at, last_seen_at)"
    " VALUES (:external_id, :digest, :channel, :device, :seller, :warehouse, :code, :detail, :payload, 1, :status,"
    " :origin, :sale_id, '', :now, :now)"
    " ON CONFLICT (digest) DO UPDATE SET attempts = sale_exception.attempts + 1, last_seen_at = :now"
)
#: Why a posted document is among the exceptions: not all that it took back was left.
CAPPED = "return-capped"


def keep_refused(session: Session, refused: Sequence[tuple[SaleCommand, DomainError]]) -> None:
    """Keep refused documents for a person to look at; the same payload again only counts as another attempt.

    A return that came before its sale waits for it, unless it has no ``external_id``: when the device sent it again,
    nobody would know that it is the same.
    """
    for command, error in refused:
        origin = error.origin_external_id if isinstance(error, SaleNotSynced) and command.external_id else None
        _keep(session, command, error.code, error.detail, origin=origin)


def keep_cut(session: Session, command: SaleCommand, draft: SaleDraft) -> None:
    """Keep a document that was posted without all that it took back, for a person to look at the rest."""
    if draft.returned is not None and draft.returned.cut:
        detail = f"Posted without what was not left. {' '.join(draft.returned.cut)}"
        _keep(session, command, CAPPED, detail, sale_id=draft.id)


def digest_of(code: str, payload: Any, seller_id: int | None) -> str:
    """Return what two refusals of the same payload, for the same reason, have in common."""
    return hashlib.sha256(f"{seller_id}:{code}:{_written(payload)}".encode()).hexdigest()


def _keep(
    session: Session,
    command: SaleCommand,
    code: str,
    detail: str,
    *,
    origin: str | None = None,
    sale_id: int | None = None,
) -> None:
    actor = actor_of(session)
    session.execute(
        _KEEP,
        {
            "external_id": command.external_id,
            "digest": digest_of(code, command.request, actor.user_id),
            "channel": command.channel,
            "device": command.source_device,
            "seller": actor.user_id,
            "warehouse": command.warehouse,
            "code": code,
            "detail": detail,
            "payload": _written(command.payload),
            "status": "open" if origin is None else "waiting",
            "origin": origin,
            "sale_id": sale_id,
            "now": format_instant(utc_now()),
        },
    )


def _written(payload: Any) -> str:
    return json.dumps(payload, default=plain, sort_keys=True)
