"""What a person does about an exception: accepts it, with changes where they are needed, or discards it.

An accepted one is an ordinary document of the journal in the name of who sold it. It keeps the ``external_id`` and
what the device sent is noted on it, so that the device's next attempt is a duplicate of it. The row of the exception
is locked first, and is settled once.
"""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access import acting_for, audit, default_warehouse, has_device_key, require_warehouse
from tillhook.actor import Actor
from tillhook.errors import Conflict, DomainError
from tillhook.http import validation_failed
from tillhook.runtime import actor_of
from tillhook.sales.commands import SaleCommand, body_digest, fingerprint
from tillhook.sales.exceptions import lock_exception, read_payload, sender_of, states
from tillhook.sales.models import Sale, SaleException
from tillhook.sales.offline.changes import changed, named_as_asked
from tillhook.sales.offline.posting import post_sale
from tillhook.sales.outcomes import Outcome
from tillhook.sales.sender import foreign_seller

#: Namespace of the ids of accepted sales whose own id another sale has.
_NAMESPACE = uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")


def accept(session: Session, exception_id: int, changes: Mapping[str, Any]) -> tuple[SaleException, dict[str, Any]]:
    """Post a refused document, changed as said, in the name of who sold it and with the rights of the actor.

    Args:
        changes: What ``AcceptIn`` loaded.

    Returns:
        The exception, and the answer that shows what was posted.

    Raises:
        NotFound: 404: there is no such exception, or not for this actor.
        Conflict: 409 ``exception-settled``; ``sale-already-posted`` when the same document has come in since.
        ValidationFailed: 422: with these changes it is none that can be posted; ``foreign-seller``: a person has sent
            it in the name of another, and ``ignore`` does not say to pass ``seller_id`` over.
        PermissionDenied: 403: into another's warehouse.
        RetryTransaction: The device sent it at the same moment; run the transaction again.
    """
    exception = _unsettled(session, exception_id)
    if exception.sale_id is not None:
        # A return of which a part was not left: accepted, it would take the other part back once more.
        raise _posted_already(exception.sale_id)
    before, sent = exception.status, exception.payload
    payload, fields = changed(sent, changes)
    outcome = _post(session, exception, payload, fields)
    assert outcome.sale is not None
    if outcome.status == "duplicate":
        raise _posted_already(outcome.sale["id"])
    for key in _same(session, exception):
        states.accept(session, key, changes["reason"], outcome.sale["id"])
    session.refresh(exception)
    differing = [name for name in payload if payload[name] != sent.get(name)]
    ignored = {"ignored": changes["ignore"]} if changes["ignore"] else {}
    audit(
        session,
        "accept",
        "sale_exception",
        exception.id,
        before={name: sent.get(name) for name in differing} | {"status": before},
        after={name: payload[name] for name in differing}
        | ignored
        | {"status": exception.status, "sale": outcome.sale["id"], "reason": changes["reason"]},
    )
    return exception, outcome.sale


def discard(session: Session, exception_id: int, reason: str) -> SaleException:
    """Settle an exception without posting it; sent again, it is refused for this reason.

    Raises:
        NotFound: 404: there is no such exception, or not for this actor.
        Conflict: 409 ``exception-settled``.
    """
    exception = _unsettled(session, exception_id)
    before = {"status": exception.status}
    for key in _same(session, exception):
        states.discard(session, key, reason)
    session.refresh(exception)
    after = {"status": exception.status, "reason": reason}
    audit(session, "discard", "sale_exception", exception.id, before=before, after=after)
    return exception


def _unsettled(session: Session, exception_id: int) -> SaleException:
    exception = lock_exception(session, exception_id)
    if exception.status not in states.UNSETTLED:
        raise Conflict(f"This was {exception.status} already.", code="exception-settled", sale_id=exception.sale_id)
    return exception


def _same(session: Session, exception: SaleException) -> list[int]:
    """Return the keys of the exception and of others of its content, which was refused for several reasons in turn."""
    if exception.external_id is None:
        return [exception.id]
    others = session.scalars(
        select(SaleException)
        .where(
            SaleException.external_id == exception.external_id,
            SaleException.seller_id == exception.seller_id,
            SaleException.id != exception.id,
            SaleException.status.in_(states.UNSETTLED),
        )
        .order_by(SaleException.id)
        .with_for_update()
    )
    return [exception.id, *(other.id for other in others if other.payload == exception.payload)]


def _post(session: Session, exception: SaleException, payload: dict[str, Any], fields: Mapping[str, str]) -> Outcome:
    """Post it in its seller's name; ``fields`` says by field of the body which field of the request is wrong."""
    own = actor_of(session)
    with acting_for(session, exception.seller_id, sender_of(exception)) as seller:
        # Whose sale it is, is the seller's; what may be posted, the decision of who accepts it.
        session.info["actor"] = replace(
            seller, permissions=seller.permissions | own.permissions, warehouse_ids=own.warehouse_ids
        )
        try:
            outcome = post_sale(session, _command(session, exception, payload), is_offline=True)
            if outcome.error is not None:
                raise outcome.error
        except ValidationError as error:
            raise named_as_asked(validation_failed(error), fields) from error
        except DomainError as error:
            raise named_as_asked(error, fields) from error
    return outcome


def _command(session: Session, exception: SaleException, payload: dict[str, Any]) -> SaleCommand:
    """Return the document to post: with the sent id while that is free, and known by what was sent."""
    command = read_payload(exception, payload)
    actor = actor_of(session)
    names_another = command.seller_id not in (None, actor.user_id)
    if names_another and not has_device_key(session, exception.seller_id, exception.source_device):
        raise foreign_seller()
    if command.returns is None:
        require_warehouse(session, command.warehouse or default_warehouse(session))
    sent_as = _sent_as(exception, command, actor)
    external_id = command.external_id
    if external_id is None or _is_used(session, external_id, sent_as):
        external_id = str(uuid.uuid5(_NAMESPACE, f"sale-exception:{exception.id}"))
    return replace(command, external_id=external_id, sent_as=sent_as)


def _sent_as(exception: SaleException, command: SaleCommand, actor: Actor) -> tuple[str, str]:
    """Return fingerprint and digest of what the device sent; of the changed command where that cannot be read."""
    try:
        sent = read_payload(exception)
    except ValidationError:
        sent = command
    return fingerprint(sent, actor.user_id), body_digest(exception.payload, actor.user_id)


def _is_used(session: Session, external_id: str, sent_as: tuple[str, str]) -> bool:
    """Say whether another document has the id.

    Raises:
        Conflict: 409 ``sale-already-posted``: not another, but this one.
    """
    known = session.execute(
        select(Sale.id, Sale.fingerprint, Sale.body_digest).where(Sale.external_id == external_id)
    ).one_or_none()
    if known is not None and (known.fingerprint == sent_as[0] or known.body_digest == sent_as[1]):
        raise _posted_already(known.id)
    return known is not None


def _posted_already(sale_id: int) -> Conflict:
    return Conflict(
        "The same sale has been posted since; discard this one.", code="sale-already-posted", sale_id=sale_id
    )
