"""People and firms over HTTP."""

from typing import Any

from tillhook.hooks import Route
from tillhook.http import Call, page
from tillhook.parties import services
from tillhook.parties.models import Party
from tillhook.parties.schemas import PartiesOut, PartyIn, PartyOut, PartyPatch, PartyQuery

_ORDERING = {"name": Party.name, "created_at": Party.created_at, "id": Party.id}


def list_parties(call: Call) -> dict[str, Any]:
    """List people and firms."""
    query = call.query
    statement = services.list_parties(
        search=query["search"], is_customer=query["is_customer"], is_vendor=query["is_vendor"]
    )
    parties, cursor = page(call.session, statement, ordering=_ORDERING, query=query)
    return {"items": [services.party_answer(party) for party in parties], "next_cursor": cursor}


def post_party(call: Call) -> dict[str, Any]:
    """Create a person or firm."""
    return services.party_answer(services.create_party(call.session, call.body))


def read_party(call: Call, party_id: int) -> dict[str, Any]:
    """Read a person or firm."""
    return services.party_answer(services.get_party(call.session, party_id))


def patch_party(call: Call, party_id: int) -> dict[str, Any]:
    """Change some fields of a person or firm."""
    return services.party_answer(services.update_party(call.session, party_id, call.body))


ROUTES = (
    Route(
        method="GET",
        path="/parties",
        handler=list_parties,
        permission="parties:party:read",
        query=PartyQuery,
        answer=PartiesOut,
    ),
    Route(
        method="POST",
        path="/parties",
        handler=post_party,
        permission="parties:party:manage",
        body=PartyIn,
        answer=PartyOut,
        status=201,
        problems=(409,),
    ),
    Route(
        method="GET",
        path="/parties/{party_id:int}",
        handler=read_party,
        permission="parties:party:read",
        answer=PartyOut,
        problems=(404,),
    ),
    Route(
        method="PATCH",
        path="/parties/{party_id:int}",
        handler=patch_party,
        permission="parties:party:manage",
        body=PartyPatch,
        answer=PartyOut,
        problems=(404, 409),
    ),
)
