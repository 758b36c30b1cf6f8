"""Tills as devices: registering, a new key, taking one out of use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.access import (
    KeyRequest,
    UserAccount,
    audit,
    create_api_key,
    require_warehouse,
    revoke_api_key,
    user_actor,
    warehouse_condition,
)
from tillhook.db import RetryTransaction, format_instant
from tillhook.errors import Conflict, NotFound, ValidationFailed
from tillhook.runtime import actor_of, runtime_of, snapshot_of
from tillhook.sales import NO_DEVICE, missing_numbers
from tillhook_pos import permissions
from tillhook_pos.documents import PERSONAL
from tillhook_pos.models import Till, TillSession
from tillhook_pos.tills.signing import till_secret

#: What a till cannot do without.
_NEEDED = ("sales:sale:post", "sales:sale:sync")
#: What a till's key may do, as far as its owner may. Prices, users and settings are none of its business.
_SCOPES = (
    *_NEEDED,
    "sales:sale:read",
    "sales:sale:return",
    "sales:sale:cancel",
    "sales:sale:discount",
    "sales:sale:open_price",
    "sales:exception:read",
    "sales:device:read",
    "catalogue:product:read",
    "catalogue:product:create_inline",
    "parties:party:read",
    "stock:level:read",
    "stock:alert:read",
    "stock:warehouse:read",
    permissions.SCAN,
    permissions.SELL,
    permissions.PARK,
    permissions.READ_PARKED,
    permissions.RESUME_PARKED,
    permissions.DISCARD_PARKED,
    permissions.RECEIPT_PRINT,
    permissions.INVENTORY,
    permissions.SESSION_OPEN,
    permissions.SESSION_READ,
    permissions.SESSION_CASH,
    permissions.SESSION_CLOSE,
    permissions.TILL_READ,
    permissions.TILL_SIGN_IN,
    permissions.RECEIPT_VERIFY,
)
#: Of a device that has not sent any sale with a running number.
_NO_NUMBERS: Mapping[str, Any] = {"last_number": 0, "ranges": []}


@dataclass(frozen=True, slots=True)
class Registered:
    """A till at the only moment at which what its device needs is known."""

    till: Till
    api_key: str
    code_secret: str


def register_till(session: Session, name: str, warehouse_id: int, user_id: int | None) -> Registered:
    """Register a till as a device: it gets a key, and a secret to sign its receipts by.

    A till that a session has named already is taken over, and so is one that was taken out of use.

    Args:
        user_id: In whose name it sells; the actor when left out.

    Raises:
        ValidationFailed: 422: the name will not do, an unknown warehouse, a user who may not sell there.
        PermissionDenied: 403 ``foreign-warehouse``, ``cannot-grant``.
        Conflict: 409 ``pos-till-exists``: the name is a working device's; ``pos-till-in-session``: a session is open
            elsewhere.
        RetryTransaction: Somebody took the name meanwhile.
    """
    _check_name(name)
    require_warehouse(session, warehouse_id)
    if not snapshot_of(session).warehouses[warehouse_id].is_active:
        raise ValidationFailed.at("warehouse", "There is no such active warehouse.", code="unknown-warehouse")
    till = session.scalar(select(Till).where(Till.name == name).with_for_update())
    before = None
    if till is None:
        till = Till(name=name, warehouse_id=warehouse_id)
        session.add(till)
        _flush(session)
    else:
        _check_free(session, till, warehouse_id)
        before = _kept(till)
        if till.api_key_id is not None:
            till.code_version += 1
        till.warehouse_id, till.is_active = warehouse_id, True
    till.user_id = _seller(session, user_id)
    registered = _equipped(session, till)
    audit(session, "register", "pos_till", till.id, before=before, after=_kept(till))
    return registered


def rotate_key(session: Session, till_id: int) -> Registered:
    """Give a till's device a new key and a new secret; the old key ends at once.

    Receipts that were signed before stay good, but restoring from them asks for a reason.

    Raises:
        NotFound: 404.
        Conflict: 409 ``pos-till-without-device``, ``pos-till-inactive``.
    """
    till = _locked(session, till_id)
    if not till.is_active:
        raise Conflict("The till is out of use; register it again.", code="pos-till-inactive")
    if till.api_key_id is None:
        raise Conflict("The till has no device; register it.", code="pos-till-without-device")
    before = _kept(till)
    revoke_api_key(session, till.api_key_id)
    till.code_version += 1
    registered = _equipped(session, till)
    audit(session, "rotate-key", "pos_till", till.id, before=before, after=_kept(till))
    return registered


def deactivate_till(session: Session, till_id: int, reason: str) -> Till:
    """Take a till out of use, its device being lost for instance: its key ends at once.

    Raises:
        NotFound: 404.
        Conflict: 409 ``pos-till-inactive``.
    """
    till = _locked(session, till_id)
    if not till.is_active:
        raise Conflict("The till is out of use already.", code="pos-till-inactive")
    if till.api_key_id is not None:
        revoke_api_key(session, till.api_key_id)
    till.is_active = False
    session.flush()
    after = {"is_active": False, "reason": reason}
    audit(session, "deactivate", "pos_till", till.id, before={"is_active": True}, after=after)
    return till


def get_till(session: Session, till_id: int) -> Till:
    """Return a till of a warehouse that the actor sees.

    Raises:
        NotFound: 404.
    """
    till = session.scalar(tills(session).where(Till.id == till_id))
    if till is None:
        raise NotFound("There is no such till.", code="pos-unknown-till")
    return till


def tills(session: Session, *, warehouse_id: int | None = None, is_active: bool | None = None) -> Select[Till]:
    """Return the statement that selects the tills that the actor sees, without an order."""
    statement = select(Till).where(warehouse_condition(session, Till.warehouse_id))
    if warehouse_id is not None:
        require_warehouse(session, warehouse_id)
        statement = statement.where(Till.warehouse_id == warehouse_id)
    if is_active is not None:
        statement = statement.where(Till.is_active == is_active)
    return statement


def describe_tills(session: Session, listed: Sequence[Till]) -> list[dict[str, Any]]:
    """Return tills as the API answers them, with the running numbers that are missing."""
    numbers = {each["source_device"]: each for each in missing_numbers(session, [till.name for till in listed])}
    return [_described(till, numbers.get(till.name, _NO_NUMBERS)) for till in listed]


def _described(till: Till, numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": till.id,
        "name": till.name,
        "warehouse": till.warehouse_id,
        "user": till.user_id,
        "is_active": till.is_active,
        "is_device": till.is_active and till.api_key_id is not None,
        "code_version": till.code_version,
        "created_at": format_instant(till.created_at),
        "last_number": numbers["last_number"],
        "next_number": numbers["last_number"] + 1,
        "missing": numbers["ranges"],
    }


def _check_name(name: str) -> None:
    folded = name.casefold()
    if folded == NO_DEVICE or folded.startswith(PERSONAL):
        raise ValidationFailed.at("name", "That is what sales without a device are called.", code="pos-reserved-name")
    if not name.isprintable():
        raise ValidationFailed.at("name", "Holds a character that cannot be printed.")


def _check_free(session: Session, till: Till, warehouse_id: int) -> None:
    require_warehouse(session, till.warehouse_id, field="name")
    if till.is_active and till.api_key_id is not None:
        message = "A till of this name has a device already; give it a new key, or take it out of use."
        raise Conflict(message, code="pos-till-exists", errors=[{"field": "name", "message": message}])
    if till.warehouse_id == warehouse_id:
        return
    statement = select(TillSession.id).where(TillSession.till_id == till.id, TillSession.closed_at.is_(None))
    if session.scalar(statement) is not None:
        message = "A session of this till is open in another warehouse; close it first."
        raise Conflict(message, code="pos-till-in-session", errors=[{"field": "warehouse", "message": message}])


def _seller(session: Session, user_id: int | None) -> int:
    """Return the user in whose name a till is to sell."""
    user_id = actor_of(session).user_id if user_id is None else user_id
    user = None if user_id is None else session.get(UserAccount, user_id)
    if user is None or not user.is_active:
        raise ValidationFailed.at("user", "There is no such active user.", code="unknown-user")
    return user.id


def _equipped(session: Session, till: Till) -> Registered:
    """Return the till with a new key, which the till then has."""
    assert till.user_id is not None
    owner = user_actor(session.connection(), snapshot_of(session), till.user_id)
    missing = [scope for scope in _NEEDED if not owner.can(scope)]
    if missing:
        raise ValidationFailed.at("user", f"Lacks {', '.join(missing)}.", code="pos-user-cannot-sell")
    if owner.warehouse_ids is not None and till.warehouse_id not in owner.warehouse_ids:
        raise ValidationFailed.at("user", "Does not work in this warehouse.", code="foreign-warehouse")
    request = KeyRequest(
        name=f"Till {till.name}",
        scopes=tuple(scope for scope in _SCOPES if owner.can(scope)),
        user_id=till.user_id,
        warehouse_ids=(till.warehouse_id,),
        device=till.name,
    )
    key, text = create_api_key(session, request)
    till.api_key_id = key.id
    session.flush()
    secret = till_secret(runtime_of(session).settings, till.name, till.code_version)
    return Registered(till, text, secret.hex())


def _locked(session: Session, till_id: int) -> Till:
    get_till(session, till_id)
    # Read again under the lock: of two who rotate its key at once, the second ends the first one's.
    statement = select(Till).where(Till.id == till_id).with_for_update().execution_options(populate_existing=True)
    return session.scalars(statement).one()


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        # The next attempt finds the till of this name.
        raise RetryTransaction from error


def _kept(till: Till) -> dict[str, Any]:
    """Return what the audit log keeps of a till."""
    return {
        "name": till.name,
        "warehouse": till.warehouse_id,
        "user": till.user_id,
        "is_active": till.is_active,
        "api_key": till.api_key_id,
        "code_version": till.code_version,
    }
