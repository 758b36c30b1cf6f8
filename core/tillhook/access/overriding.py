"""A manager's override: what the actor may not do is done once, by a colleague's PIN in the same request.

The PIN comes in a header, so that it is in no body that is stored, no digest and no answer that is kept. It is checked
once per request, before its transaction; in the transaction the colleague lends what the actor lacks.
"""

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from tillhook.access.audit import audit
from tillhook.access.loading import user_actor, without_administration
from tillhook.access.models import AuditEntry, UserAccount
from tillhook.access.pins import Proof, person_named, prove
from tillhook.access.throttle import network_of
from tillhook.actor import Actor, Override
from tillhook.errors import PermissionDenied, ValidationFailed
from tillhook.quantities import ZERO

if TYPE_CHECKING:
    from tillhook.reference import Snapshot
    from tillhook.runtime import Runtime

HEADER = "X-Override"
GIVE = "access:override:give"
_DISCOUNT = "sales:sale:discount"


def prove_override(runtime: "Runtime", actor: Actor, header: str, address: str, request_id: str) -> Proof:
    """Check the PIN of ``X-Override: <user id or e-mail>:<PIN>``.

    Raises:
        ValidationFailed: 422: it is not of that form.
        PermissionDenied: 403 ``override-refused``.
        TooManyRequests: 429 after wrong PINs of that person, or at that till.
    """
    person, _, pin = header.rpartition(":")
    person = person.strip()
    if not (person and pin) or len(header) > 300 or not header.isprintable():
        raise ValidationFailed.at(HEADER, "A user's id or e-mail address, a colon, and the PIN are needed.")
    proof = None
    if actor.warehouse_ids != frozenset():
        # Else there is nobody to work with: a customer cannot try anybody's PIN, or block it.
        proof = prove(
            runtime,
            actor,
            person_named(person),
            pin,
            place=_place(actor, address),
            warehouse_ids=actor.warehouse_ids,
            request_id=request_id,
        )
    if proof is None:
        raise _refused("There is no such person, or it is not their PIN.")
    return proof


def lend(connection: Connection, snapshot: "Snapshot", actor: Actor, proof: Proof) -> Actor:
    """Return the actor with what the colleague lends, within the warehouses that both see.

    Raises:
        PermissionDenied: 403 ``override-refused``: the colleague may not, is the actor, or works elsewhere.
    """
    kept = connection.execute(
        select(UserAccount.pin_hash).where(UserAccount.id == proof.user_id, UserAccount.is_active)
    ).scalar_one_or_none()
    if kept != proof.pin_hash:
        raise _refused("There is no such person, or it is not their PIN.")
    if proof.user_id == actor.user_id:
        raise _refused("Nobody overrides for themselves.")
    other = user_actor(connection, snapshot, proof.user_id)
    if not other.can(GIVE):
        raise _refused(f"{other.name} may not override: this needs the permission {GIVE}.")
    warehouses = _both(actor.warehouse_ids, other.warehouse_ids)
    if warehouses == frozenset():
        raise _refused(f"{other.name} works in no warehouse of yours.")
    own, lent = actor.permissions, without_administration(other.permissions) - actor.permissions
    limit = actor.discount_limit
    if _limit(snapshot, other) > _limit(snapshot, actor):
        own, lent, limit = own - {_DISCOUNT}, lent | {_DISCOUNT}, other.discount_limit
    return replace(
        actor,
        permissions=own,
        warehouse_ids=warehouses,
        discount_limit=limit,
        override=Override(user_id=proof.user_id, name=other.name, permissions=lent),
    )


def record_override(session: Session, actor: Actor, request: str, entity: str, entity_id: int | str) -> None:
    """Write down who lent what for which document; nothing when nothing was asked for.

    Args:
        request: Method and path.
        entity: What the audit log calls the document.
    """
    override = actor.override
    if override is None or not override.used:
        return
    after = {
        "approved_by": override.user_id,
        "approver": override.name,
        "permissions": sorted(override.used),
        "request": request,
    }
    audit(session, "override", entity, entity_id, after=after)


def approval_of(session: Session, entity: str, entity_id: int) -> dict[str, Any] | None:
    """Return who overrode for a document last: ``id``, ``name``, ``permissions``; ``None`` for nobody."""
    of_it = (AuditEntry.entity == entity, AuditEntry.entity_id == str(entity_id), AuditEntry.action == "override")
    found = session.scalar(select(AuditEntry.after).where(*of_it).order_by(AuditEntry.id.desc()).limit(1))
    if found is None:
        return None
    return {"id": found["approved_by"], "name": found["approver"], "permissions": found["permissions"]}


def _place(actor: Actor, address: str) -> str:
    """Return where wrong PINs count: the device, else the network address."""
    return f"device {actor.device}" if actor.device else f"address {network_of(address)}"


def _limit(snapshot: "Snapshot", actor: Actor) -> Decimal:
    if not actor.can(_DISCOUNT):
        return ZERO
    general: Decimal = snapshot.setting("sales.discount_limit")
    return general if actor.discount_limit is None else actor.discount_limit


def _both(one: frozenset[int] | None, other: frozenset[int] | None) -> frozenset[int] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _refused(detail: str) -> PermissionDenied:
    return PermissionDenied(detail, code="override-refused")
