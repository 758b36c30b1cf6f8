"""Routes of parked sales."""

from typing import Any

from tillhook.http import Call, Routes
from tillhook_pos import permissions
from tillhook_pos.parked import services
from tillhook_pos.parked.schemas import DiscardIn, ParkedListOut, ParkedOut, ParkedQuery, ParkIn

routes = Routes()


@routes.post("/pos/parked", permission=permissions.PARK, body=ParkIn, answer=ParkedOut, status=201)
def park(call: Call) -> Any:
    """Put a sale aside: no stock moves and no money."""
    return services.show_parked(call.session, services.park(call.session, **call.body).id)


@routes.get("/pos/parked", permission=permissions.READ_PARKED, query=ParkedQuery, answer=ParkedListOut)
def list_all(call: Call) -> Any:
    """List the parked sales of the own warehouses, those of other sellers too."""
    items, cursor = services.list_parked(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.get("/pos/parked/{parked_id:int}", permission=permissions.READ_PARKED, answer=ParkedOut, problems=(404,))
def read(call: Call, parked_id: int) -> Any:
    """Show a parked sale."""
    return services.show_parked(call.session, parked_id)


@routes.post(
    "/pos/parked/{parked_id:int}/resume", permission=permissions.RESUME_PARKED, answer=ParkedOut, problems=(404, 409)
)
def resume(call: Call, parked_id: int) -> Any:
    """Take a parked sale up again, once: its body is to be posted."""
    return services.resume(call.session, parked_id)


@routes.post(
    "/pos/parked/{parked_id:int}/discard",
    permission=permissions.DISCARD_PARKED,
    body=DiscardIn,
    answer=ParkedOut,
    problems=(404, 409),
)
def discard(call: Call, parked_id: int) -> Any:
    """Give a parked sale up."""
    return services.discard(call.session, parked_id, call.body["reason"])
