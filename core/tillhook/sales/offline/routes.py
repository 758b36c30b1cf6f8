"""Routes of what devices send in batches, of exceptions and of devices' numbers."""

from typing import Any

from tillhook.http import Call, Reply, Routes, page_of
from tillhook.http.media import JSON
from tillhook.sales.exceptions import get_exception, list_exceptions
from tillhook.sales.offline.deciding import accept, discard
from tillhook.sales.offline.devices import list_devices, write_off
from tillhook.sales.offline.schemas import (
    AcceptedOut,
    AcceptIn,
    DeviceOut,
    DeviceQuery,
    DiscardIn,
    ExceptionQuery,
    SaleExceptionOut,
    SettledManyOut,
    SettleManyIn,
    SyncOut,
    WriteOffIn,
)
from tillhook.sales.offline.settling import accept_many, discard_many
from tillhook.sales.offline.sync import sync
from tillhook.sales.schemas import SyncIn

#: 5,000 sales of a few lines.
_SYNC_BYTES = 16 * 1024 * 1024

routes = Routes("/sales")


@routes.post(
    "/sync",
    permission="sales:sale:sync",
    body=SyncIn,
    answer=SyncOut,
    lazy=True,
    idempotent=False,
    max_body=_SYNC_BYTES,
    parts="sales",
)
def sync_sales(call: Call) -> Reply:
    """Post sales that happened offline, each on its own; the answers come in the order sent."""
    pieces = sync(call.session, call.body["sales"])
    length = {"Content-Length": str(sum(map(len, pieces)))}
    return Reply(data=pieces, content_type=JSON, headers=length)


@routes.get("/exceptions", permission="sales:exception:read", query=ExceptionQuery, answer=page_of(SaleExceptionOut))
def exceptions(call: Call) -> dict[str, Any]:
    """List refused sales."""
    return SaleExceptionOut.page(*list_exceptions(call.session, call.query))


@routes.get(
    "/exceptions/{exception_id:int}", permission="sales:exception:read", answer=SaleExceptionOut, problems=(404,)
)
def one_exception(call: Call, exception_id: int) -> dict[str, Any]:
    """Show a refused sale, with all that was sent."""
    return SaleExceptionOut.of(get_exception(call.session, exception_id))


@routes.post(
    "/exceptions/{exception_id:int}/accept",
    permission="sales:exception:resolve",
    body=AcceptIn,
    answer=AcceptedOut,
    problems=(404, 409),
)
def accept_exception(call: Call, exception_id: int) -> dict[str, Any]:
    """Post a refused sale after all, with changes where it needs them."""
    exception, sale = accept(call.session, exception_id, call.body)
    return AcceptedOut.of(exception, sale=sale)


@routes.post(
    "/exceptions/{exception_id:int}/discard",
    permission="sales:exception:resolve",
    body=DiscardIn,
    answer=SaleExceptionOut,
    problems=(404, 409),
)
def discard_exception(call: Call, exception_id: int) -> dict[str, Any]:
    """Settle a refused sale without posting it."""
    return SaleExceptionOut.of(discard(call.session, exception_id, call.body["reason"]))


@routes.post("/exceptions/accept", permission="sales:exception:resolve", body=SettleManyIn, answer=SettledManyOut)
def accept_exceptions(call: Call) -> dict[str, Any]:
    """Post many refused sales as they were sent, each on its own: one that fails again stays as it is."""
    return accept_many(call.session, call.body)


@routes.post("/exceptions/discard", permission="sales:exception:resolve", body=SettleManyIn, answer=SettledManyOut)
def discard_exceptions(call: Call) -> dict[str, Any]:
    """Settle many refused sales without posting them."""
    return discard_many(call.session, call.body)


@routes.get("/devices", permission="sales:device:read", query=DeviceQuery, answer=page_of(DeviceOut))
def devices(call: Call) -> dict[str, Any]:
    """List devices that count their sales, with the numbers that are missing."""
    items, cursor = list_devices(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.post(
    "/devices/{device_id:int}/write-off",
    permission="sales:device:write_off",
    body=WriteOffIn,
    answer=DeviceOut,
    problems=(404, 409),
)
def write_numbers_off(call: Call, device_id: int) -> dict[str, Any]:
    """Stop waiting for missing numbers of a device."""
    return write_off(call.session, device_id, call.body["first"], call.body["last"], call.body["reason"])
