"""Refused sales: kept with their payload, so that nothing that a device sent is swallowed."""

import hashlib
import json
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from tillhook.db import format_instant, utc_now
from tillhook.errors import DomainError
from tillhook.runtime import actor_of
from tillhook.sales.commands import SaleCommand


def keep_refused(session: Session, refused: Sequence[tuple[SaleCommand, DomainError]]) -> None:
    """Keep refused sales for a person to look at; the same payload again only counts as another attempt."""
    actor, now = actor_of(session), format_instant(utc_now())
    for command, error in refused:
        payload = json.dumps(command.payload, default=str, sort_keys=True)
        digest = hashlib.sha256(f"{actor.user_id}:{error.code}:{payload}".encode()).hexdigest()
        session.execute(
            text(
                "INSERT INTO sale_exception (external_id, digest, channel, source_device, seller_id, warehouse_id,"
                " code, detail, payload, attempts, status, resolution, created_at, last_seen_at) VALUES (:external_id, :digest,"
                " :channel, :device, :seller, :warehouse, :code, :detail, :payload, 1, 'open', '', :now, :now)"
                " ON CONFLICT (digest) DO UPDATE SET attempts = sale_exception.attempts + 1, last_seen_at = :now"
            ),
            {
                "external_id": command.external_id,
                "digest": digest,
                "channel": command.channel,
                "device": command.source_device,
                "seller": actor.user_id,
                "warehouse": command.warehouse,
                "code": error.code,
                "detail": error.detail,
                "payload": payload,
                "now": now,
            },
        )
