"""Which device a document comes from: the one that the key is bound to, whatever the document says."""

from dataclasses import replace
from typing import TypeVar

from tillhook.actor import Actor
from tillhook.errors import PermissionDenied
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


def by_device(actor: Actor, command: Made) -> Made:
    """Return the command with the device of :func:`device_of`; a device sells in its own name only."""
    device = device_of(actor, command.source_device)
    return command if device == command.source_device else replace(command, source_device=device)


def as_sent_by(device: str, command: SaleCommand) -> SaleCommand:
    """Return the command in the name of the device that sent it; ``NO_DEVICE`` is none and changes nothing.

    For what is stored and not posted: another device's name is passed over, and its number with it.
    """
    if device in (NO_DEVICE, command.source_device):
        return command
    number = command.device_number if command.source_device == NO_DEVICE else None
    return replace(command, source_device=device, device_number=number)
