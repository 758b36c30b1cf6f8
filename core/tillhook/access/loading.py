"""From claims to an actor: the one look-up behind every authenticated request, done once per epoch.

Whatever takes rights away (log-out, deactivation, another role, a revoked key) raises the epoch in its own
transaction, so that from its commit on no process uses an actor it had cached.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from tillhook.access.models import ApiKey, Role, SessionFamily, UserAccount, UserRole, UserWarehouse
from tillhook.access.tokens import Claims, same_digest
from tillhook.actor import Actor
from tillhook.db import utc_now
from tillhook.errors import Unauthenticated

if TYPE_CHECKING:
    from tillhook.reference import Snapshot

#: Actors that one process keeps of one epoch; with more the cache starts again.
_CACHED_ACTORS = 10_000
_DISCOUNT = "sales:sale:discount"
#: What a PIN is not enough for: administration, and reading the server's inside.
_ADMINISTRATION = ("access:", "platform:")


@dataclass(frozen=True, slots=True)
class _Cached:
    actor: Actor
    expires_at: datetime | None


def load_actor(connection: Connection, snapshot: "Snapshot", claims: Claims) -> Actor:
    """Return whom the claims mean, with the rights they have now.

    Raises:
        Unauthenticated: 401: the log-in has ended, the key is unknown, revoked or has expired, or the user
            is no longer active.
    """
    key = (claims.kind, claims.user_id, claims.session_id, claims.prefix, claims.digest)
    cached = snapshot.actors.get(key)
    if cached is None:
        cached = (
            _load_key(connection, snapshot, claims)
            if claims.kind == "key"
            else _load_session(connection, snapshot, claims)
        )
        if len(snapshot.actors) >= _CACHED_ACTORS:
            snapshot.actors.clear()
        snapshot.actors[key] = cached
    if cached.expires_at is not None and cached.expires_at <= utc_now():
        raise Unauthenticated("The API key has expired.", code="key-expired")
    return cached.actor


def user_actor(connection: Connection, snapshot: "Snapshot", user_id: int) -> Actor:
    """Return the actor that a user is when logged in, whether active or not.

    Reads the user's roles from the database, and what the roles allow from the snapshot.
    """
    user = connection.execute(_user_columns().where(UserAccount.id == user_id)).one()
    return _actor(connection, snapshot, user)


def _load_session(connection: Connection, snapshot: "Snapshot", claims: Claims) -> _Cached:
    statement = (
        _user_columns()
        .add_columns(
            SessionFamily.revoked_at,
            SessionFamily.api_key_id,
            ApiKey.device,
            ApiKey.warehouse_ids,
            ApiKey.expires_at,
            ApiKey.revoked_at.label("key_revoked_at"),
        )
        .join(SessionFamily, SessionFamily.user_id == UserAccount.id)
        .outerjoin(ApiKey, ApiKey.id == SessionFamily.api_key_id)
        .where(SessionFamily.id == claims.session_id, UserAccount.id == claims.user_id)
    )
    row = connection.execute(statement).one_or_none()
    if row is None or row.revoked_at is not None or not row.is_active:
        raise Unauthenticated("This log-in has ended.", code="session-revoked")
    actor = _actor(connection, snapshot, row, session_id=claims.session_id)
    if row.api_key_id is None:
        return _Cached(actor, None)
    warehouses = _narrowed(actor.warehouse_ids, row.warehouse_ids)
    if row.key_revoked_at is not None or warehouses == frozenset():
        raise Unauthenticated("The sign-in at this till has ended.", code="session-revoked")
    held = without_administration(actor.permissions)
    return _Cached(replace(actor, permissions=held, warehouse_ids=warehouses, device=row.device), row.expires_at)


def _load_key(connection: Connection, snapshot: "Snapshot", claims: Claims) -> _Cached:
    statement = (
        _user_columns()
        .add_columns(
            ApiKey.id.label("key_id"),
            ApiKey.secret_hash,
            ApiKey.scopes,
            ApiKey.warehouse_ids,
            ApiKey.device,
            ApiKey.expires_at,
            ApiKey.revoked_at,
        )
        .join(ApiKey, ApiKey.user_id == UserAccount.id)
        .where(ApiKey.prefix == claims.prefix)
    )
    row = connection.execute(statement).one_or_none()
    if row is None or not same_digest(row.secret_hash, claims.digest):
        raise Unauthenticated("The API key is not valid.", code="invalid-token")
    if row.revoked_at is not None or not row.is_active:
        raise Unauthenticated("The API key has been revoked.", code="key-revoked")
    owner = _actor(connection, snapshot, row)
    actor = Actor(
        user_id=owner.user_id,
        name=owner.name,
        email=owner.email,
        roles=owner.roles,
        # What the owner has lost since, the key has lost too.
        permissions=owner.permissions.intersection(row.scopes),
        warehouse_ids=_narrowed(owner.warehouse_ids, row.warehouse_ids),
        api_key_id=row.key_id,
        device=row.device,
        discount_limit=owner.discount_limit,
        every_role=owner.every_role,
    )
    return _Cached(actor, row.expires_at)


def _user_columns() -> Any:
    return select(
        UserAccount.id, UserAccount.name, UserAccount.email, UserAccount.is_active, UserAccount.all_warehouses
    )


def _actor(connection: Connection, snapshot: "Snapshot", user: Any, session_id: int | None = None) -> Actor:
    roles = connection.scalars(
        select(Role.name).join(UserRole, UserRole.role_id == Role.id).where(UserRole.user_id == user.id)
    ).all()
    warehouses = None
    if not user.all_warehouses:
        warehouses = frozenset(
            connection.scalars(select(UserWarehouse.location_id).where(UserWarehouse.user_id == user.id))
        )
    return Actor(
        user_id=user.id,
        name=user.name,
        email=user.email,
        roles=frozenset(roles),
        permissions=permissions_of(snapshot, roles),
        warehouse_ids=warehouses,
        session_id=session_id,
        discount_limit=_discount_limit(snapshot, roles),
        every_role=snapshot.roles,
    )


def without_administration(permissions: frozenset[str]) -> frozenset[str]:
    """Return what of a person's permissions a PIN is enough for."""
    return frozenset(name for name in permissions if not name.startswith(_ADMINISTRATION))


def permissions_of(snapshot: "Snapshot", roles: Any) -> frozenset[str]:
    """Return what the named roles allow together."""
    sets = [snapshot.roles.get(role, frozenset()) for role in roles]
    # With one role, as nearly always, all its users share one set.
    return sets[0] if len(sets) == 1 else frozenset().union(*sets)


def _discount_limit(snapshot: "Snapshot", roles: Any) -> Decimal | None:
    """Return the largest limit of the roles that allow discounts; one without its own has the setting's."""
    allowing = [role for role in roles if _DISCOUNT in snapshot.roles.get(role, ())]
    if not any(role in snapshot.discount_limits for role in allowing):
        return None
    general: Decimal = snapshot.setting("sales.discount_limit")
    return max(snapshot.discount_limits.get(role, general) for role in allowing)


def _narrowed(owner: frozenset[int] | None, key: list[int] | None) -> frozenset[int] | None:
    if key is None:
        return owner
    return frozenset(key) if owner is None else owner.intersection(key)
