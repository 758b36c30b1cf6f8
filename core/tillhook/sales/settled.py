"""What a person has decided about a refused sale, for when its device sends it again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tillhook.db import utc_now
from tillhook.errors import Conflict
from tillhook.runtime import actor_of
from tillhook.sales.commands import NO_DEVICE, SaleCommand, body_digest, fingerprint
from tillhook.sales.exceptions import digest_of
from tillhook.sales.models import SaleException
from tillhook.sales.schemas import SaleIn

_SALE_IN = SaleIn()


class Discarded(Conflict):
    """A person looked at this sale and discarded it."""

    code = "discarded"

    def __init__(self, reason: str) -> None:
        message = f"Discarded: {reason}"
        super().__init__(message, errors=[{"field": "external_id", "message": message}])


def settled(session: Session, commands: Mapping[int, SaleCommand]) -> dict[int, int | Discarded]:
    """Return what became of sales that were refused before, by position: the accepted sale's key, or a refusal.

    Only the same content of the same seller counts: another one under the ``external_id`` is another sale.
    """
    seller_id = actor_of(session).user_id
    statement = select(SaleException).where(
        SaleException.external_id.in_({command.external_id for command in commands.values()}),
        SaleException.seller_id == seller_id,
    )
    decided: dict[str | None, list[SaleException]] = {}
    for exception in session.scalars(statement.order_by(SaleException.id)):
        decided.setdefault(exception.external_id, []).append(exception)
    found: dict[int, int | Discarded] = {}
    for position, command in commands.items():
        same = [each for each in decided.get(command.external_id, ()) if _is_same(each, command, seller_id)]
        accepted = [each.sale_id for each in same if each.status == "accepted"]
        if accepted and accepted[0] is not None:
            found[position] = accepted[0]
        elif same and all(each.status == "discarded" for each in same):
            found[position] = Discarded(same[0].resolution)
    return found


def read_payload(exception: SaleException, payload: Any = None) -> SaleCommand:
    """Return a kept sale as a command of the device that sent it; ``payload`` in place of the exception's own.

    Raises:
        ValidationError: It cannot be read.
    """
    command: SaleCommand = _SALE_IN.load(exception.payload if payload is None else payload)
    return by_device(command, exception.source_device)


def sender_of(exception: SaleException) -> str | None:
    """Return the device that sent a kept sale, ``None`` for a client without a name."""
    return None if exception.source_device == NO_DEVICE else exception.source_device


def by_device(command: SaleCommand, device: str) -> SaleCommand:
    """Return the command of a device whose key says who it is, whatever the body says; "web" says nothing."""
    if device in (NO_DEVICE, command.source_device):
        return command
    # Another device's number is not this one's.
    number = command.device_number if command.source_device == NO_DEVICE else None
    return replace(command, source_device=device, device_number=number)


def close_kept(session: Session, posted: Sequence[tuple[SaleCommand, int]]) -> None:
    """Close what was kept of sales that were refused once and have been posted now, by key."""
    for command, sale_id in posted:
        session.execute(
            update(SaleException)
            .where(
                SaleException.external_id == command.external_id,
                SaleException.seller_id == actor_of(session).user_id,
                SaleException.status == "open",
                # A posted return that was capped is among the exceptions for what it lacks.
                SaleException.sale_id.is_(None),
                SaleException.code != "external-id-reused",
            )
            .values(
                status="accepted",
                sale_id=sale_id,
                resolution="Posted when it was sent again.",
                resolved_at=utc_now(),
            )
            # Of a thousand that are being posted, each would be compared with all the others.
            .execution_options(synchronize_session=False)
        )


def _is_same(exception: SaleException, command: SaleCommand, seller_id: int | None) -> bool:
    if exception.digest == digest_of(exception.code, command.request, seller_id):
        return True
    if body_digest(exception.payload, seller_id) == body_digest(command.payload, seller_id):
        return True
    try:
        return fingerprint(read_payload(exception), seller_id) == fingerprint(command, seller_id)
    except ValidationError:
        return False
