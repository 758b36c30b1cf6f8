"""Many exceptions settled at once, each on its own: one that cannot be posted leaves the others as they are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from marshmallow import ValidationError
from sqlalchemy.orm import Session

from tillhook.db import wait_in_line
from tillhook.errors import DomainError, NotFound
from tillhook.sales.commands import SaleCommand
from tillhook.sales.exceptions import lock_exceptions, read_payload
from tillhook.sales.exceptions.states import OPEN, UNSETTLED
from tillhook.sales.models import SaleException
from tillhook.sales.offline.deciding import accept, discard
from tillhook.sales.offline.schemas import SettledOut
from tillhook.sales.posting import lock_goods_of
from tillhook.sales.returns import lock_families

_NOT_THERE = NotFound("There is no such refused sale among those asked for.", code="unknown-exception")
_UNCHANGED: Mapping[str, Any] = {"ignore": (), "prices": (), "products": (), "quantities": ()}


def accept_many(session: Session, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Post what ``SettleManyIn`` names as it was sent; return what ``SettledManyOut`` says."""
    found, rest = _found(session, asked)
    commands = list(_readable(found))
    wait_in_line(session.connection())
    lock_families(session, [command.returns for command in commands if command.returns is not None])
    lock_goods_of(session, commands)
    changes = {**_UNCHANGED, "reason": asked["reason"]}
    return _settle(session, asked, found, rest, lambda key: accept(session, key, changes))


def discard_many(session: Session, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Discard what ``SettleManyIn`` names; return what ``SettledManyOut`` says."""
    found, rest = _found(session, asked)
    return _settle(session, asked, found, rest, lambda key: discard(session, key, asked["reason"]))


def _found(session: Session, asked: Mapping[str, Any]) -> tuple[list[SaleException], bool]:
    """Return what is to be settled, by key, locked, and whether there is more of it."""
    query = asked if "status" in asked or "ids" in asked else {**asked, "status": OPEN}
    found = lock_exceptions(session, query, asked["limit"] + 1)
    return found[: asked["limit"]], len(found) > asked["limit"]


def _readable(exceptions: Sequence[SaleException]) -> Iterator[SaleCommand]:
    for exception in exceptions:
        try:
            yield read_payload(exception)
        except ValidationError:
            continue


def _settle(
    session: Session,
    asked: Mapping[str, Any],
    exceptions: Sequence[SaleException],
    is_more: bool,
    settle: Callable[[int], Any],
) -> dict[str, Any]:
    last = exceptions[-1].id if is_more else None
    results = {exception.id: _settle_one(session, exception, settle) for exception in exceptions}
    for key in asked.get("ids", ()):
        if key not in results and key > asked.get("after", 0) and (last is None or key < last):
            results[key] = SettledOut.of(None, id=key, status="unknown", sale_id=None, error=_NOT_THERE.problem())
    return {"results": [results[key] for key in sorted(results)], "next_after": last}


def _settle_one(session: Session, exception: SaleException, settle: Callable[[int], Any]) -> dict[str, Any]:
    # One before it may have had the same content, and have settled it too.
    session.refresh(exception)
    problem: dict[str, Any] = {}
    if exception.status in UNSETTLED:
        try:
            with session.begin_nested():
                settle(exception.id)
        except DomainError as error:
            problem = {"error": error.problem()}
        session.refresh(exception)
    return SettledOut.of(exception, **problem)
