"""The routes of access: log-in, users, roles, API keys, the audit log."""

from typing import Any

from sqlalchemy.orm import Session

from tillhook.access import api_keys, roles, schemas, sessions, users
from tillhook.access.audit import AuditFilter, audit_entries
from tillhook.access.models import ApiKey, AuditEntry, UserAccount
from tillhook.errors import Unauthenticated
from tillhook.hooks import AUTHENTICATED, PUBLIC
from tillhook.http import Call, Routes, page

routes = Routes()
_USERS, _ROLES, _KEYS = "access:user:manage", "access:role:manage", "access:api_key:manage"


# These write in transactions of their own, see `sessions`.
@routes.post(
    "/auth/login", permission=PUBLIC, writes=False, body=schemas.LoginIn, answer=schemas.TokensOut, problems=(401, 429)
)
def log_in(call: Call) -> dict[str, Any]:
    """Log in with an e-mail address and a password."""
    command = sessions.LogIn(**call.body, address=_address(call))
    return _tokens(call.session, sessions.log_in(call.session, command))


@routes.post(
    "/auth/refresh", permission=PUBLIC, writes=False, body=schemas.RefreshIn, answer=schemas.TokensOut, problems=(401,)
)
def refresh(call: Call) -> dict[str, Any]:
    """Exchange a refresh token for new tokens."""
    return _tokens(call.session, sessions.refresh(call.session, call.body["refresh_token"]))


# Public, for whoever has nothing but a refresh token left; it asks for one of the two by itself.
@routes.post("/auth/logout", permission=PUBLIC, status=204, body=schemas.LogoutIn, problems=(401,))
def log_out(call: Call) -> None:
    """Log out: end the session of the access token, or of the refresh token in the body."""
    sessions.log_out(call.session, call.body.get("refresh_token"))


@routes.post(
    "/auth/register",
    permission=PUBLIC,
    writes=False,
    status=201,
    body=schemas.RegisterIn,
    answer=schemas.TokensOut,
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


@routes.get("/auth/me", permission=AUTHENTICATED, answer=schemas.MeOut)
def me(call: Call) -> dict[str, Any]:
    """Say who is logged in, with which rights."""
    actor, warehouses = call.actor, call.snapshot.warehouses
    if actor.user_id is None:
        raise Unauthenticated("This needs a log-in.")
    seen = warehouses.keys() if actor.warehouse_ids is None else actor.warehouse_ids
    return {
        "user": _profile(call.session, actor.user_id),
        "roles": sorted(actor.roles),
        "permissions": sorted(actor.permissions),
        "warehouses": [
            {"id": key, "name": warehouses[key].name, "code": warehouses[key].code}
            for key in sorted(seen)
            if key in warehouses
        ],
        "all_warehouses": actor.warehouse_ids is None,
        "device": actor.device,
    }


@routes.get("/users", permission=_USERS, query=schemas.UserQuery, answer=schemas.UsersOut)
def list_users(call: Call) -> dict[str, Any]:
    """List users."""
    query = call.query
    wanted = users.UserFilter(search=query["search"], role=query["role"], is_active=query["is_active"])
    ordering = {
        "id": UserAccount.id,
        "name": UserAccount.name,
        "email": UserAccount.email,
        "created_at": UserAccount.created_at,
    }
    items, cursor = page(call.session, users.users(wanted), ordering=ordering, query=query)
    return {"items": users.describe_users(call.session, items), "next_cursor": cursor}


@routes.post(
    "/users",
    permission=_USERS,
    idempotent=False,
    status=201,
    body=schemas.UserIn,
    answer=schemas.UserOut,
    problems=(409,),
)
def create_user(call: Call) -> dict[str, Any]:
    """Make a user."""
    return _user(call.session, users.create_user(call.session, call.body))


@routes.get("/users/{user_id:int}", permission=_USERS, answer=schemas.UserOut, problems=(404,))
def read_user(call: Call, user_id: int) -> dict[str, Any]:
    """Read a user."""
    return _user(call.session, users.get_user(call.session, user_id))


@routes.patch(
    "/users/{user_id:int}", permission=_USERS, body=schemas.UserChanges, answer=schemas.UserOut, problems=(404, 409)
)
def update_user(call: Call, user_id: int) -> dict[str, Any]:
    """Change a user."""
    return _user(call.session, users.update_user(call.session, user_id, call.body))


@routes.delete("/users/{user_id:int}", permission=_USERS, status=204, problems=(404, 409))
def deactivate_user(call: Call, user_id: int) -> None:
    """Close a user's account."""
    users.deactivate_user(call.session, user_id)


@routes.get("/roles", permission=_ROLES, answer=schemas.RolesOut)
def list_roles(call: Call) -> dict[str, Any]:
    """List roles with their permissions."""
    return {"items": roles.list_roles(call.session), "next_cursor": None}


@routes.get("/permissions", permission=_ROLES, answer=schemas.PermissionsOut)
def list_permissions(call: Call) -> dict[str, Any]:
    """List the permissions that a role may give."""
    return {"items": roles.list_permissions(call.session), "next_cursor": None}


@routes.post("/roles", permission=_ROLES, status=201, body=schemas.RoleIn, answer=schemas.RoleOut, problems=(409,))
def create_role(call: Call) -> dict[str, Any]:
    """Make a role."""
    return roles.describe_roles(call.session, [roles.create_role(call.session, call.body)])[0]


@routes.get("/roles/{role_id:int}", permission=_ROLES, answer=schemas.RoleOut, problems=(404,))
def read_role(call: Call, role_id: int) -> dict[str, Any]:
    """Read a role."""
    return roles.describe_roles(call.session, [roles.get_role(call.session, role_id)])[0]


@routes.patch(
    "/roles/{role_id:int}", permission=_ROLES, body=schemas.RoleChanges, answer=schemas.RoleOut, problems=(404, 409)
)
def update_role(call: Call, role_id: int) -> dict[str, Any]:
    """Change a role's title or permissions."""
    return roles.describe_roles(call.session, [roles.update_role(call.session, role_id, call.body)])[0]


@routes.delete("/roles/{role_id:int}", permission=_ROLES, status=204, problems=(404, 409))
def delete_role(call: Call, role_id: int) -> None:
    """Delete a role that nobody has."""
    roles.delete_role(call.session, role_id)


@routes.get("/api-keys", permission=_KEYS, query=schemas.ApiKeyQuery, answer=schemas.ApiKeysOut)
def list_api_keys(call: Call) -> dict[str, Any]:
    """List API keys, without their secrets."""
    ordering = {"id": ApiKey.id, "name": ApiKey.name, "created_at": ApiKey.created_at}
    statement = api_keys.api_keys(call.query["user"], call.query["search"])
    items, cursor = page(call.session, statement, ordering=ordering, query=call.query)
    return {"items": api_keys.describe_api_keys(items), "next_cursor": cursor}


@routes.post(
    "/api-keys", permission=_KEYS, idempotent=False, status=201, body=schemas.ApiKeyIn, answer=schemas.NewApiKeyOut
)
def create_api_key(call: Call) -> dict[str, Any]:
    """Make an API key; the answer is the only place where its text is shown."""
    key, text = api_keys.create_api_key(call.session, call.body)
    return {**api_keys.describe_api_keys([key])[0], "key": text}


@routes.delete("/api-keys/{key_id:int}", permission=_KEYS, status=204, problems=(404,))
def revoke_api_key(call: Call, key_id: int) -> None:
    """Revoke an API key."""
    api_keys.revoke_api_key(call.session, key_id)


@routes.get("/audit", permission="access:audit:read", query=schemas.AuditQuery, answer=schemas.AuditOut)
def list_audit(call: Call) -> dict[str, Any]:
    """Read the audit log, latest first."""
    query = call.query
    names = ("actor", "action", "entity", "entity_id", "date_from", "date_to", "search")
    wanted = AuditFilter(**{name: query[name] for name in names})
    ordering = {"id": AuditEntry.id, "created_at": AuditEntry.created_at}
    items, cursor = page(call.session, audit_entries(wanted), ordering=ordering, query=query)
    return {"items": [_audit_entry(entry) for entry in items], "next_cursor": cursor}


def _address(call: Call) -> str:
    address: str = call.request.context.client
    return address


def _tokens(session: Session, pair: sessions.TokenPair) -> dict[str, Any]:
    return {
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "token_type": "Bearer",
        "expires_in": pair.expires_in_s,
        "user": _profile(session, pair.user_id),
    }


def _profile(session: Session, user_id: int) -> dict[str, Any]:
    user = _user(session, users.get_user(session, user_id))
    return {name: user[name] for name in ("id", "email", "name", "roles", "warehouses", "all_warehouses")}


def _user(session: Session, user: UserAccount) -> dict[str, Any]:
    return users.describe_users(session, [user])[0]


def _audit_entry(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "created_at": entry.created_at,
        "actor": entry.actor_id,
        "actor_name": entry.actor_name,
        "api_key": entry.api_key_id,
        "device": entry.device,
        "request_id": entry.request_id,
        "action": entry.action,
        "entity": entry.entity,
        "entity_id": entry.entity_id,
        "before": entry.before,
        "after": entry.after,
    }
