"""Roles, the permissions they give, and who may give them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from tillhook.access.answers import describe_role
from tillhook.access.audit import audit, audit_changes
from tillhook.access.models import KnownPermission, Role, RolePermission, UserAccount, UserRole
from tillhook.actor import Actor
from tillhook.errors import Conflict, NotFound, PermissionDenied, ValidationFailed
from tillhook.hooks import RoleDeclaration
from tillhook.reference import bump_epoch
from tillhook.runtime import actor_of, runtime_of, snapshot_of

ADMIN, CUSTOMER = "admin", "customer"
#: The core's, in the order in which they are made.
ROLES = (
    RoleDeclaration(name=ADMIN, title="Administrator"),
    # The boss of a shop: everything in the own warehouses but administration.
    RoleDeclaration(name="manager", title="Manager", discount_limit=Decimal("0.5")),
    RoleDeclaration(name="supplier", title="Supplier"),
    RoleDeclaration(name="cashier", title="Cashier"),
    RoleDeclaration(name="accountant", title="Accountant"),
    RoleDeclaration(name=CUSTOMER, title="Customer"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRole:
    """A role to make; ``discount_limit`` is a fraction, ``None`` for the setting's."""

    name: str
    title: str
    permissions: tuple[str, ...] = ()
    discount_limit: Decimal | None = None


def sync_roles(session: Session) -> None:
    """Make the declared roles and give permissions that are new to their default roles.

    Called after every migration. A permission is new only once: what an admin has taken from a role is not
    given back. The administrator always has all.
    """
    registry = runtime_of(session).registry
    made, declared = _make_roles(session, registry.roles.values()), registry.permissions
    known = set(session.scalars(select(KnownPermission.name)))
    new = [permission for name, permission in declared.items() if name not in known]
    roles = {role.name: role.id for role in session.scalars(select(Role))}
    grants = {(roles[role], each.name) for each in new for role in each.roles}
    grants |= {(roles[ADMIN], name) for name in declared}
    grants -= {(row.role_id, row.permission) for row in session.scalars(select(RolePermission))}
    if new:
        session.execute(insert(KnownPermission), [{"name": permission.name} for permission in new])
    if grants:
        rows = [{"role_id": role_id, "permission": permission} for role_id, permission in sorted(grants)]
        session.execute(insert(RolePermission), rows)
    if made or new or grants:
        bump_epoch(session)


def create_role(session: Session, command: NewRole) -> Role:
    """Make a role.

    Raises:
        Conflict: 409 ``role-exists``.
        ValidationFailed: 422: a permission that nobody declares.
        PermissionDenied: 403 ``cannot-grant``: a permission that the actor lacks, or a larger discount.
    """
    _check_permissions(session, command.permissions, already=frozenset())
    if command.discount_limit is not None:
        _check_limit(session, command.discount_limit)
    if session.scalar(select(Role.id).where(Role.name == command.name)) is not None:
        raise Conflict(
            "There is a role of this name.",
            code="role-exists",
            errors=[{"field": "name", "message": "There is a role of this name."}],
        )
    role = Role(name=command.name, title=command.title or command.name, discount_limit=command.discount_limit)
    session.add(role)
    session.flush()
    _set_permissions(session, role.id, command.permissions)
    audit(session, "create", "role", role.id, after=describe_role(session, role))
    bump_epoch(session)
    return role


def update_role(session: Session, role_id: int, changes: Mapping[str, Any]) -> Role:
    """Change a role's title, its discount limit or its permissions; ``permissions`` replaces the whole list.

    Raises:
        NotFound: 404.
        Conflict: 409 ``builtin-role``: the administrator's permissions are always all.
        ValidationFailed: 422: a permission that nobody declares.
        PermissionDenied: 403 ``cannot-grant``: a permission, given or taken, that the actor lacks, or a larger
            discount than the actor's own.
    """
    role = get_role(session, role_id)
    before = describe_role(session, role)
    if "permissions" in changes:
        if role.name == ADMIN:
            raise Conflict("The administrator always has every permission.", code="builtin-role")
        _check_permissions(session, changes["permissions"], already=frozenset(before["permissions"]))
        _set_permissions(session, role.id, changes["permissions"])
    if "discount_limit" in changes:
        _check_limit(session, changes["discount_limit"])
    role.title = changes.get("title", role.title)
    role.discount_limit = changes.get("discount_limit", role.discount_limit)
    session.flush()
    if audit_changes(session, "role", role.id, before, describe_role(session, role)):
        bump_epoch(session)
    return role


def delete_role(session: Session, role_id: int) -> None:
    """Delete a role that nobody has.

    Raises:
        NotFound: 404.
        Conflict: 409 ``builtin-role`` or ``role-in-use``.
        PermissionDenied: 403 ``cannot-grant``: it has a permission that the actor lacks.
    """
    role = get_role(session, role_id)
    if role.is_builtin:
        raise Conflict("A role that is shipped stays.", code="builtin-role")
    if session.scalar(select(func.count()).select_from(UserRole).where(UserRole.role_id == role.id)):
        raise Conflict("Some users have this role.", code="role-in-use")
    before = describe_role(session, role)
    require_holds(actor_of(session), before["permissions"])
    session.delete(role)
    session.flush()
    audit(session, "delete", "role", role_id, before=before)
    bump_epoch(session)


def get_role(session: Session, role_id: int) -> Role:
    """Return a role.

    Raises:
        NotFound: 404.
    """
    role = session.get(Role, role_id)
    if role is None:
        raise NotFound("There is no such role.")
    return role


def role_ids(session: Session, names: Sequence[str], field: str = "roles") -> dict[str, int]:
    """Return the ids of the named roles.

    Raises:
        ValidationFailed: 422, each unknown one named as ``roles.<position>``.
    """
    statement = select(Role.name, Role.id).where(Role.name.in_(names))
    found = {row.name: row.id for row in session.execute(statement)}
    errors = [
        {"field": f"{field}.{position}", "message": "There is no such role."}
        for position, name in enumerate(names)
        if name not in found
    ]
    if errors:
        raise ValidationFailed("There is no such role.", errors=errors)
    return found


def require_holds(actor: Actor, permissions: Iterable[str]) -> None:
    """Refuse to hand on what the actor does not have.

    Raises:
        PermissionDenied: 403 ``cannot-grant``, the missing permissions named.
    """
    missing = sorted(permission for permission in permissions if not actor.can(permission))
    if missing:
        raise PermissionDenied(
            "Nobody can give or take a permission that they lack themselves.",
            code="cannot-grant",
            permissions=missing,
        )


def require_admin_left(session: Session) -> None:
    """Refuse a change, flushed already, that leaves no active administrator.

    Locks the administrator's role: of two who take the role from each other at once, the second sees the
    first one's change.

    Raises:
        Conflict: 409 ``last-admin``.
    """
    role_id = session.scalars(select(Role.id).where(Role.name == ADMIN).with_for_update()).one()
    statement = (
        select(func.count())
        .select_from(UserRole)
        .join(UserAccount, UserAccount.id == UserRole.user_id)
        .where(UserRole.role_id == role_id, UserAccount.is_active)
    )
    if not session.scalar(statement):
        raise Conflict("The last administrator stays one.", code="last-admin")


def _make_roles(session: Session, declared: Iterable[RoleDeclaration]) -> bool:
    present = set(session.scalars(select(Role.name)))
    missing = [
        {"name": role.name, "title": role.title, "is_builtin": True, "discount_limit": role.discount_limit}
        for role in declared
        if role.name not in present
    ]
    if missing:
        session.execute(insert(Role), missing)
    return bool(missing)


def _check_permissions(session: Session, names: Sequence[str], already: frozenset[str]) -> None:
    # A permission of a plugin that is disabled just now may stay where it is.
    declared = runtime_of(session).registry.permissions.keys() | already
    errors = [
        {"field": f"permissions.{position}", "message": "There is no such permission."}
        for position, name in enumerate(names)
        if name not in declared
    ]
    if errors:
        raise ValidationFailed("There is no such permission.", errors=errors)
    require_holds(actor_of(session), already.symmetric_difference(names))


def _check_limit(session: Session, limit: Decimal | None) -> None:
    actor = actor_of(session)
    if actor.can("sales:sale:override_price"):
        return
    general = snapshot_of(session).setting("sales.discount_limit")
    own = general if actor.discount_limit is None else actor.discount_limit
    if not actor.can("sales:sale:discount") or (general if limit is None else limit) > own:
        raise PermissionDenied(
            "Nobody can give a larger discount limit than their own.",
            code="cannot-grant",
            errors=[{"field": "discount_limit", "message": "More than your own."}],
        )


def _set_permissions(session: Session, role_id: int, names: Iterable[str]) -> None:
    session.execute(delete(RolePermission).where(RolePermission.role_id == role_id))
    rows = [{"role_id": role_id, "permission": name} for name in sorted(set(names))]
    if rows:
        session.execute(insert(RolePermission), rows)
