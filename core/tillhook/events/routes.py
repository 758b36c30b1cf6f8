"""Reading the outbox over HTTP."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from tillhook.access import sees_warehouse
from tillhook.catalogue.models import Product
from tillhook.catalogue.search import is_hidden, sees_all
from tillhook.db import format_instant
from tillhook.events.outbox import Event, read_events, sequence_events
from tillhook.hooks import Route
from tillhook.http import Call, QuerySchema, Text, Whole


class EventQuery(QuerySchema):
    after = Whole(min=0, max=2**63 - 1, load_default=0)
    limit = Whole(min=1, max=1000, load_default=100)
    name = Text(min=1, max=80)


def list_events(call: Call) -> Any:
    """List events after one that you saw, in the order of their commits, as far as you may see them.

    ``last_event_id`` is where to go on, even when none of the events were for you.
    """
    query = call.query
    sequence_events(call.session)
    events = read_events(call.session, query["after"], query["limit"])
    hidden = _hidden_products(call, events)
    types = call.runtime.registry.events
    items = [
        {
            "eventId": event.seq,
            "name": event.name,
            "payload": event.payload | {"eventId": event.seq},
            "warehouse": event.warehouse_id,
            "occurred_at": format_instant(event.occurred_at),
        }
        for event in events
        if (event.warehouse_id is None or sees_warehouse(call.actor, event.warehouse_id))
        and (event.name not in types or call.actor.can(types[event.name].permission))
        and query.get("name", event.name) == event.name
        and not hidden.intersection(_products_of(event))
    ]
    return {"items": items, "next_cursor": None, "last_event_id": events[-1].seq if events else query["after"]}


def _hidden_products(call: Call, events: Sequence[Event]) -> set[int]:
    """Return the products in the events that the actor must not know of."""
    named = {product_id for event in events for product_id in _products_of(event)}
    if not named or sees_all(call.actor):
        return set()
    rows = call.session.execute(select(Product.id, Product.status, Product.owner_id).where(Product.id.in_(named)))
    return {row.id for row in rows if is_hidden(call.actor, row.status, row.owner_id)}


def _products_of(event: Event) -> list[int]:
    product = event.payload.get("product")
    listed = [*event.payload.get("products", ()), *([product] if product else ())]
    return [each["_id"] for each in listed if isinstance(each, dict) and isinstance(each.get("_id"), int)]


ROUTES = (
    # Numbering what became visible is a write, though nobody sees it as one.
    Route(
        method="GET", path="/events", handler=list_events, permission="events:event:read", query=EventQuery, writes=True
    ),
)
