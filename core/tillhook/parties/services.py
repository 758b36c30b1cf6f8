"""Making, changing and finding people and firms."""

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.access import audit
from tillhook.db import RetryTransaction, format_instant
from tillhook.errors import Conflict, NotFound, ValidationFailed
from tillhook.parties.models import Party

_SEARCHED = ("name", "phone", "email", "tax_id")
_MAX_TERMS = 12
_COLUMNS = ("name", "phone", "email", "address", "tax_id", "is_customer", "is_vendor", "user_id")


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
    audit(session, "create", "party", party.id, after=_audited(party))
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
    before = _audited(party)
    for name, value in changes.items():
        setattr(party, name, value)
    _check_user(session, party)
    _save(session, party)
    after = _audited(party)
    changed = [name for name in after if before[name] != after[name]]
    if changed:
        audit(
            session,
            "update",
            "party",
            party.id,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
    return party


def list_parties(*, search: str = "", is_customer: bool | None = None, is_vendor: bool | None = None) -> Select[Party]:
    """Return the parties that match every filter given, in no order.

    Raises:
        ValidationFailed: 422: too many words to search for.
    """
    query = select(Party)
    terms = _fold(search).split()
    if len(terms) > _MAX_TERMS:
        raise ValidationFailed.at("search", f"At most {_MAX_TERMS} words.")
    for term in terms:
        query = query.where(Party.search_text.contains(term, autoescape=True))
    if is_customer is not None:
        query = query.where(Party.is_customer == is_customer)
    if is_vendor is not None:
        query = query.where(Party.is_vendor == is_vendor)
    return query


def party_answer(party: Party) -> dict[str, Any]:
    """Return the party as the API shows it."""
    return {
        "id": party.id,
        **_audited(party),
        "created_at": format_instant(party.created_at),
        "updated_at": format_instant(party.updated_at),
    }


def _audited(party: Party) -> dict[str, Any]:
    return {name: getattr(party, name) for name in _COLUMNS}


def _check_user(session: Session, party: Party) -> None:
    if party.user_id is None:
        return
    with session.no_autoflush:
        known = session.connection().exec_driver_sql(f"SELECT 1 FROM user_account WHERE id = {int(party.user_id)}")
        if known.first() is None:
            raise ValidationFailed.at("user_id", "There is no such user.", code="unknown-user")
        holder = session.scalar(select(Party.id).where(Party.user_id == party.user_id))
        if holder is not None and holder != party.id:
            raise Conflict(
                "The user is another party's already.",
                code="user-taken",
                errors=[{"field": "user_id", "message": "Another party's already."}],
            )


def _save(session: Session, party: Party) -> None:
    party.search_text = "\n".join(_fold(getattr(party, name)) for name in _SEARCHED)
    try:
        session.flush()
    except IntegrityError as error:
        raise RetryTransaction from error  # somebody took the user meanwhile; the next attempt sees it


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
