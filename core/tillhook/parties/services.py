"""Making, changing and finding people and firms."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.access import UserAccount, audit, audit_changes
from tillhook.db import RetryTransaction, fold
from tillhook.errors import Conflict, NotFound, ValidationFailed
from tillhook.parties.answers import PartyOut
from tillhook.parties.models import Party

_SEARCHED = ("name", "phone", "email", "tax_id")
_MAX_TERMS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class NewParty:
    """A person or firm to make; ``user_id`` is the log-in of the person."""

    name: str
    phone: str = ""
    email: str = ""
    address: str = ""
    tax_id: str = ""
    is_customer: bool = False
    is_vendor: bool = False
    user_id: int | None = None


def create_party(session: Session, command: NewParty) -> Party:
    """Make a person or firm.

    Raises:
        ValidationFailed: 422: there is no such user.
        Conflict: 409 ``user-taken``: the user is another party's.
    """
    party = Party(**asdict(command))
    _check_user(session, party)
    session.add(party)
    _save(session, party)
    audit(session, "create", "party", party.id, after=PartyOut.of(party))
    return party


def get_party(session: Session, party_id: int, *, for_update: bool = False) -> Party:
    """Return a party, its row locked for ``for_update``.

    Raises:
        NotFound: 404 ``unknown-party``.
    """
    party = session.get(Party, party_id, with_for_update=for_update or None)
    if party is None:
        raise NotFound(f"There is no party {party_id}.", code="unknown-party")
    return party


def update_party(session: Session, party_id: int, changes: Mapping[str, Any]) -> Party:
    """Change the named fields; documents keep the name and address that they were posted with.

    Raises:
        NotFound: 404.
        ValidationFailed, Conflict: As for making one.
    """
    party = get_party(session, party_id, for_update=True)
    before = PartyOut.of(party)
    for name, value in changes.items():
        setattr(party, name, value)
    _check_user(session, party)
    _save(session, party)
    audit_changes(session, "party", party.id, before, PartyOut.of(party))
    return party


def list_parties(*, search: str = "", is_customer: bool | None = None, is_vendor: bool | None = None) -> Select[Party]:
    """Return the parties that match every filter given, in no order.

    Raises:
        ValidationFailed: 422: too many words to search for.
    """
    query = select(Party)
    terms = fold(search).split()
    if len(terms) > _MAX_TERMS:
        raise ValidationFailed.at("search", f"At most {_MAX_TERMS} words.")
    for term in terms:
        query = query.where(Party.search_text.contains(term, autoescape=True))
    if is_customer is not None:
        query = query.where(Party.is_customer == is_customer)
    if is_vendor is not None:
        query = query.where(Party.is_vendor == is_vendor)
    return query


def _check_user(session: Session, party: Party) -> None:
    if party.user_id is None:
        return
    with session.no_autoflush:
        if session.get(UserAccount, party.user_id) is None:
            raise ValidationFailed.at("user_id", "There is no such user.", code="unknown-user")
        holder = session.scalar(select(Party.id).where(Party.user_id == party.user_id))
        if holder is not None and holder != party.id:
            raise Conflict(
                "The user is another party's already.",
                code="user-taken",
                errors=[{"field": "user_id", "message": "Another party's already."}],
            )


def _save(session: Session, party: Party) -> None:
    party.search_text = "\n".join(fold(getattr(party, name)) for name in _SEARCHED)
    try:
        session.flush()
    except IntegrityError as error:
        raise RetryTransaction from error  # somebody took the user meanwhile; the next attempt sees it
