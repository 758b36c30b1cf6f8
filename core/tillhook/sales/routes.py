"""Routes of the sales journal."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from marshmallow import ValidationError

from tillhook.actor import Actor
from tillhook.errors import DomainError, PermissionDenied
from tillhook.http import Call, Reply, Routes, validation_failed
from tillhook.sales.analytics import product_analytics
from tillhook.sales.commands import NO_DEVICE, ReturnCommand, SaleCommand
from tillhook.sales.devices import list_devices, missing_numbers, write_off
from tillhook.sales.journal import Outcome, post_sale, post_sales
from tillhook.sales.listing import list_sales
from tillhook.sales.queries import find_repeated, get_sale
from tillhook.sales.remedies import accept, discard, get_exception, list_exceptions, refuse_unreadable
from tillhook.sales.remedy_schemas import (
    AcceptedOut,
    AcceptIn,
    DeviceOut,
    DeviceQuery,
    DevicesOut,
    DiscardIn,
    ExceptionQuery,
    SaleExceptionOut,
    SaleExceptionsOut,
    SyncOut,
    WriteOffIn,
)
from tillhook.sales.reversals import cancel_sale, return_goods
from tillhook.sales.schemas import (
    AnalyticsQuery,
    CancelIn,
    ReturnIn,
    SaleIn,
    SaleOut,
    SaleQuery,
    SalesOut,
    SyncIn,
)

Made = TypeVar("Made", SaleCommand, ReturnCommand)

_SALE_IN = SaleIn()
#: 5,000 sales of a few lines.
_SYNC_BYTES = 16 * 1024 * 1024

routes = Routes()


@routes.post(
    "/sales",
    permission="sales:sale:post",
    body=SaleIn,
    answer=SaleOut,
    status=201,
    also=(200,),
    idempotent=False,
    problems=(409,),
)
def create_sale(call: Call) -> Any:
    """Post a sale; the same ``external_id`` again gives the first one back, with 200."""
    return sale_reply(post_sale(call.session, by_device(call.actor, call.body)))


def sale_reply(outcome: Outcome) -> Reply:
    """Return the answer for a posted sale or return: 201, 200 for a repeated one, or the problem of a reused id."""
    if outcome.error is not None:
        # The refused payload was kept in this transaction, which therefore must not be rolled back.
        return Reply(media=outcome.error.problem(), status=409, content_type="application/problem+json")
    return Reply(media=outcome.sale, status=201 if outcome.status == "created" else 200)


@routes.post(
    "/sales/sync", permission="sales:sale:sync", body=SyncIn, answer=SyncOut, idempotent=False, max_body=_SYNC_BYTES
)
def sync_sales(call: Call) -> Any:
    """Post sales that happened offline, each on its own; the answers come in the order sent."""
    bodies = call.body["sales"]
    commands: dict[int, SaleCommand] = {}
    unreadable: dict[int, tuple[SaleCommand, DomainError]] = {}
    outcomes = {
        position: Outcome("duplicate", sale=sale) for position, sale in find_repeated(call.session, bodies).items()
    }
    for position, body in enumerate(bodies):
        if position in outcomes:
            continue
        try:
            commands[position] = by_device(call.actor, _SALE_IN.load(body))
        except ValidationError as error:
            unreadable[position] = _as_sent(call.actor, body), validation_failed(error)
        except DomainError as error:
            unreadable[position] = _as_sent(call.actor, body), error
    devices = {outcome.sale["source_device"] for outcome in outcomes.values() if outcome.sale is not None}
    devices |= {command.source_device for command in commands.values()}
    devices |= {command.source_device for command, _ in unreadable.values()}
    outcomes |= zip(commands, post_sales(call.session, list(commands.values())), strict=True)
    outcomes |= refuse_unreadable(call.session, unreadable)
    return {
        "results": [_result(body, outcomes[position]) for position, body in enumerate(bodies)],
        "missing": missing_numbers(call.session, devices, own_only=True),
        "reused": [
            _reused(commands[position], outcomes[position])
            for position in commands
            if outcomes[position].same_number_as
        ],
    }


@routes.get("/sales/{sale_id:int}", permission="sales:sale:read", answer=SaleOut, problems=(404,))
def get_one(call: Call, sale_id: int) -> Any:
    """Show a sale, a return or a cancellation."""
    return get_sale(call.session, sale_id)


@routes.get("/sales", permission="sales:sale:read", query=SaleQuery, answer=SalesOut)
def list_all(call: Call) -> Any:
    """List sales."""
    items, cursor = list_sales(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.post(
    "/sales/{sale_id:int}/cancel", permission="sales:sale:cancel", body=CancelIn, answer=SaleOut, problems=(404, 409)
)
def cancel(call: Call, sale_id: int) -> Any:
    """Cancel a sale: its stock comes back, once."""
    device = device_of(call.actor, call.body["source_device"])
    return cancel_sale(call.session, sale_id, call.body["reason"], source_device=device)


@routes.post(
    "/sales/{sale_id:int}/returns",
    permission="sales:sale:return",
    body=ReturnIn,
    answer=SaleOut,
    status=201,
    also=(200,),
    problems=(404, 409),
)
def create_return(call: Call, sale_id: int) -> Any:
    """Take goods of a sale back, never more than were sold."""
    return sale_reply(return_goods(call.session, sale_id, by_device(call.actor, call.body)))


@routes.get("/sales/analytics", permission="sales:sale:read", query=AnalyticsQuery, problems=(404,))
def analytics(call: Call) -> Any:
    """Show how a product sells over time."""
    query = call.query
    return product_analytics(
        call.session, query["product_id"], query.get("start_date"), query.get("end_date"), query["period"]
    )


@routes.get("/sales/exceptions", permission="sales:exception:read", query=ExceptionQuery, answer=SaleExceptionsOut)
def exceptions(call: Call) -> Any:
    """List refused sales."""
    items, cursor = list_exceptions(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.get(
    "/sales/exceptions/{exception_id:int}", permission="sales:exception:read", answer=SaleExceptionOut, problems=(404,)
)
def one_exception(call: Call, exception_id: int) -> Any:
    """Show a refused sale, with all that was sent."""
    return get_exception(call.session, exception_id)


@routes.post(
    "/sales/exceptions/{exception_id:int}/accept",
    permission="sales:exception:resolve",
    body=AcceptIn,
    answer=AcceptedOut,
    problems=(404, 409),
)
def accept_exception(call: Call, exception_id: int) -> Any:
    """Post a refused sale after all, with changes where it needs them."""
    return accept(call.session, exception_id, call.body)


@routes.post(
    "/sales/exceptions/{exception_id:int}/discard",
    permission="sales:exception:resolve",
    body=DiscardIn,
    answer=SaleExceptionOut,
    problems=(404, 409),
)
def discard_exception(call: Call, exception_id: int) -> Any:
    """Settle a refused sale without posting it."""
    return discard(call.session, exception_id, call.body["reason"])


@routes.get("/sales/devices", permission="sales:device:read", query=DeviceQuery, answer=DevicesOut)
def devices(call: Call) -> Any:
    """List devices that count their sales, with the numbers that are missing."""
    items, cursor = list_devices(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.post(
    "/sales/devices/{device_id:int}/write-off",
    permission="sales:device:write_off",
    body=WriteOffIn,
    answer=DeviceOut,
    problems=(404, 409),
)
def write_numbers_off(call: Call, device_id: int) -> Any:
    """Stop waiting for missing numbers of a device."""
    return write_off(call.session, device_id, call.body["first"], call.body["last"], call.body["reason"])


def by_device(actor: Actor, command: Made) -> Made:
    """Return the command with the device that the key is bound to; a device sells in its own name only."""
    device = device_of(actor, command.source_device)
    return command if device == command.source_device else replace(command, source_device=device)


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


def _as_sent(actor: Actor, body: Any) -> SaleCommand:
    """Return what can be read of a body that cannot be read: whose it is, and which number it has."""
    payload = body if isinstance(body, dict) else {"value": body}
    device, number = _readable(payload, "source_device") or NO_DEVICE, _readable(payload, "device_number")
    if actor.device is not None and device != actor.device:
        # Another device's number is not this one's to use up.
        device, number = actor.device, number if device == NO_DEVICE else None
    return SaleCommand(
        items=(),
        external_id=_readable(payload, "external_id"),
        channel="",
        source_device=device,
        device_number=number,
        payload=payload,
    )


def _readable(payload: Mapping[str, Any], name: str) -> Any:
    value = payload.get(name)
    try:
        return None if value is None else _SALE_IN.fields[name].deserialize(value)
    except ValidationError:
        return None


def _reused(command: SaleCommand, outcome: Outcome) -> dict[str, Any]:
    assert outcome.sale is not None
    return {
        "source_device": command.source_device,
        "number": command.device_number,
        "sale_id": outcome.sale["id"],
        "same_as": outcome.same_number_as,
    }


def _result(body: Any, outcome: Outcome) -> dict[str, Any]:
    external_id = body.get("external_id") if isinstance(body, dict) else None
    result: dict[str, Any] = {"external_id": external_id, "status": outcome.status}
    if outcome.sale is not None:
        result["sale"] = outcome.sale
    if outcome.error is not None:
        result["error"] = outcome.error.problem()
    return result
