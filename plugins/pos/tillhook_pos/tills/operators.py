"""Several people at one till: its device has a key, each person signs in by a PIN, and what they do is theirs."""

from typing import Any

from sqlalchemy.orm import Session

from tillhook.access import audit, people_at, person_named, prove, revoke_session, sign_in_at_device
from tillhook.errors import Conflict, PermissionDenied, Unauthenticated
from tillhook.runtime import actor_of, request_id_of, runtime_of, snapshot_of
from tillhook_pos.models import Till
from tillhook_pos.tills.services import get_till

OPERATOR_MINUTES = "pos.operator_minutes"


def operators(session: Session, till_id: int) -> list[dict[str, Any]]:
    """Return who can sign in at a till, ``id`` and ``name`` of each, by name.

    Raises:
        NotFound: 404.
        PermissionDenied: 403 ``foreign-device``: the key is another till's.
        Conflict: 409: the till is out of use, or has no device.
    """
    return people_at(session, _working(session, till_id).warehouse_id)


def sign_in(session: Session, till_id: int, person: int | str, pin: str) -> dict[str, Any]:
    """Sign a person in by their PIN. Writes in transactions of its own; called with a session that only reads.

    The token acts as the person, at the till and in its warehouse only, until it expires or the till's key ends.

    Raises:
        NotFound: 404: there is no such till.
        Unauthenticated: 401 ``pos-wrong-pin``: another PIN, or nobody who can sign in here, which nothing tells apart.
        TooManyRequests: 429 after wrong ones.
        PermissionDenied: 403 ``foreign-device``.
        Conflict: 409: the till is out of use, or has no device.
    """
    till, actor, runtime = _working(session, till_id), actor_of(session), runtime_of(session)
    named, request_id = person_named(person) if isinstance(person, str) else person, request_id_of(session)
    proof = prove(
        runtime,
        actor,
        named,
        pin,
        place=f"device {till.name}",
        warehouse_ids=frozenset({till.warehouse_id}),
        request_id=request_id,
    )
    if proof is None:
        raise _wrong_pin()
    lifetime_s = 60 * int(snapshot_of(session).setting(OPERATOR_MINUTES))
    with runtime.unit_of_work(actor, request_id=request_id) as writing:
        # Read again and locked: its key may have been ended meanwhile.
        till = _working(writing, till_id, lock=True)
        assert till.api_key_id is not None
        user = next((each for each in people_at(writing, till.warehouse_id) if each["id"] == proof.user_id), None)
        signed_in = None if user is None else sign_in_at_device(writing, proof, till.api_key_id, lifetime_s)
        if signed_in is None or user is None:
            raise _wrong_pin()
        audit(writing, "sign-in", "pos_till", till.id, after={"user": user["id"]})
    return {
        "access_token": signed_in.access_token,
        "token_type": "Bearer",
        "expires_in": signed_in.expires_in_s,
        "user": user,
    }


def sign_out(session: Session, till_id: int) -> None:
    """End the actor's sign-in at a till.

    Raises:
        NotFound: 404: there is no such till.
        Conflict: 409 ``pos-not-signed-in``: the actor has not signed in there by a PIN.
    """
    till, actor = get_till(session, till_id), actor_of(session)
    if actor.session_id is None or actor.device != till.name:
        raise Conflict("Nobody has signed in here by this token.", code="pos-not-signed-in")
    revoke_session(session, actor.session_id, "sign-out")
    audit(session, "sign-out", "pos_till", till.id, after={"user": actor.user_id})


def _working(session: Session, till_id: int, *, lock: bool = False) -> Till:
    """Return a till that has a device, which is the actor's if that is a device at all."""
    till = get_till(session, till_id)
    if lock:
        session.refresh(till, with_for_update=True)
    device = actor_of(session).device
    if device not in (None, till.name):
        raise PermissionDenied(f"This key is of the device {device}.", code="foreign-device")
    if not till.is_active:
        raise Conflict("The till is out of use; register it again.", code="pos-till-inactive")
    if till.api_key_id is None:
        raise Conflict("The till has no device; register it.", code="pos-till-without-device")
    return till


def _wrong_pin() -> Unauthenticated:
    return Unauthenticated("There is no such person here, or it is not their PIN.", code="pos-wrong-pin")
