"""Reading the outbox over HTTP."""

from typing import Any

from tillhook.events.outbox import read_events, sequence_events
from tillhook.events.reading import readable
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
    items = [
        EventOut.of(event) for event in readable(call.session, events) if query.get("name", event.name) == event.name
    ]
    return {"items": items, "next_cursor": None, "last_event_id": events[-1].seq if events else query["after"]}
