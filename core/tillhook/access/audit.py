"""The audit log: who changed what, with which device, before and after."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, null, select
from sqlalchemy.orm import Session

from tillhook.access.models import AuditEntry
from tillhook.db import containing, format_instant
from tillhook.http import narrowed
from tillhook.runtime import actor_of, request_id_of

HIDDEN = "(hidden)"
_SECRET_WORDS = ("password", "secret", "token", "hash")


def audit(
    session: Session,
    action: str,
    entity: str,
    entity_id: int | str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write one entry, in the caller's transaction, in the name of the session's actor.

    Args:
        action: A verb: ``create``, ``update``, ``archive``, ``cancel``…
        entity: What kind of thing, such as ``product``.
        before: Members that change, as they were; ``None`` for what is new.
        after: The same members as they are now. In both, the value of a member whose name speaks of a
            password, a secret, a token or a hash is hidden.
    """
    actor = actor_of(session)
    session.execute(
        insert(AuditEntry).values(
            actor_id=actor.user_id,
            actor_name=actor.name,
            api_key_id=actor.api_key_id,
            device=actor.device,
            request_id=request_id_of(session),
            action=action,
            entity=entity,
            entity_id=str(entity_id),
            before=null() if before is None else _kept(before),
            after=null() if after is None else _kept(after),
        )
    )


def audit_changes(
    session: Session, entity: str, entity_id: int | str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> bool:
    """Write an ``update`` entry of the members that differ; return whether any does."""
    changed = [name for name, value in after.items() if before.get(name) != value]
    if changed:
        audit(
            session,
            "update",
            entity,
            entity_id,
            before={name: before.get(name) for name in changed},
            after={name: after[name] for name in changed},
        )
    return bool(changed)


def audit_entries(query: Mapping[str, Any]) -> Any:
    """Return the statement that selects the entries that an ``AuditQuery`` asks for, without an order."""
    filters = {
        "actor": AuditEntry.actor_id,
        "action": AuditEntry.action,
        "entity": AuditEntry.entity,
        "entity_id": AuditEntry.entity_id,
        "search": lambda text: containing(text, AuditEntry.actor_name),
        "date_from": AuditEntry.created_at.__ge__,
        "date_to": AuditEntry.created_at.__lt__,
    }
    return narrowed(select(AuditEntry), query, filters)


def _kept(members: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(name): HIDDEN if _is_secret(str(name)) and value is not None else _plain(value)
        for name, value in members.items()
    }


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET_WORDS)


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON takes it."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return _kept(value)
    if isinstance(value, set | frozenset):
        return sorted(_plain(each) for each in value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
