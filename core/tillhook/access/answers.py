"""What the routes of access answer with; the audit log keeps the same of what changed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access.models import Role, RolePermission, UserAccount, UserRole, UserWarehouse
from tillhook.db import among, grouped
from tillhook.http import Answer, out


class WarehouseOut(Answer):
    """A warehouse that the user sees."""

    id = out.Key()
    name = out.Text()
    code = out.Text(allow_none=True)


class ProfileOut(Answer):
    """Who is logged in."""

    id = out.Key()
    email = out.Text()
    name = out.Text()
    roles = out.Many(out.Text())
    warehouses = out.Many(out.Key())
    all_warehouses = out.Flag()
    has_pin = out.Flag()


class TokensOut(Answer):
    """Tokens; ``expires_in`` seconds for the access token."""

    access_token = out.Text()
    refresh_token = out.Text()
    token_type = out.Text(lambda _: "Bearer")
    expires_in = out.Count("expires_in_s")
    user = out.One(ProfileOut)


class MeOut(Answer):
    """The actor: the user, and what the user, or the API key, may do and see."""

    user = out.One(ProfileOut)
    roles = out.Many(out.Text(), lambda actor: sorted(actor.roles))
    permissions = out.Many(out.Text(), lambda actor: sorted(actor.permissions))
    warehouses = out.Many(WarehouseOut)
    all_warehouses = out.Flag(lambda actor: actor.warehouse_ids is None)
    device = out.Text(allow_none=True)


class UserOut(Answer):
    """A user; ``warehouses`` are ids, and count only without ``all_warehouses``."""

    id = out.Key()
    email = out.Text()
    name = out.Text()
    is_active = out.Flag()
    roles = out.Many(out.Text())
    warehouses = out.Many(out.Key())
    all_warehouses = out.Flag()
    has_pin = out.Flag(lambda account: account.pin_hash is not None)
    created_at = out.Moment()
    updated_at = out.Moment()


class RoleOut(Answer):
    """A role; ``discount_limit`` is a fraction, null for the setting's."""

    id = out.Key()
    name = out.Text()
    title = out.Text()
    is_builtin = out.Flag()
    discount_limit = out.Qty(allow_none=True)
    permissions = out.Many(out.Text())


class PermissionOut(Answer):
    """A permission that a role may give."""

    name = out.Text()
    title = out.Text()


class ApiKeyOut(Answer):
    """An API key, without anything by which it could be used."""

    id = out.Key()
    prefix = out.Text(lambda key: f"th_{key.prefix}")
    name = out.Text()
    user = out.Key("user_id")
    scopes = out.Many(out.Text())
    warehouses = out.Many(out.Key(), "warehouse_ids", allow_none=True)
    device = out.Text(allow_none=True)
    created_at = out.Moment()
    expires_at = out.Moment(allow_none=True)
    revoked_at = out.Moment(allow_none=True)


class NewApiKeyOut(ApiKeyOut):
    """A new API key; ``key`` is shown this once."""

    key = out.Text()


class AuditEntryOut(Answer):
    """One change: who, with which key and device, what, before and after."""

    id = out.Key()
    created_at = out.Moment()
    actor = out.Key("actor_id", allow_none=True)
    actor_name = out.Text()
    api_key = out.Key("api_key_id", allow_none=True)
    device = out.Text(allow_none=True)
    request_id = out.Text()
    action = out.Text()
    entity = out.Text()
    entity_id = out.Text()
    before = out.Json(type="object", allow_none=True)
    after = out.Json(type="object", allow_none=True)


def describe_users(session: Session, accounts: Sequence[UserAccount]) -> list[dict[str, Any]]:
    """Return the :class:`UserOut` of each."""
    ids = [account.id for account in accounts]
    roles = (
        select(UserRole.user_id, Role.name)
        .join(Role, Role.id == UserRole.role_id)
        .where(among(UserRole.user_id, ids))
        .order_by(Role.name)
    )
    warehouses = (
        select(UserWarehouse.user_id, UserWarehouse.location_id)
        .where(among(UserWarehouse.user_id, ids))
        .order_by(UserWarehouse.location_id)
    )
    roles_of, warehouses_of = grouped(session.execute(roles)), grouped(session.execute(warehouses))
    return [
        UserOut.of(account, roles=roles_of.get(account.id, ()), warehouses=warehouses_of.get(account.id, ()))
        for account in accounts
    ]


def describe_user(session: Session, account: UserAccount) -> dict[str, Any]:
    """Return the :class:`UserOut` of one."""
    return describe_users(session, [account])[0]


def describe_roles(session: Session, roles: Sequence[Role]) -> list[dict[str, Any]]:
    """Return the :class:`RoleOut` of each."""
    granted = grouped(
        session.execute(
            select(RolePermission.role_id, RolePermission.permission)
            .where(among(RolePermission.role_id, [role.id for role in roles]))
            .order_by(RolePermission.permission)
        )
    )
    return [RoleOut.of(role, permissions=granted.get(role.id, ())) for role in roles]


def describe_role(session: Session, role: Role) -> dict[str, Any]:
    """Return the :class:`RoleOut` of one."""
    return describe_roles(session, [role])[0]
