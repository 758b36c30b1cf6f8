"""Who sent a document: the device that the key is bound to, whatever the document says, and by which channel."""

from dataclasses import replace
from typing import TypeVar

from sqlalchemy.orm import Session

from tillhook.actor import Actor
from tillhook.errors import PermissionDenied, ValidationFailed
from tillhook.runtime import actor_of, runtime_of
from tillhook.sales.commands import NO_DEVICE, ReturnCommand, SaleCommand

Made = TypeVar("Made", SaleCommand, ReturnCommand)


def device_of(actor: Actor, named: str) -> str:
    """Return the device at which something happens: the one that the key is bound to, else the one named.

    Raises:
        PermissionDenied: 403 ``foreign-device``: the key is bound to another one.
    """
    if actor.device is None or named == actor.device:
        return named
    if named != NO_DEVICE:
        raise PermissionDenied(
            "This key is bound to another device.",
            code="foreign-device",
            errors=[{"field": "source_device", "message": f"This key is of the device {actor.device}."}],
        )
    return actor.device


def by_device(session: Session, command: Made) -> Made:
    """Return the command as the session's actor sends it: a device sells in its own name only.

    A sale that names no channel is of the default one.
    """
    actor = actor_of(session)
    device = device_of(actor, command.source_device)
    names_another = isinstance(command, SaleCommand) and command.seller_id not in (None, actor.user_id)
    if names_another and (actor.device is None or actor.session_id is not None):
        raise foreign_seller()
    if device != command.source_device:
        command = replace(command, source_device=device)
    if isinstance(command, SaleCommand) and not command.channel:
        default = runtime_of(session).registry.default_channel
        command = replace(command, channel=default.name if default else "")
    return command


def foreign_seller() -> ValidationFailed:
    """Return the refusal of another's name to all but a device's key: a person sells in the own name."""
    return ValidationFailed.at("seller_id", "Only a till's key sells in the name of others.", code="foreign-seller")


def as_sent_by(device: str, command: SaleCommand) -> SaleCommand:
    """Return the command in the name of the device that sent it; ``NO_DEVICE`` is none and changes nothing.

    For what is stored and not posted: another device's name is passed over, and its number with it.
    """
    if device in (NO_DEVICE, command.source_device):
        return command
    number = command.device_number if command.source_device == NO_DEVICE else None
    return replace(command, source_device=device, device_number=number)
