"""Routes of the sales journal."""

from dataclasses import replace
from typing import Any

from marshmallow import ValidationError

from tillhook.access import Actor
from tillhook.errors import DomainError, PermissionDenied
from tillhook.hooks import Route
from tillhook.http import Call, Reply
from tillhook.http.problems import validation_failed
from tillhook.sales.analytics import product_analytics
from tillhook.sales.commands import SaleCommand
from tillhook.sales.exceptions import keep_refused
from tillhook.sales.journal import Outcome, post_sale, post_sales
from tillhook.sales.listing import list_exceptions, list_sales
from tillhook.sales.queries import find_repeated, get_sale
from tillhook.sales.reversals import cancel_sale, return_goods
from tillhook.sales.schemas import (
    AnalyticsQuery,
    CancelIn,
    ExceptionQuery,
    ReturnIn,
    SaleIn,
    SaleOut,
    SaleQuery,
    SalesOut,
    SyncIn,
)

_SALE_IN = SaleIn()
#: 5,000 sales of a few lines.
_SYNC_BYTES = 16 * 1024 * 1024


def create_sale(call: Call) -> Any:
    """Post a sale; the same ``external_id`` again gives the first one back, with 200."""
    return sale_reply(post_sale(call.session, by_device(call.actor, call.body)))


def sale_reply(outcome: Outcome) -> Reply:
    """Return the answer for a posted sale or return: 201, 200 for a repeated one, or the problem of a reused id."""
    if outcome.error is not None:
        # The refused payload was kept in this transaction, which therefore must not be rolled back.
        return Reply(media=outcome.error.problem(), status=409, content_type="application/problem+json")
    return Reply(media=outcome.sale, status=201 if outcome.status == "created" else 200)


def sync_sales(call: Call) -> Any:
    """Post sales that happened offline, each on its own; the answers come in the order sent."""
    bodies = call.body["sales"]
    commands: list[SaleCommand] = []
    results: list[Any] = []
    repeated = find_repeated(call.session, bodies)
    for position, body in enumerate(bodies):
        if position in repeated:
            results.append(_result(body, Outcome("duplicate", sale=repeated[position])))
            continue
        try:
            commands.append(by_device(call.actor, _SALE_IN.load(body)))
            results.append(None)
        except ValidationError as error:
            results.append(_refused(call, body, validation_failed(error)))
        except DomainError as error:
            results.append(_refused(call, body, error))
    outcomes = iter(post_sales(call.session, commands))
    for position, result in enumerate(results):
        if result is None:
            results[position] = _result(bodies[position], next(outcomes))
    return {"results": results}


def get_one(call: Call, sale_id: int) -> Any:
    """Show a sale, a return or a cancellation."""
    return get_sale(call.session, sale_id)


def list_all(call: Call) -> Any:
    """List sales."""
    items, cursor = list_sales(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


def cancel(call: Call, sale_id: int) -> Any:
    """Cancel a sale: its stock comes back, once."""
    return cancel_sale(call.session, sale_id, call.body["reason"])


def create_return(call: Call, sale_id: int) -> Any:
    """Take goods of a sale back, never more than were sold."""
    return sale_reply(return_goods(call.session, sale_id, call.body))


def analytics(call: Call) -> Any:
    """Show how a product sells over time."""
    query = call.query
    return product_analytics(
        call.session, query["product_id"], query.get("start_date"), query.get("end_date"), query["period"]
    )


def exceptions(call: Call) -> Any:
    """List refused sales that wait for a person."""
    items, cursor = list_exceptions(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


def by_device(actor: Actor, command: SaleCommand) -> SaleCommand:
    """Return the command with the device that the key is bound to; a device sells in its own name only."""
    if actor.device is None or command.source_device == actor.device:
        return command
    if command.source_device != "web":
        raise PermissionDenied(
            "This key is bound to another device.",
            code="foreign-device",
            errors=[{"field": "source_device", "message": f"This key is of the device {actor.device}."}],
        )
    return replace(command, source_device=actor.device)


def _refused(call: Call, body: Any, error: DomainError) -> dict[str, Any]:
    """Keep what could not even be read, and say why."""
    payload = body if isinstance(body, dict) else {"value": body}
    external_id = payload.get("external_id")
    command = SaleCommand(
        items=(), external_id=external_id if isinstance(external_id, str) else None, channel="", payload=payload
    )
    keep_refused(call.session, [(command, error)])
    return {"external_id": external_id, "status": "rejected", "error": error.problem()}


def _result(body: Any, outcome: Outcome) -> dict[str, Any]:
    result: dict[str, Any] = {"external_id": body.get("external_id"), "status": outcome.status}
    if outcome.sale is not None:
        result["sale"] = outcome.sale
    if outcome.error is not None:
        result["error"] = outcome.error.problem()
    return result


ROUTES = (
    Route(
        method="POST",
        path="/sales",
        handler=create_sale,
        permission="sales:sale:post",
        body=SaleIn,
        answer=SaleOut,
        status=201,
        idempotent=False,
        problems=(409,),
    ),
    Route(
        method="POST",
        path="/sales/sync",
        handler=sync_sales,
        permission="sales:sale:sync",
        body=SyncIn,
        idempotent=False,
        max_body=_SYNC_BYTES,
    ),
    Route(
        method="GET",
        path="/sales",
        handler=list_all,
        permission="sales:sale:read",
        query=SaleQuery,
        answer=SalesOut,
    ),
    Route(
        method="GET",
        path="/sales/{sale_id:int}",
        handler=get_one,
        permission="sales:sale:read",
        answer=SaleOut,
        problems=(404,),
    ),
    Route(
        method="POST",
        path="/sales/{sale_id:int}/cancel",
        handler=cancel,
        permission="sales:sale:cancel",
        body=CancelIn,
        answer=SaleOut,
        problems=(404, 409),
    ),
    Route(
        method="POST",
        path="/sales/{sale_id:int}/returns",
        handler=create_return,
        permission="sales:sale:return",
        body=ReturnIn,
        answer=SaleOut,
        status=201,
        problems=(404, 409),
    ),
    Route(
        method="GET",
        path="/sales/analytics",
        handler=analytics,
        permission="sales:sale:read",
        query=AnalyticsQuery,
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/sales/exceptions",
        handler=exceptions,
        permission="sales:exception:read",
        query=ExceptionQuery,
    ),
)
