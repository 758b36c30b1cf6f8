"""What of the events somebody may see."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from tillhook.access import sees_warehouse
from tillhook.hooks import Event
from tillhook.runtime import actor_of, runtime_of


def readable(session: Session, events: Sequence[Event]) -> list[Event]:
    """Return the events that the session's actor may see, in order, with the figures that the actor may see.

    An event needs its kind's permission and is of a warehouse that the actor sees, or of none; ``EventType.hides`` and
    ``EventType.show`` say the rest.
    """
    actor, types = actor_of(session), runtime_of(session).registry.events
    shown: dict[int, Event] = {}
    for name in {event.name for event in events}:
        type_ = types.get(name)
        if type_ is not None and not actor.can(type_.permission):
            continue
        mine = [
            event
            for event in events
            if event.name == name and (event.warehouse_id is None or sees_warehouse(actor, event.warehouse_id))
        ]
        if type_ is not None and type_.hides is not None:
            hidden = type_.hides(session, mine)
            mine = [event for event in mine if event.seq not in hidden]
        if type_ is not None and type_.show is not None:
            mine = list(type_.show(session, mine))
        shown |= {event.seq: event for event in mine}
    return [shown[event.seq] for event in events if event.seq in shown]
