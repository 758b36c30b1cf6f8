"""People and firms; being a customer or a vendor is a role of theirs."""

from tillhook.parties.answers import PartyOut
from tillhook.parties.models import Party
from tillhook.parties.services import (
    NewParty,
    create_party,
    get_party,
    list_parties,
    update_party,
)

__all__ = [
    "NewParty",
    "Party",
    "PartyOut",
    "create_party",
    "get_party",
    "list_parties",
    "update_party",
]
