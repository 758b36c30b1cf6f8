"""PINs: what a person types at a till instead of a password, to sign in there or to lend rights to a colleague.

A PIN is short, so it opens no account: it is good at a till only, or for one request, and never for administration.
Hashed like passwords, throttled more closely, see :mod:`tillhook.access.throttle`. Wrong ones are in the audit log.
"""

import itertools
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session

from tillhook.access.audit import audit
from tillhook.access.models import UserAccount, UserWarehouse
from tillhook.access.passwords import hash_password, hashing, stand_in, verify_password
from tillhook.access.sessions import (
    confirm_password,
    normal_email,
    open_session,
    own_transaction,
    revoke_sign_ins_of,
)
from tillhook.access.throttle import check_attempt, claim, forgive, pin_attempt
from tillhook.access.tokens import issue_access_token
from tillhook.actor import Actor
from tillhook.errors import ValidationFailed
from tillhook.runtime import Runtime, runtime_of, snapshot_of

PATTERN = "[0-9]{4,12}"
_ID = re.compile("[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Proof:
    """Somebody's PIN was right; ``pin_hash`` is what it was checked against."""

    user_id: int
    pin_hash: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """Somebody is signed in at a device."""

    user: UserAccount
    session_id: int
    access_token: str
    expires_in_s: int


def set_pin(session: Session, user: UserAccount, pin: str | None) -> None:
    """Give a user another PIN, or none; sign-ins by the old one end.

    Raises:
        ValidationFailed: 422 ``weak-pin``.
    """
    if pin is not None:
        check_new_pin(pin)
    pin_hash = None if pin is None else hash_password(pin, snapshot_of(session).settings)
    _write_pin(session, user, pin_hash)


def set_own_pin(session: Session, pin: str | None, current_password: str, address: str) -> None:
    """Give the actor another PIN, or none. Writes in a transaction of its own.

    Raises:
        PermissionDenied: 403 to an API key, which is no person.
        ValidationFailed: 422 ``weak-pin``, or the password is wrong.
        TooManyRequests: 429 after failed attempts.
    """
    if pin is not None:
        check_new_pin(pin)
    checked = confirm_password(session, current_password, address)
    pin_hash = None
    if pin is not None:
        with hashing():
            pin_hash = hash_password(pin, snapshot_of(session).settings)
    with own_transaction(session, checked.user_id) as writing:
        forgive(writing, checked.claim)
        _write_pin(writing, writing.get_one(UserAccount, checked.user_id), pin_hash)


def check_new_pin(pin: str, field: str = "pin") -> None:
    """Refuse the PINs that everybody tries first: one digit, two in turn, digits in a row.

    Raises:
        ValidationFailed: 422 ``weak-pin``.
    """
    steps = {(int(digit) - int(before)) % 10 for before, digit in itertools.pairwise(pin)}
    if pin[2:] == pin[:-2] or steps in ({1}, {9}):
        raise ValidationFailed.at(field, "Too easy to guess.", code="weak-pin")


def prove(
    runtime: Runtime,
    actor: Actor,
    person: str | int,
    pin: str,
    *,
    place: str,
    warehouse_ids: frozenset[int] | None,
    request_id: str = "",
) -> Proof | None:
    """Say whose PIN it is; ``None`` for a wrong one, and nothing tells that from nobody's.

    Who works in none of the warehouses is nobody: people of one shop cannot try, or block, the PINs of another.
    Takes transactions of its own, and none while the PIN is checked.

    Args:
        actor: Who passes the PIN on: a till's key, or the colleague.
        person: The key of a user, or the e-mail address.
        place: The till, else the network address.
        warehouse_ids: ``None`` for all of them.

    Raises:
        TooManyRequests: 429 after wrong ones.
    """
    column: Any = UserAccount.id if isinstance(person, int) else UserAccount.email
    with runtime.unit_of_work(actor, write=False, request_id=request_id) as session:
        statement = select(UserAccount.id, UserAccount.is_active, UserAccount.pin_hash).where(column == person)
        if warehouse_ids is not None:
            statement = statement.where(_sees(*warehouse_ids))
        user = session.execute(statement).one_or_none()
        name = f"user {user.id}" if user else f"nobody {person}"
        attempt = pin_attempt(name, place)
        check_attempt(session, attempt)
        instead = stand_in(session, UserAccount.pin_hash, name)
        settings = snapshot_of(session).settings
    kept = user.pin_hash if user is not None else None
    with hashing():
        with runtime.unit_of_work(actor, request_id=request_id) as session:
            claimed = claim(session, attempt)
        is_right = verify_password(pin, kept, settings, instead=instead) and user is not None and user.is_active
    with runtime.unit_of_work(actor, request_id=request_id) as session:
        if is_right:
            forgive(session, claimed)
        else:
            audit(session, "refuse", "pin", user.id if user else "", after={"place": place})
    return Proof(user.id, kept) if is_right and user is not None and kept is not None else None


def is_still(session: Session, proof: Proof) -> bool:
    """Say whether the PIN that was checked before is still theirs."""
    statement = select(UserAccount.id).where(
        UserAccount.id == proof.user_id, UserAccount.is_active, UserAccount.pin_hash == proof.pin_hash
    )
    return session.scalar(statement) is not None


def person_named(text: str) -> str | int:
    """Return the key or the e-mail address that ``text`` is."""
    return int(text) if _ID.fullmatch(text) else normal_email(text)


def sign_in_at_device(session: Session, proof: Proof, api_key_id: int, lifetime_s: int) -> SignIn | None:
    """Sign a person in at the device that has a key; ``None`` when the PIN is not theirs any more.

    The token acts as the person, at the key's warehouses that the person sees, and ends with the key. It is not
    renewed but by the PIN.
    """
    if not is_still(session, proof):
        return None
    family_id = open_session(session, proof.user_id, api_key_id=api_key_id)
    settings = runtime_of(session).settings
    token = issue_access_token(settings, proof.user_id, family_id, lifetime_s=lifetime_s)
    return SignIn(session.get_one(UserAccount, proof.user_id), family_id, token, lifetime_s)


def people_at(session: Session, warehouse_id: int) -> list[dict[str, Any]]:
    """Return ``id`` and ``name`` of the active people with a PIN who see a warehouse, by name."""
    statement = (
        select(UserAccount.id, UserAccount.name)
        .where(UserAccount.is_active, UserAccount.pin_hash.is_not(None), _sees(warehouse_id))
        .order_by(UserAccount.name, UserAccount.id)
    )
    return [{"id": row.id, "name": row.name} for row in session.execute(statement)]


def name_at(session: Session, user_id: int, warehouse_id: int) -> str | None:
    """Return the name of a user who sees a warehouse, active or not; ``None`` for anybody else."""
    statement = select(UserAccount.name).where(UserAccount.id == user_id, _sees(warehouse_id))
    return session.scalar(statement)


def _sees(*warehouse_ids: int) -> ColumnElement[bool]:
    """Return the condition that a user sees one of some warehouses."""
    own = exists().where(UserWarehouse.user_id == UserAccount.id, UserWarehouse.location_id.in_(sorted(warehouse_ids)))
    return or_(UserAccount.all_warehouses, own)


def _write_pin(session: Session, user: UserAccount, pin_hash: str | None) -> None:
    had = user.pin_hash is not None
    user.pin_hash = pin_hash
    session.flush()
    audit(session, "update", "user", user.id, before={"has_pin": had}, after={"has_pin": pin_hash is not None})
    revoke_sign_ins_of(session, user.id, "pin")
