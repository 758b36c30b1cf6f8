"""API keys: part of their owner's rights, for a device or a program."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, null, select
from sqlalchemy.orm import Session

from tillhook.access.answers import ApiKeyOut
from tillhook.access.audit import audit
from tillhook.access.loading import user_actor
from tillhook.access.models import ApiKey, UserAccount
from tillhook.access.roles import require_holds
from tillhook.access.scope import require_warehouse, sees_warehouse
from tillhook.access.tokens import new_api_key
from tillhook.actor import Actor
from tillhook.db import containing, utc_now
from tillhook.errors import NotFound, PermissionDenied, ValidationFailed
from tillhook.http import narrowed
from tillhook.reference import bump_epoch
from tillhook.runtime import actor_of, snapshot_of


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """A key to make.

    Args:
        scopes: Permissions, a part of the owner's.
        user_id: The owner; the actor when left out.
        warehouse_ids: A part of the owner's; ``None`` for whatever the owner sees.
        device: The name of the till or machine that holds the key.
    """

    name: str
    scopes: tuple[str, ...]
    user_id: int | None = None
    warehouse_ids: tuple[int, ...] | None = None
    device: str | None = None
    expires_at: datetime | None = None


def has_device_key(session: Session, user_id: int | None, device: str) -> bool:
    """Say whether a user has, or had, a key that is bound to a device."""
    return session.scalar(select(exists().where(ApiKey.user_id == user_id, ApiKey.device == device))) is True


def create_api_key(session: Session, command: KeyRequest) -> tuple[ApiKey, str]:
    """Make a key; return it and its text, which nobody can see again.

    Raises:
        ValidationFailed: 422: the owner is not there or lacks a scope or a warehouse; it ends in the past.
        PermissionDenied: 403 ``cannot-grant``, ``foreign-warehouse``: more than the actor has; ``needs-log-in``.
    """
    _require_log_in(actor_of(session))
    owner = _owner(session, command.user_id)
    _check_rights(session, owner, command)
    if command.expires_at is not None and command.expires_at <= utc_now():
        raise ValidationFailed.at("expires_at", "Must be in the future.")
    new = new_api_key()
    warehouse_ids = None if command.warehouse_ids is None else sorted(set(command.warehouse_ids))
    key = ApiKey(
        prefix=new.prefix,
        secret_hash=new.digest,
        name=command.name,
        user_id=owner.user_id,
        scopes=sorted(set(command.scopes)),
        warehouse_ids=null() if warehouse_ids is None else warehouse_ids,
        device=command.device,
        expires_at=command.expires_at,
    )
    session.add(key)
    session.flush()
    session.refresh(key)
    audit(session, "create", "api_key", key.id, after=ApiKeyOut.of(key))
    return key, new.text


def revoke_api_key(session: Session, key_id: int) -> None:
    """End a key, in all processes, once the transaction has committed.

    Raises:
        NotFound: 404.
    """
    key = session.get(ApiKey, key_id)
    if key is None:
        raise NotFound("There is no such API key.")
    if key.revoked_at is None:
        key.revoked_at = utc_now()
        session.flush()
        audit(session, "revoke", "api_key", key.id, after={"revoked_at": key.revoked_at})
        bump_epoch(session)


def api_keys(query: Mapping[str, Any]) -> Any:
    """Return the statement that selects the keys that an ``ApiKeyQuery`` asks for, without an order."""
    filters = {"user": ApiKey.user_id, "search": lambda text: containing(text, ApiKey.name, ApiKey.device)}
    return narrowed(select(ApiKey), query, filters)


def _require_log_in(actor: Actor) -> None:
    """Refuse who has proved themselves by a PIN only: a key would outlast the till."""
    if actor.override is not None or (actor.session_id is not None and actor.device is not None):
        raise PermissionDenied("Keys are made by a person who is logged in with a password.", code="needs-log-in")


def _owner(session: Session, user_id: int | None) -> Actor:
    # Looked up also when it is the actor, who may be a key and then have less than the person.
    user_id = actor_of(session).user_id if user_id is None else user_id
    user = None if user_id is None else session.get(UserAccount, user_id)
    if user is None or not user.is_active:
        raise ValidationFailed.at("user", "There is no such active user.")
    return user_actor(session.connection(), snapshot_of(session), user.id)


def _check_rights(session: Session, owner: Actor, command: KeyRequest) -> None:
    require_holds(actor_of(session), command.scopes)
    errors = [
        {"field": f"scopes.{position}", "message": "The owner does not have this permission."}
        for position, scope in enumerate(command.scopes)
        if not owner.can(scope)
    ]
    if errors:
        raise ValidationFailed("The owner does not have this permission.", errors=errors)
    for position, warehouse_id in enumerate(command.warehouse_ids or ()):
        field = f"warehouses.{position}"
        require_warehouse(session, warehouse_id, field=field)
        if not sees_warehouse(owner, warehouse_id):
            raise ValidationFailed.at(field, "Not one of the owner's warehouses.")
    if command.warehouse_ids is None:
        _require_seen(actor_of(session), owner)


def _require_seen(actor: Actor, owner: Actor) -> None:
    if actor.warehouse_ids is None:
        return
    if owner.warehouse_ids is None or not owner.warehouse_ids <= actor.warehouse_ids:
        message = "The owner works in warehouses that are not yours; name some of yours."
        raise PermissionDenied(message, code="foreign-warehouse", errors=[{"field": "warehouses", "message": message}])
