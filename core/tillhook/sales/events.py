"""The journal's events: one per document, and who may read it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from tillhook.access import sees_all_sales
from tillhook.hooks import Event, EventType
from tillhook.quantities import json_number
from tillhook.runtime import actor_of
from tillhook.sales.rows import DocumentRows

_NAMES = {
    "sale": "sale:created",
    "exchange": "sale:created",
    "return": "sale:returned",
    "cancellation": "sale:cancelled",
}


def sale_event(document: DocumentRows) -> tuple[str, dict[str, Any], int]:
    """Return name, payload and warehouse of a document's event; what comes back has negative quantities."""
    sale = document.sale
    payload = {
        "sale_id": sale["id"],
        "sale_number": sale["sale_number"],
        "kind": sale["kind"],
        "origin_id": sale["origin_id"],
        "channel": sale["channel"],
        "warehouse_id": sale["warehouse_id"],
        "seller_id": sale["seller_id"],
        "total_amount": json_number(sale["total_amount"]),
        "currency": sale["currency"],
        "items": [
            {
                "product_id": line["product_id"],
                "product_name": line["product_name"],
                "quantity": json_number(line["quantity"]),
            }
            for line in document.lines
        ],
    }
    return _NAMES[sale["kind"]], payload, sale["warehouse_id"]


def hides(session: Session, events: Sequence[Event]) -> set[int]:
    """Return the ``seq`` of other sellers' events for who may see the own sales only (``EventType.hides``)."""
    actor = actor_of(session)
    if sees_all_sales(actor):
        return set()
    return {event.seq for event in events if event.payload["seller_id"] != actor.user_id}


EVENTS = tuple(
    EventType(name=name, title=title, permission="sales:sale:read", hides=hides)
    for name, title in (
        ("sale:created", "A sale or an exchange was posted"),
        ("sale:returned", "Goods of a sale came back"),
        ("sale:cancelled", "A sale was cancelled"),
    )
)
