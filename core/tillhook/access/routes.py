"""The routes of access: log-in, users, roles, API keys, the audit log.

Those of log-ins that say ``writes=False`` write in transactions of their own, see `sessions`.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access import api_keys, pins, roles, schemas, sessions, users
from tillhook.access.answers import (
    ApiKeyOut,
    AuditEntryOut,
    MeOut,
    NewApiKeyOut,
    PermissionOut,
    ProfileOut,
    RoleOut,
    TokensOut,
    UserOut,
    WarehouseOut,
    describe_role,
    describe_roles,
    describe_user,
    describe_users,
)
from tillhook.access.audit import audit_entries
from tillhook.access.models import ApiKey, AuditEntry, Role, UserAccount
from tillhook.errors import Unauthenticated
from tillhook.hooks import AUTHENTICATED, PUBLIC
from tillhook.http import Call, Routes, page, page_of

routes = Routes()
_USERS, _ROLES, _KEYS = "access:user:manage", "access:role:manage", "access:api_key:manage"
_ORDER_OF_USERS = {
    "id": UserAccount.id,
    "name": UserAccount.name,
    "email": UserAccount.email,
    "created_at": UserAccount.created_at,
}
_ORDER_OF_KEYS = {"id": ApiKey.id, "name": ApiKey.name, "created_at": ApiKey.created_at}
_ORDER_OF_AUDIT = {"id": AuditEntry.id, "created_at": AuditEntry.created_at}


@routes.post(
    "/auth/login", permission=PUBLIC, writes=False, body=schemas.LoginIn, answer=TokensOut, problems=(401, 429)
)
def log_in(call: Call) -> dict[str, Any]:
    """Log in with an e-mail address and a password."""
    command = sessions.LogIn(**call.body, address=_address(call))
    return _tokens(call.session, sessions.log_in(call.session, command))


@routes.post(
    "/auth/refresh", permission=PUBLIC, writes=False, body=schemas.RefreshIn, answer=TokensOut, problems=(401,)
)
def refresh(call: Call) -> dict[str, Any]:
    """Exchange a refresh token for new tokens."""
    return _tokens(call.session, sessions.refresh(call.session, call.body["refresh_token"]))


# Public, for whoever has nothing but a refresh token left; it asks for one of the two by itself.
@routes.post("/auth/logout", permission=PUBLIC, writes=False, status=204, body=schemas.LogoutIn, problems=(401,))
def log_out(call: Call) -> None:
    """Log out: end the session of the access token, or of the refresh token in the body."""
    sessions.log_out(call.session, call.body.get("refresh_token"))


@routes.post(
    "/auth/register",
    permission=PUBLIC,
    writes=False,
    status=201,
    body=schemas.RegisterIn,
    answer=TokensOut,
    problems=(403, 409, 429),
)
def register(call: Call) -> dict[str, Any]:
    """Sign up as a customer, and log in."""
    sign_up = users.Registration(**call.body, address=_address(call))
    pair = users.register_customer(call.session, sign_up)
    # The request's own session may have begun before the account was there.
    with call.runtime.unit_of_work(write=False) as session:
        return _tokens(session, pair)


# No Idempotency-Key where a password or a key passes: what is kept for it could be guessed, or read.
@routes.post(
    "/auth/password",
    permission=AUTHENTICATED,
    writes=False,
    idempotent=False,
    status=204,
    body=schemas.PasswordIn,
    problems=(403, 429),
)
def change_password(call: Call) -> None:
    """Change the own password; other log-ins of the user end."""
    sessions.change_password(call.session, sessions.PasswordChange(**call.body, address=_address(call)))


@routes.put("/auth/pin", permission=AUTHENTICATED, writes=False, status=204, body=schemas.OwnPinIn, problems=(403, 429))
def set_own_pin(call: Call) -> None:
    """Set the own PIN, for tills and overrides; sign-ins by the old one end."""
    pins.set_own_pin(call.session, call.body["pin"], call.body["current_password"], _address(call))


@routes.delete(
    "/auth/pin", permission=AUTHENTICATED, writes=False, status=204, body=schemas.NoPinIn, problems=(403, 429)
)
def remove_own_pin(call: Call) -> None:
    """Remove the own PIN."""
    pins.set_own_pin(call.session, None, call.body["current_password"], _address(call))


@routes.get("/auth/me", permission=AUTHENTICATED, answer=MeOut)
def me(call: Call) -> dict[str, Any]:
    """Say who is logged in, with which rights."""
    actor, warehouses = call.actor, call.snapshot.warehouses
    if actor.user_id is None:
        raise Unauthenticated("This needs a log-in.")
    seen = warehouses.keys() if actor.warehouse_ids is None else actor.warehouse_ids
    return MeOut.of(
        actor,
        user=_profile(call.session, actor.user_id),
        warehouses=[WarehouseOut.of(warehouses[key]) for key in sorted(seen) if key in warehouses],
    )


@routes.get("/users", permission=_USERS, query=schemas.UserQuery, answer=page_of(UserOut))
def list_users(call: Call) -> dict[str, Any]:
    """List users."""
    items, cursor = page(call.session, users.users(call.query), ordering=_ORDER_OF_USERS, query=call.query)
    return {"items": describe_users(call.session, items), "next_cursor": cursor}


@routes.post(
    "/users", permission=_USERS, idempotent=False, status=201, body=schemas.UserIn, answer=UserOut, problems=(409,)
)
def create_user(call: Call) -> dict[str, Any]:
    """Make a user."""
    return describe_user(call.session, users.create_user(call.session, call.body))


@routes.get("/users/{user_id:int}", permission=_USERS, answer=UserOut)
def read_user(call: Call, user_id: int) -> dict[str, Any]:
    """Read a user."""
    return describe_user(call.session, users.get_user(call.session, user_id))


@routes.patch("/users/{user_id:int}", permission=_USERS, body=schemas.UserChanges, answer=UserOut, problems=(409,))
def update_user(call: Call, user_id: int) -> dict[str, Any]:
    """Change a user."""
    return describe_user(call.session, users.update_user(call.session, user_id, call.body))


@routes.delete("/users/{user_id:int}", permission=_USERS, status=204, problems=(409,))
def deactivate_user(call: Call, user_id: int) -> None:
    """Close a user's account."""
    users.deactivate_user(call.session, user_id)


@routes.put("/users/{user_id:int}/pin", permission=_USERS, status=204, body=schemas.PinIn)
def set_pin(call: Call, user_id: int) -> None:
    """Set a user's PIN; sign-ins by the old one end."""
    pins.set_pin(call.session, users.user_below(call.session, user_id), call.body["pin"])


@routes.delete("/users/{user_id:int}/pin", permission=_USERS, status=204)
def remove_pin(call: Call, user_id: int) -> None:
    """Remove a user's PIN."""
    pins.set_pin(call.session, users.user_below(call.session, user_id), None)


@routes.get("/roles", permission=_ROLES, answer=page_of(RoleOut))
def list_roles(call: Call) -> dict[str, Any]:
    """List roles with their permissions, by name."""
    every_role = call.session.scalars(select(Role).order_by(Role.name)).all()
    return {"items": describe_roles(call.session, every_role), "next_cursor": None}


@routes.get("/permissions", permission=_ROLES, answer=page_of(PermissionOut))
def list_permissions(call: Call) -> dict[str, Any]:
    """List the permissions that a role may give."""
    declared = sorted(call.runtime.registry.permissions.values(), key=lambda permission: permission.name)
    return PermissionOut.page(declared)


@routes.post("/roles", permission=_ROLES, status=201, body=schemas.RoleIn, answer=RoleOut, problems=(409,))
def create_role(call: Call) -> dict[str, Any]:
    """Make a role."""
    return describe_role(call.session, roles.create_role(call.session, call.body))


@routes.get("/roles/{role_id:int}", permission=_ROLES, answer=RoleOut)
def read_role(call: Call, role_id: int) -> dict[str, Any]:
    """Read a role."""
    return describe_role(call.session, roles.get_role(call.session, role_id))


@routes.patch("/roles/{role_id:int}", permission=_ROLES, body=schemas.RoleChanges, answer=RoleOut, problems=(409,))
def update_role(call: Call, role_id: int) -> dict[str, Any]:
    """Change a role's title or permissions."""
    return describe_role(call.session, roles.update_role(call.session, role_id, call.body))


@routes.delete("/roles/{role_id:int}", permission=_ROLES, status=204, problems=(409,))
def delete_role(call: Call, role_id: int) -> None:
    """Delete a role that nobody has."""
    roles.delete_role(call.session, role_id)


@routes.get("/api-keys", permission=_KEYS, query=schemas.ApiKeyQuery, answer=page_of(ApiKeyOut))
def list_api_keys(call: Call) -> dict[str, Any]:
    """List API keys, without their secrets."""
    statement = api_keys.api_keys(call.query)
    return ApiKeyOut.page(*page(call.session, statement, ordering=_ORDER_OF_KEYS, query=call.query))


@routes.post("/api-keys", permission=_KEYS, idempotent=False, status=201, body=schemas.ApiKeyIn, answer=NewApiKeyOut)
def create_api_key(call: Call) -> dict[str, Any]:
    """Make an API key; the answer is the only place where its text is shown."""
    key, text = api_keys.create_api_key(call.session, call.body)
    return NewApiKeyOut.of(key, key=text)


@routes.delete("/api-keys/{key_id:int}", permission=_KEYS, status=204)
def revoke_api_key(call: Call, key_id: int) -> None:
    """Revoke an API key."""
    api_keys.revoke_api_key(call.session, key_id)


@routes.get("/audit", permission="access:audit:read", query=schemas.AuditQuery, answer=page_of(AuditEntryOut))
def list_audit(call: Call) -> dict[str, Any]:
    """Read the audit log, latest first."""
    listed = page(call.session, audit_entries(call.query), ordering=_ORDER_OF_AUDIT, query=call.query)
    return AuditEntryOut.page(*listed)


def _address(call: Call) -> str:
    address: str = call.request.context.client
    return address


def _tokens(session: Session, pair: sessions.TokenPair) -> dict[str, Any]:
    return TokensOut.of(pair, user=_profile(session, pair.user_id))


def _profile(session: Session, user_id: int) -> dict[str, Any]:
    return ProfileOut.of(describe_user(session, users.get_user(session, user_id)))
