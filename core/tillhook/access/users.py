"""User accounts: making, changing and closing them, never beyond the rights of who does it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, insert, select
from sqlalchemy.orm import Session

from tillhook.access.answers import describe_user
from tillhook.access.audit import audit, audit_changes
from tillhook.access.loading import permissions_of, user_actor
from tillhook.access.models import Role, UserAccount, UserRole, UserWarehouse
from tillhook.access.passwords import check_new_password, hash_password, hashing
from tillhook.access.roles import ADMIN, CUSTOMER, require_admin_left, require_holds, role_ids
from tillhook.access.scope import require_warehouse
from tillhook.access.sessions import TokenPair, normal_email, own_transaction, revoke_sessions_of, start_session
from tillhook.access.throttle import check_attempt, claim, forgive, sign_up_attempt
from tillhook.actor import Actor
from tillhook.db import containing
from tillhook.errors import Conflict, DomainError, NotFound, PermissionDenied, ValidationFailed
from tillhook.http import narrowed
from tillhook.reference import bump_epoch
from tillhook.runtime import actor_of, snapshot_of

REGISTRATION = "access.customer_registration"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user to make; ``warehouses`` are ids, and count only without ``all_warehouses``."""

    email: str
    name: str
    password: str
    roles: tuple[str, ...] = ()
    warehouses: tuple[int, ...] = ()
    all_warehouses: bool = False


@dataclass(frozen=True, slots=True)
class FaultyUser:
    """A body that is no user to make; ``errors`` are what is wrong with its form."""

    body: Mapping[str, Any]
    errors: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A customer who signs up."""

    email: str
    name: str
    password: str
    address: str = ""


def create_user(session: Session, command: NewUser | FaultyUser) -> UserAccount:
    """Make a user.

    Raises:
        ValidationFailed: 422, all that is wrong at once: the form, a role or a warehouse that does not exist, a
            password that will not do, an address that is taken.
        PermissionDenied: 403 ``cannot-grant``, ``foreign-warehouse``: more than the actor has.
        Conflict: 409 ``email-taken``, where nothing else is wrong.
    """
    if isinstance(command, FaultyUser):
        raise _together(command.errors, _faults(session, command.body))
    faults = _faults(session, asdict(command))
    if faults:
        raise faults[0] if len(faults) == 1 else _together((), faults)
    _check_grant(session, command.roles, command.warehouses, command.all_warehouses)
    password_hash = hash_password(command.password, snapshot_of(session).settings)
    return _insert(session, command, password_hash)


def register_customer(session: Session, command: Registration) -> TokenPair:
    """Make an account for somebody who signs up by themselves, and log them in.

    Writes in a transaction of its own; called with a session that only reads.

    Raises:
        PermissionDenied: 403 ``registration-closed``: the setting ``access.customer_registration`` is off.
        Conflict: 409 ``email-taken``; it counts as a failed attempt, so that nobody asks for thousands.
        TooManyRequests: 429.
    """
    settings = snapshot_of(session).settings
    if not settings[REGISTRATION]:
        raise PermissionDenied("Customers cannot sign up here.", code="registration-closed")
    attempt = sign_up_attempt(normal_email(command.email), command.address)
    check_attempt(session, attempt)
    check_new_password(command.password, email=attempt.email)
    new = NewUser(email=command.email, name=command.name, password="", roles=(CUSTOMER,))
    session.commit()
    with hashing():
        with own_transaction(session) as writing:
            claimed = claim(writing, attempt)
        password_hash = hash_password(command.password, settings)
    with own_transaction(session) as writing:
        user = _insert(writing, new, password_hash)
        forgive(writing, claimed)
        return start_session(writing, user.id, command.address)


def update_user(session: Session, user_id: int, changes: Mapping[str, Any]) -> UserAccount:
    """Change the members that are named in ``changes``; lists replace the whole list.

    A new password, and closing the account, end the user's sessions.

    Raises:
        NotFound: 404.
        ValidationFailed: 422: a role or a warehouse that does not exist, or a password that will not do.
        PermissionDenied: 403 ``cannot-grant``, ``foreign-warehouse``: the user has, or is to have, more than
            the actor.
        Conflict: 409 ``email-taken``, ``last-admin``.
    """
    user = user_below(session, user_id)
    before = describe_user(session, user)
    _check_grant(
        session,
        changes.get("roles", ()),
        changes.get("warehouses", ()),
        changes.get("all_warehouses", False),
    )
    _apply(session, user, changes)
    after = describe_user(session, user)
    if _is_admin(before) and not _is_admin(after):
        require_admin_left(session)
    _end_sessions(session, user, changes)
    if audit_changes(session, "user", user_id, before, after):
        bump_epoch(session)
    return user


def deactivate_user(session: Session, user_id: int) -> None:
    """Close an account: it stays for the records, and nobody can use it from now on.

    Raises:
        NotFound: 404.
        PermissionDenied: 403 ``cannot-grant``: the user has more rights than the actor.
        Conflict: 409 ``last-admin``.
    """
    update_user(session, user_id, {"is_active": False})


def get_user(session: Session, user_id: int) -> UserAccount:
    """Return a user.

    Raises:
        NotFound: 404.
    """
    user = session.get(UserAccount, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def user_below(session: Session, user_id: int) -> UserAccount:
    """Return a user who has no more rights than the actor, and may therefore be changed.

    Raises:
        NotFound: 404.
        PermissionDenied: 403 ``cannot-grant``, ``foreign-warehouse``.
    """
    user = get_user(session, user_id)
    _require_above(session, user_id)
    return user


def users(query: Mapping[str, Any]) -> Any:
    """Return the statement that selects the users that a ``UserQuery`` asks for, without an order."""
    filters = {
        "search": lambda text: containing(text, UserAccount.name, UserAccount.email),
        "is_active": UserAccount.is_active,
        "role": _has_role,
    }
    return narrowed(select(UserAccount), query, filters)


def _faults(session: Session, said: Mapping[str, Any]) -> list[DomainError]:
    """Return what the database and the rules have against a new user, of whatever form the values are."""
    email, password = said.get("email"), said.get("password")
    roles, warehouses = (_listed(said.get(name)) for name in ("roles", "warehouses"))
    email = normal_email(email) if isinstance(email, str) else ""
    known = snapshot_of(session).warehouses
    strange = [place for place, key in enumerate(warehouses) if isinstance(key, int) and key not in known]
    checks: list[Callable[[], object]] = [
        lambda: _require_free(session, email),
        lambda: check_new_password(password, email=email) if isinstance(password, str) else None,
        lambda: role_ids(session, [name if isinstance(name, str) else "" for name in roles]),
        *(partial(require_warehouse, session, warehouses[place], f"warehouses.{place}") for place in strange),
    ]
    faults = []
    for check in checks:
        try:
            check()
        except DomainError as fault:
            faults.append(fault)
    return faults


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _together(errors: Sequence[Mapping[str, str]], faults: Sequence[DomainError]) -> ValidationFailed:
    """Return faults as one; of a field that is wrong by its form nothing else is said."""
    named = {error["field"] for error in errors}
    every = [*errors, *(error for fault in faults for error in fault.errors if error["field"] not in named)]
    return ValidationFailed(f"{every[0]['field']}: {every[0]['message']}", errors=every)


def _insert(session: Session, command: NewUser, password_hash: str) -> UserAccount:
    email = normal_email(command.email)
    _require_free(session, email)
    user = UserAccount(
        email=email, name=command.name, password_hash=password_hash, all_warehouses=command.all_warehouses
    )
    session.add(user)
    session.flush()
    _set_roles(session, user.id, command.roles)
    _set_warehouses(session, user.id, command.warehouses)
    audit(session, "create", "user", user.id, after=describe_user(session, user))
    return user


def _apply(session: Session, user: UserAccount, changes: Mapping[str, Any]) -> None:
    if "email" in changes:
        email = normal_email(changes["email"])
        if email != user.email:
            _require_free(session, email)
        user.email = email
    for name in ("name", "is_active", "all_warehouses"):
        if name in changes:
            setattr(user, name, changes[name])
    if "password" in changes:
        check_new_password(changes["password"], email=user.email)
        user.password_hash = hash_password(changes["password"], snapshot_of(session).settings)
    session.flush()
    if "roles" in changes:
        _set_roles(session, user.id, changes["roles"])
    if "warehouses" in changes:
        _set_warehouses(session, user.id, changes["warehouses"])


def _end_sessions(session: Session, user: UserAccount, changes: Mapping[str, Any]) -> None:
    if "password" in changes:
        audit(session, "update", "user", user.id, before={"password": ""}, after={"password": ""})
        revoke_sessions_of(session, user.id, "password")
    if not user.is_active:
        revoke_sessions_of(session, user.id, "deactivated")


def _check_grant(session: Session, roles: Sequence[str], warehouses: Iterable[int], all_warehouses: bool) -> None:
    role_ids(session, roles)
    actor = actor_of(session)
    require_holds(actor, permissions_of(snapshot_of(session), roles))
    for position, warehouse_id in enumerate(warehouses):
        require_warehouse(session, warehouse_id, field=f"warehouses.{position}")
    if all_warehouses and actor.warehouse_ids is not None:
        raise PermissionDenied(
            "all_warehouses: You do not see all warehouses yourself.",
            code="foreign-warehouse",
            errors=[{"field": "all_warehouses", "message": "You do not see all warehouses yourself."}],
        )


def _require_above(session: Session, user_id: int) -> None:
    """Refuse to touch a user with more rights than the actor: a new password would hand them over."""
    actor = actor_of(session)
    user = user_actor(session.connection(), snapshot_of(session), user_id)
    require_holds(actor, user.permissions)
    if not _sees_as_much(actor, user):
        raise PermissionDenied("This user works in warehouses that are not yours.", code="foreign-warehouse")


def _sees_as_much(actor: Actor, user: Actor) -> bool:
    if actor.warehouse_ids is None:
        return True
    return user.warehouse_ids is not None and user.warehouse_ids <= actor.warehouse_ids


def _require_free(session: Session, email: str) -> None:
    if session.scalar(select(UserAccount.id).where(UserAccount.email == email)) is not None:
        message = "There is an account with this address."
        raise Conflict(message, code="email-taken", errors=[{"field": "email", "message": message}])


def _set_roles(session: Session, user_id: int, names: Sequence[str]) -> None:
    session.execute(delete(UserRole).where(UserRole.user_id == user_id))
    rows = [{"user_id": user_id, "role_id": role_id} for role_id in role_ids(session, names).values()]
    if rows:
        session.execute(insert(UserRole), rows)


def _set_warehouses(session: Session, user_id: int, warehouse_ids: Iterable[int]) -> None:
    session.execute(delete(UserWarehouse).where(UserWarehouse.user_id == user_id))
    rows = [{"user_id": user_id, "location_id": warehouse_id} for warehouse_id in sorted(set(warehouse_ids))]
    if rows:
        session.execute(insert(UserWarehouse), rows)


def _has_role(name: str) -> ColumnElement[bool]:
    return (
        exists()
        .where(UserRole.user_id == UserAccount.id, UserRole.role_id == Role.id, Role.name == name)
        .correlate(UserAccount)
    )


def _is_admin(described: Mapping[str, Any]) -> bool:
    return described["is_active"] and ADMIN in described["roles"]
