"""What was decided about a refused document, for when its device sends it again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.db import grouped
from tillhook.errors import Conflict
from tillhook.runtime import actor_of
from tillhook.sales.commands import NO_DEVICE, SaleCommand, body_digest, fingerprint
from tillhook.sales.exceptions.states import ACCEPTED, DISCARDED
from tillhook.sales.exceptions.storing import digest_of
from tillhook.sales.models import SaleException
from tillhook.sales.sender import as_sent_by
from tillhook.sales.sent import read_body


class Discarded(Conflict):
    """A person looked at this document and discarded it."""

    code = "discarded"

    def __init__(self, reason: str) -> None:
        message = f"Discarded: {reason}"
        super().__init__(message, errors=[{"field": "external_id", "message": message}])


def decisions(session: Session, commands: Mapping[int, SaleCommand]) -> dict[int, int | Discarded]:
    """Return what became of documents that were refused before: the accepted one's key, or a refusal.

    Only the same content of the same seller counts: another one under the ``external_id`` is another document.

    Args:
        commands: By position; those without an ``external_id`` have nothing to be known by.

    Returns:
        By position; nothing for what nobody has decided about.
    """
    external_ids = {command.external_id for command in commands.values() if command.external_id}
    if not external_ids:
        return {}
    seller_id = actor_of(session).user_id
    statement = select(SaleException).where(
        SaleException.external_id.in_(external_ids), SaleException.seller_id == seller_id
    )
    refused = grouped((each.external_id, each) for each in session.scalars(statement.order_by(SaleException.id)))
    found: dict[int, int | Discarded] = {}
    for position, command in commands.items():
        same = [each for each in refused.get(command.external_id, ()) if _is_same(each, command, seller_id)]
        accepted = [each.sale_id for each in same if each.status == ACCEPTED]
        if accepted and accepted[0] is not None:
            found[position] = accepted[0]
        elif same and all(each.status == DISCARDED for each in same):
            found[position] = Discarded(same[0].resolution)
    return found


def read_payload(exception: SaleException, payload: Any = None) -> SaleCommand:
    """Return an exception as a command of the device that sent it; ``payload`` in place of the exception's own.

    A sale that names no warehouse is of the exception's, and no channel, of its channel.

    Raises:
        ValidationError: It cannot be read.
    """
    command = read_body(exception.payload if payload is None else payload)
    if not command.channel:
        command = replace(command, channel=exception.channel)
    if command.warehouse is None and command.returns is None:
        command = replace(command, warehouse=exception.warehouse_id)
    return as_sent_by(exception.source_device, command)


def sender_of(exception: SaleException) -> str | None:
    """Return the device that sent a refused document, ``None`` for a client without a name."""
    return None if exception.source_device == NO_DEVICE else exception.source_device


def _is_same(exception: SaleException, command: SaleCommand, seller_id: int | None) -> bool:
    if exception.digest == digest_of(exception.code, command.request, seller_id):
        return True
    if body_digest(exception.payload, seller_id) == body_digest(command.payload, seller_id):
        return True
    try:
        return fingerprint(read_payload(exception), seller_id) == fingerprint(command, seller_id)
    except ValidationError:
        return False
