"""The figures of events that their reader may see."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from tillhook.access import visible_warehouses
from tillhook.hooks import Event
from tillhook.ledger.queries import available_by_product
from tillhook.quantities import json_number, to_units
from tillhook.runtime import actor_of


def own_inventory(session: Session, events: Sequence[Event]) -> list[Event]:
    """Return the events with the inventory that the actor sees (``EventType.show``).

    An event holds what is available over all warehouses. Whoever sees some of them only gets what is available there
    now, as ``GET /products/{id}`` says it: what it was at the event, nobody wrote down. The last event is right.
    """
    mine = visible_warehouses(actor_of(session))
    if mine is None:
        return list(events)
    told = {event.seq: event.payload["product"] for event in events if _is_counted(event.payload.get("product"))}
    available = available_by_product(session, {product["_id"] for product in told.values()}, mine)
    shown = {
        seq: {"product": product | {"inventory": json_number(to_units(available[product["_id"]]))}}
        for seq, product in told.items()
    }
    return [replace(event, payload=event.payload | shown.get(event.seq, {})) for event in events]


def _is_counted(product: Any) -> bool:
    return isinstance(product, dict) and product.get("inventory") is not None and isinstance(product.get("_id"), int)
