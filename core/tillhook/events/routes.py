"""Reading the outbox over HTTP."""

from collections.abc import Sequence
from typing import Any

from tillhook.access import sees_warehouse
from tillhook.events.outbox import read_events, sequence_events
from tillhook.hooks import Event
from tillhook.http import Answer, Call, QuerySchema, Routes, Text, Whole, out

routes = Routes()


class EventQuery(QuerySchema):
    after = Whole(min=0, max=2**63 - 1, load_default=0)
    limit = Whole(min=1, max=1000, load_default=100)
    name = Text(min=1, max=80)


class EventOut(Answer):
    """An event; what is in its payload, its name says."""

    eventId = out.Key("seq")
    name = out.Text()
    payload = out.Json(lambda event: event.payload | {"eventId": event.seq})
    warehouse = out.Key("warehouse_id", allow_none=True)
    occurred_at = out.Moment()


class EventsOut(Answer):
    """Events in the order of their commits; ``last_event_id`` is where to go on."""

    items = out.Many(EventOut)
    next_cursor = out.Text(allow_none=True)
    last_event_id = out.Count()


# Numbering what became visible is a write, though nobody sees it as one.
@routes.get("/events", permission="events:event:read", query=EventQuery, answer=EventsOut, writes=True)
def list_events(call: Call) -> Any:
    """List events after one that you saw, in the order of their commits, as far as you may see them.

    ``last_event_id`` is where to go on, even when none of the events were for you.
    """
    query = call.query
    sequence_events(call.session)
    events = read_events(call.session, query["after"], query["limit"])
    hidden = _hidden(call, events)
    types = call.runtime.registry.events
    items = [
        EventOut.of(event)
        for event in events
        if (event.warehouse_id is None or sees_warehouse(call.actor, event.warehouse_id))
        and (event.name not in types or call.actor.can(types[event.name].permission))
        and query.get("name", event.name) == event.name
        and event.seq not in hidden
    ]
    return {"items": items, "next_cursor": None, "last_event_id": events[-1].seq if events else query["after"]}


def _hidden(call: Call, events: Sequence[Event]) -> set[int]:
    """Return the events that the actor must not see although permission and warehouse would allow it."""
    types = call.runtime.registry.events
    hidden: set[int] = set()
    for name in {event.name for event in events}:
        hides = types[name].hides if name in types else None
        if hides is not None:
            hidden |= hides(call.session, [event for event in events if event.name == name])
    return hidden
