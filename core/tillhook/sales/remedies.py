"""What a person does about a refused sale: accepts it, with changes where they are needed, or discards it.

An accepted sale is an ordinary document of the journal in the name of who sold it. It keeps the ``external_id`` and
what the device sent is noted on it, so that the device's next attempt is a duplicate of it. The row of the exception
is locked first, and is settled once.
"""

import copy
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import Select, and_, exists, or_, select
from sqlalchemy.orm import Session

from tillhook.access import acting_for, audit, require_warehouse, sees_all_sales, warehouse_condition
from tillhook.access.models import UserWarehouse
from tillhook.db import format_instant, utc_now
from tillhook.errors import Conflict, DomainError, NotFound, ValidationFailed
from tillhook.http import page, validation_failed
from tillhook.runtime import actor_of
from tillhook.sales.commands import SaleCommand, body_digest, fingerprint
from tillhook.sales.devices import note_numbers
from tillhook.sales.exceptions import keep_refused
from tillhook.sales.journal import Outcome, default_warehouse, post_sale
from tillhook.sales.models import Sale, SaleException
from tillhook.sales.queries import sales_by_id
from tillhook.sales.settled import read_payload, sender_of, settled

#: Namespace of the ids of accepted sales whose own id another sale has.
_NAMESPACE = uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")
#: Changes that take the place of the member of the same name.
_MEMBERS = (
    "warehouse",
    "client_timestamp",
    "customer_id",
    "customer_name",
    "customer_phone",
    "customer_email",
    "discount_amount",
    "payment_method",
    "payments",
)
#: Changes of single items, and the members of the item that they set.
_ITEMS = {
    "prices": ("unit_price",),
    "products": ("product_id", "variant_id"),
    "quantities": ("quantity",),
}


def list_exceptions(session: Session, query: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return refused sales with their payloads, those that the actor may see."""
    statement = visible_exceptions(session)
    if "warehouse" in query:
        require_warehouse(session, query["warehouse"])
        statement = statement.where(SaleException.warehouse_id == query["warehouse"])
    for name in ("status", "source_device", "code"):
        if name in query:
            statement = statement.where(getattr(SaleException, name) == query[name])
    ordering = {
        "id": SaleException.id,
        "created_at": SaleException.created_at,
        "last_seen_at": SaleException.last_seen_at,
    }
    rows, cursor = page(session, statement, ordering=ordering, query=query)
    return [_show(row) for row in rows], cursor


def visible_exceptions(session: Session) -> Select[SaleException]:
    """Return the query of what the actor may see: the own ones; with all sales, those of the own warehouses.

    A sale that names no warehouse, or one that was not its seller's to name, belongs where its seller works.
    """
    actor = actor_of(session)
    statement = select(SaleException)
    own = SaleException.seller_id == actor.user_id
    if not sees_all_sales(actor):
        return statement.where(own)
    if actor.warehouse_ids is None:
        return statement
    misplaced = or_(
        SaleException.warehouse_id.is_(None), SaleException.code.in_(("foreign-warehouse", "unknown-warehouse"))
    )
    colleague = exists().where(
        UserWarehouse.user_id == SaleException.seller_id,
        UserWarehouse.location_id.in_(sorted(actor.warehouse_ids)),
    )
    return statement.where(
        or_(
            own,
            and_(~misplaced, warehouse_condition(session, SaleException.warehouse_id)),
            and_(misplaced, colleague),
        )
    )


def get_exception(session: Session, exception_id: int) -> dict[str, Any]:
    """Return one refused sale.

    Raises:
        NotFound: 404: there is none, or not for this actor.
    """
    return _show(_find(session, exception_id))


def accept(session: Session, exception_id: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Post a refused sale, changed as said, in the name of who sold it and with the rights of the actor.

    Args:
        changes: What ``AcceptIn`` loaded.

    Raises:
        NotFound: 404: there is no such refused sale, or not for this actor.
        Conflict: 409 ``exception-settled``; ``sale-already-posted`` when the same sale has come in since.
        ValidationFailed: 422: with these changes it is no sale that can be posted.
        PermissionDenied: 403: into another's warehouse.
        RetryTransaction: The device sent it at the same moment; run the transaction again.
    """
    exception = _locked(session, exception_id)
    if exception.sale_id is not None:
        # A return of which a part was not left: accepted, it would take the other part back once more.
        raise _posted_already(exception.sale_id)
    payload, fields = _changed(exception, changes)
    own = actor_of(session)
    before = {name: exception.payload.get(name) for name in payload if payload[name] != exception.payload.get(name)}
    after = {name: payload[name] for name in before}
    with acting_for(session, exception.seller_id, sender_of(exception)) as seller:
        # Whose sale it is, is the seller's; what may be posted, the decision of who accepts it.
        session.info["actor"] = replace(
            seller, permissions=seller.permissions | own.permissions, warehouse_ids=own.warehouse_ids
        )
        try:
            command = _command(session, exception, payload)
            outcome = post_sale(session, command, is_offline=True)
            if outcome.error is not None:
                raise outcome.error
        except ValidationError as error:
            raise _renamed(validation_failed(error), fields) from error
        except DomainError as error:
            raise _renamed(error, fields) from error
    assert outcome.sale is not None
    if outcome.status == "duplicate":
        raise _posted_already(outcome.sale["id"])
    before |= {"status": exception.status}
    if changes["ignore"]:
        after["ignored"] = changes["ignore"]
    for each in _same(session, exception):
        _settle(session, each, "accepted", changes["reason"], outcome.sale["id"])
    after |= {"status": "accepted", "sale": outcome.sale["id"], "reason": changes["reason"]}
    audit(session, "accept", "sale_exception", exception.id, before=before, after=after)
    return {**_show(exception), "sale": outcome.sale}


def discard(session: Session, exception_id: int, reason: str) -> dict[str, Any]:
    """Settle a refused sale without posting it; sent again, it is refused for this reason.

    Raises:
        NotFound: 404: there is no such refused sale, or not for this actor.
        Conflict: 409 ``exception-settled``.
    """
    exception = _locked(session, exception_id)
    before = exception.status
    for each in _same(session, exception):
        _settle(session, each, "discarded", reason, None)
    audit(
        session,
        "discard",
        "sale_exception",
        exception.id,
        before={"status": before},
        after={"status": "discarded", "reason": reason},
    )
    return _show(exception)


def refuse_unreadable(session: Session, refused: Mapping[int, tuple[SaleCommand, DomainError]]) -> dict[int, Outcome]:
    """Keep what could not even be read, unless a person has decided about it before; by position."""
    known = {position: command for position, (command, _) in refused.items() if command.external_id}
    decided = settled(session, known) if known else {}
    keep_refused(session, [each for position, each in refused.items() if position not in decided])
    shown = sales_by_id(session, [sale_id for sale_id in decided.values() if isinstance(sale_id, int)])
    outcomes = {position: Outcome("rejected", error=error) for position, (_, error) in refused.items()}
    for position, decision in decided.items():
        outcomes[position] = (
            Outcome("duplicate", sale=shown[decision])
            if isinstance(decision, int)
            else Outcome("rejected", error=decision)
        )
    positions = list(refused)
    noted = note_numbers(session, [refused[each][0] for each in positions], [outcomes[each] for each in positions])
    return dict(zip(positions, noted, strict=True))


def _find(session: Session, exception_id: int, *, lock: bool = False) -> SaleException:
    statement = visible_exceptions(session).where(SaleException.id == exception_id)
    exception = session.scalars(statement.with_for_update() if lock else statement).one_or_none()
    if exception is None:
        raise NotFound("There is no such refused sale.", code="unknown-exception")
    return exception


def _locked(session: Session, exception_id: int) -> SaleException:
    exception = _find(session, exception_id, lock=True)
    if exception.status not in ("open", "waiting"):
        raise Conflict(f"This was {exception.status} already.", code="exception-settled", sale_id=exception.sale_id)
    return exception


def _changed(exception: SaleException, changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the body with the changes, and by field of it the field of the change."""
    payload = copy.deepcopy(exception.payload)
    for name in changes["ignore"]:
        payload.pop(name, None)
    for name in _MEMBERS:
        if name in changes:
            payload[name] = _plain(changes[name])
    if "payment_method" in changes:
        payload.pop("payments", None)
    fields: dict[str, str] = {}
    items = payload.get("items")
    for change, members in _ITEMS.items():
        for number, asked in enumerate(changes[change]):
            position = asked["position"]
            if not isinstance(items, list) or position >= len(items) or not isinstance(items[position], dict):
                raise ValidationFailed.at(f"{change}.{number}.position", "There is no such item.")
            for member in members:
                items[position][member] = _plain(asked[member])
                fields[f"items.{position}.{member}"] = f"{change}.{number}.{member}"
            if change == "products":
                items[position].pop("product_data", None)
    return payload, fields


def _command(session: Session, exception: SaleException, payload: dict[str, Any]) -> SaleCommand:
    """Return the sale to post: with the sent id while that is free, and known by what was sent."""
    command = read_payload(exception, payload)
    actor = actor_of(session)
    if command.returns is None:
        require_warehouse(session, command.warehouse or default_warehouse(session, actor))
    try:
        sent = read_payload(exception)
    except ValidationError:
        sent = command
    sent_as = fingerprint(sent, actor.user_id), body_digest(exception.payload, actor.user_id)
    own_id = command.external_id
    if own_id is not None:
        known = session.execute(
            select(Sale.id, Sale.fingerprint, Sale.body_digest).where(Sale.external_id == own_id)
        ).one_or_none()
        if known is not None:
            if known.fingerprint == sent_as[0] or known.body_digest == sent_as[1]:
                raise _posted_already(known.id)
            own_id = None
    external_id = own_id or str(uuid.uuid5(_NAMESPACE, f"sale-exception:{exception.id}"))
    return replace(command, external_id=external_id, sent_as=sent_as)


def _posted_already(sale_id: int) -> Conflict:
    return Conflict(
        "The same sale has been posted since; discard this one.", code="sale-already-posted", sale_id=sale_id
    )


def _same(session: Session, exception: SaleException) -> list[SaleException]:
    """Return the exception and others of the same content, which was refused for several reasons in turn."""
    if exception.external_id is None:
        return [exception]
    others = session.scalars(
        select(SaleException)
        .where(
            SaleException.external_id == exception.external_id,
            SaleException.seller_id == exception.seller_id,
            SaleException.id != exception.id,
            SaleException.status.in_(("open", "waiting")),
        )
        .order_by(SaleException.id)
        .with_for_update()
    )
    return [exception, *(other for other in others if other.payload == exception.payload)]


def _settle(session: Session, exception: SaleException, status: str, reason: str, sale_id: int | None) -> None:
    exception.status, exception.resolution = status, reason
    # What was posted in part has its document already.
    exception.sale_id = exception.sale_id if sale_id is None else sale_id
    exception.resolved_by, exception.resolved_at = actor_of(session).user_id, utc_now()
    session.flush()


def _renamed(error: DomainError, fields: Mapping[str, str]) -> DomainError:
    """Return the error with its fields named as those of the request that changed them."""
    renamed = []
    for each in error.errors:
        name = fields.get(each["field"], each["field"])
        renamed.append({**each, "field": name})
    error.errors = renamed
    return error


def _plain(value: Any) -> Any:
    """Return a loaded value as a body says it."""
    if isinstance(value, list):
        return [_tender(each) for each in value]
    if hasattr(value, "isoformat"):
        return format_instant(value)
    return value if value is None or isinstance(value, int | str) else f"{value:f}"


def _tender(tender: Any) -> dict[str, Any]:
    return {"method": tender.method, "amount": f"{tender.amount:f}", "reference": tender.reference}


def _show(row: SaleException) -> dict[str, Any]:
    return {
        "id": row.id,
        "external_id": row.external_id,
        "channel": row.channel,
        "source_device": row.source_device,
        "seller": row.seller_id,
        "warehouse": row.warehouse_id,
        "code": row.code,
        "detail": row.detail,
        "payload": row.payload,
        "attempts": row.attempts,
        "status": row.status,
        "sale_id": row.sale_id,
        "resolution": row.resolution,
        "resolved_by": row.resolved_by,
        "resolved_at": None if row.resolved_at is None else format_instant(row.resolved_at),
        "created_at": format_instant(row.created_at),
        "last_seen_at": format_instant(row.last_seen_at),
    }
