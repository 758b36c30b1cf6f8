"""Putting a sale aside before it is paid, and taking it up again at whichever till, once.

Nothing is posted: no stock moves and none is reserved, no money is taken, no price is promised. What is kept is the
body of the sale, which is checked for good when it is posted.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tillhook.access import UserAccount, audit, default_warehouse, in_warehouse, require_warehouse, warehouse_condition
from tillhook.db import containing, format_instant, utc_now
from tillhook.errors import Conflict, NotFound, ValidationFailed
from tillhook.http import narrowed, page
from tillhook.ledger import load_items
from tillhook.parties import Party
from tillhook.products import why_not_there
from tillhook.runtime import actor_of, snapshot_of
from tillhook.sales import SaleCommand, device_of
from tillhook_pos.documents import till_name
from tillhook_pos.models import ParkedSale

#: What belongs to the till that will post the sale, not to the one that parks it.
_OF_THE_TILL = ("source_device", "device_number", "client_timestamp", "warehouse")


def park(session: Session, *, label: str, warehouse: int | None, source_device: str, body: SaleCommand) -> ParkedSale:
    """Put a sale aside.

    Args:
        warehouse: Where it will be sold; the body's, else the seller's only one, for ``None``.
        source_device: The till that parks it, ``web`` for the seller's own drawer.
        body: As read; what is kept is its payload.

    Raises:
        ValidationFailed: 422: another warehouse, a product or a customer that is not there.
        PermissionDenied: 403 ``foreign-warehouse`` or ``foreign-device``.
    """
    actor = actor_of(session)
    place = _place(session, warehouse, body.warehouse)
    _require_known(session, body, place)
    device = device_of(actor, source_device)
    parked = ParkedSale(
        label=label,
        warehouse_id=place,
        till=till_name(device, actor.user_id),
        seller_id=actor.user_id,
        body=_kept(body.payload, place),
    )
    session.add(parked)
    session.flush()
    audit(session, "park", "parked_sale", parked.id, after={"label": label, "till": parked.till, "body": parked.body})
    return parked


def list_parked(session: Session, query: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return parked sales of the actor's warehouses, anybody's: the next till goes on with them."""
    statement = select(ParkedSale).where(
        warehouse_condition(session, ParkedSale.warehouse_id), ParkedSale.status == query["status"]
    )
    filters = {
        "warehouse": in_warehouse(session, ParkedSale.warehouse_id),
        "till": ParkedSale.till,
        "search": lambda text: containing(text, ParkedSale.label),
    }
    statement = narrowed(statement, query, filters)
    ordering = {"id": ParkedSale.id, "created_at": ParkedSale.created_at}
    rows, cursor = page(session, statement, ordering=ordering, query=query)
    return _shown(session, rows), cursor


def show_parked(session: Session, parked_id: int) -> dict[str, Any]:
    """Return a parked sale; 404 for one of another's warehouse."""
    return _shown(session, [_get(session, parked_id)])[0]


def resume(session: Session, parked_id: int) -> dict[str, Any]:
    """End a parked sale and return it; its ``body`` is for the caller to post.

    Raises:
        NotFound: 404.
        Conflict: 409 ``pos-parked-sale-ended``: somebody else was quicker.
    """
    return _end(session, parked_id, "resumed", "", "resume")


def discard(session: Session, parked_id: int, reason: str) -> dict[str, Any]:
    """End a parked sale that nobody comes back for. Raises as :func:`resume`."""
    return _end(session, parked_id, "discarded", reason, "discard")


def _end(session: Session, parked_id: int, status: str, reason: str, action: str) -> dict[str, Any]:
    parked = _get(session, parked_id)
    # Whoever changes the row first has it: the other one waits here, and then finds it ended.
    ended = session.execute(
        update(ParkedSale)
        .where(ParkedSale.id == parked_id, ParkedSale.status == "parked")
        .values(status=status, reason=reason, ended_by=actor_of(session).user_id, ended_at=utc_now())
        .returning(ParkedSale.id)
        .execution_options(synchronize_session=False)
    ).first()
    session.refresh(parked)
    if ended is None:
        raise Conflict(
            f"This sale was {parked.status} already.", code="pos-parked-sale-ended", status_now=parked.status
        )
    after = {"status": status, "reason": reason}
    audit(session, action, "parked_sale", parked_id, before={"status": "parked", "reason": ""}, after=after)
    return _shown(session, [parked])[0]


def _get(session: Session, parked_id: int) -> ParkedSale:
    found = session.scalar(
        select(ParkedSale).where(ParkedSale.id == parked_id, warehouse_condition(session, ParkedSale.warehouse_id))
    )
    if found is None:
        raise NotFound("There is no such parked sale.", code="pos-unknown-parked-sale")
    return found


def _place(session: Session, warehouse: int | None, of_body: int | None) -> int:
    for place, field in ((warehouse, "warehouse"), (of_body, "body.warehouse")):
        if place is not None:
            require_warehouse(session, place, field=field)
    if warehouse is not None and of_body is not None and warehouse != of_body:
        raise ValidationFailed.at("body.warehouse", "Not the warehouse in which the sale is parked.")
    return warehouse or of_body or default_warehouse(session)


def _require_known(session: Session, command: SaleCommand, place: int) -> None:
    """Refuse what can never be sold, while the customer is still there to say what was meant."""
    asked = [(place, item.product_id, item.variant_id) for item in command.items if item.product_id is not None]
    items = load_items(session, asked)
    for number, item in enumerate(command.items):
        if item.product_id is not None and items.find(place, item.product_id, item.variant_id) is None:
            why = why_not_there(session, item.product_id, item.variant_id)
            raise ValidationFailed.at(f"body.items.{number}.{why.field}", why.message, code=why.code)
    if command.customer_id is not None and session.get(Party, command.customer_id) is None:
        raise ValidationFailed.at("body.customer_id", "There is no such customer.", code="unknown-customer")


def _kept(payload: Mapping[str, Any], place: int) -> dict[str, Any]:
    body = {name: value for name, value in payload.items() if name not in _OF_THE_TILL}
    kept: dict[str, Any] = json.loads(json.dumps(body | {"warehouse": place}, default=_plain))
    return kept


def _plain(value: Any) -> str:
    """Return a number with a fraction as a text, exactly."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _shown(session: Session, rows: list[ParkedSale]) -> list[dict[str, Any]]:
    sellers = {row.seller_id for row in rows if row.seller_id is not None}
    found = session.execute(select(UserAccount.id, UserAccount.name).where(UserAccount.id.in_(sorted(sellers))))
    names = {row.id: row.name for row in found}
    warehouses = snapshot_of(session).warehouses
    return [
        {
            "id": row.id,
            "label": row.label,
            "warehouse": row.warehouse_id,
            "warehouse_name": warehouses[row.warehouse_id].name,
            "till": row.till,
            "seller": row.seller_id,
            "seller_name": names.get(row.seller_id or 0, ""),
            "status": row.status,
            "reason": row.reason,
            "body": row.body,
            "created_at": format_instant(row.created_at),
            "ended_by": row.ended_by,
            "ended_at": row.ended_at and format_instant(row.ended_at),
        }
        for row in rows
    ]
