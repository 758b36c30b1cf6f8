"""People and firms over HTTP."""

from typing import Any

from tillhook.http import Call, Routes, page, page_of
from tillhook.parties import services
from tillhook.parties.answers import PartyOut
from tillhook.parties.models import Party
from tillhook.parties.schemas import PartyIn, PartyPatch, PartyQuery

_ORDERING = {"name": Party.name, "created_at": Party.created_at, "id": Party.id}

routes = Routes()


@routes.get("/parties", permission="parties:party:read", query=PartyQuery, answer=page_of(PartyOut))
def list_parties(call: Call) -> dict[str, Any]:
    """List people and firms."""
    query = call.query
    statement = services.list_parties(
        search=query["search"], is_customer=query["is_customer"], is_vendor=query["is_vendor"]
    )
    return PartyOut.page(*page(call.session, statement, ordering=_ORDERING, query=query))


@routes.post("/parties", permission="parties:party:manage", body=PartyIn, answer=PartyOut, status=201, problems=(409,))
def post_party(call: Call) -> dict[str, Any]:
    """Create a person or firm."""
    return PartyOut.of(services.create_party(call.session, call.body))


@routes.get("/parties/{party_id:int}", permission="parties:party:read", answer=PartyOut)
def read_party(call: Call, party_id: int) -> dict[str, Any]:
    """Read a person or firm."""
    return PartyOut.of(services.get_party(call.session, party_id))


@routes.patch(
    "/parties/{party_id:int}", permission="parties:party:manage", body=PartyPatch, answer=PartyOut, problems=(409,)
)
def patch_party(call: Call, party_id: int) -> dict[str, Any]:
    """Change some fields of a person or firm."""
    return PartyOut.of(services.update_party(call.session, party_id, call.body))
