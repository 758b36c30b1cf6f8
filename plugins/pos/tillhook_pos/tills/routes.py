"""Routes of tills, of receipt codes and of returns by receipt."""

from typing import Any

from tillhook.db import containing
from tillhook.hooks import AUTHENTICATED
from tillhook.http import Call, Reply, Routes, page
from tillhook.sales import SaleOut, sale_reply
from tillhook_pos import permissions
from tillhook_pos.models import Till
from tillhook_pos.tills import finding, operators, restoring, returns, schemas, services

routes = Routes()


# No Idempotency-Key where a key and a secret pass: what is kept for it could be read.
@routes.post(
    "/pos/tills",
    permission=permissions.TILL_MANAGE,
    body=schemas.TillIn,
    answer=schemas.NewTillOut,
    status=201,
    idempotent=False,
    problems=(409,),
)
def create_till(call: Call) -> Any:
    """Register a till as a device; the answer is the only place where its key and its secret are shown."""
    body = call.body
    return _registered(call, services.register_till(call.session, body["name"], body["warehouse"], body["user"]))


@routes.post(
    "/pos/tills/{till_id:int}/rotate-key",
    permission=permissions.TILL_MANAGE,
    answer=schemas.NewTillOut,
    idempotent=False,
    problems=(404, 409),
)
def rotate_key(call: Call, till_id: int) -> Any:
    """Give a till's device a new key and a new secret, shown this once; the old key ends."""
    return _registered(call, services.rotate_key(call.session, till_id))


@routes.post(
    "/pos/tills/{till_id:int}/deactivate",
    permission=permissions.TILL_MANAGE,
    body=schemas.DeactivateIn,
    answer=schemas.TillOut,
    problems=(404, 409),
)
def deactivate(call: Call, till_id: int) -> Any:
    """Take a till out of use, because its device is lost for instance."""
    return _shown(call, services.deactivate_till(call.session, till_id, call.body["reason"]))


@routes.get("/pos/tills", permission=permissions.TILL_READ, query=schemas.TillQuery, answer=schemas.TillsOut)
def list_tills(call: Call) -> Any:
    """List tills."""
    query = call.query
    statement = services.tills(call.session, warehouse_id=query["warehouse"], is_active=query["is_active"])
    if query["search"]:
        statement = statement.where(containing(query["search"], Till.name))
    ordering = {"id": Till.id, "name": Till.name, "created_at": Till.created_at}
    items, cursor = page(call.session, statement, ordering=ordering, query=query)
    return {"items": services.describe_tills(call.session, items), "next_cursor": cursor}


@routes.get("/pos/tills/{till_id:int}", permission=permissions.TILL_READ, answer=schemas.TillOut, problems=(404,))
def get_till(call: Call, till_id: int) -> Any:
    """Show a till, its last running number, and those that are missing."""
    return _shown(call, services.get_till(call.session, till_id))


@routes.get(
    "/pos/tills/{till_id:int}/operators",
    permission=permissions.TILL_SIGN_IN,
    answer=schemas.OperatorsOut,
    problems=(404, 409),
)
def list_operators(call: Call, till_id: int) -> Any:
    """List who can sign in at a till: people with a PIN who see its warehouse."""
    return {"items": operators.operators(call.session, till_id)}


# No Idempotency-Key where a PIN and a token pass. It writes in transactions of its own.
@routes.post(
    "/pos/tills/{till_id:int}/operators",
    permission=permissions.TILL_SIGN_IN,
    body=schemas.SignInIn,
    answer=schemas.SignedInOut,
    status=201,
    writes=False,
    idempotent=False,
    problems=(401, 404, 409, 429),
)
def sign_in(call: Call, till_id: int) -> Any:
    """Sign a person in at a till by their PIN; the token acts as that person, there only."""
    body = call.body
    person = body["email"] if body["user_id"] is None else body["user_id"]
    return operators.sign_in(call.session, till_id, person, body["pin"])


@routes.delete("/pos/tills/{till_id:int}/operators/current", permission=AUTHENTICATED, status=204, problems=(404, 409))
def sign_out(call: Call, till_id: int) -> None:
    """Sign the person out whose token this is."""
    operators.sign_out(call.session, till_id)


@routes.get(
    "/pos/receipts/{code:path}", permission=permissions.RECEIPT_VERIFY, answer=schemas.ReceiptOut, problems=(404,)
)
def look_up(call: Call, code: str) -> Any:
    """Show what a receipt says, by its code or its number, and its sale if that is known."""
    return finding.look_up(call.session, code.strip())


@routes.post(
    "/pos/receipts/restore",
    permission=permissions.RECEIPT_RESTORE,
    body=schemas.RestoreIn,
    answer=schemas.RestoredOut,
    idempotent=False,
    problems=(409,),
)
def restore(call: Call) -> Any:
    """Post sales from their receipts' codes, because the device that made them is lost."""
    body = call.body
    if body["codes"] is not None:
        codes = [(f"codes.{position}", code) for position, code in enumerate(body["codes"])]
        return {"results": [_result(each) for each in restoring.restore(call.session, codes, body["reason"])]}
    outcome = restoring.restore(call.session, [("code", body["code"])], body["reason"])[0].outcome
    if outcome.error is not None and outcome.error.code != "external-id-reused":
        raise outcome.error
    return sale_reply(outcome)


@routes.post(
    "/pos/returns",
    permission="sales:sale:return",
    body=schemas.CounterReturnIn,
    answer=SaleOut,
    status=201,
    also=(200,),
    problems=(404, 409),
)
def create_return(call: Call) -> Any:
    """Take goods back over the counter, by the receipt or the sale's number, never more than were sold."""
    payload = {name: value for name, value in call.body.items() if value is not None}
    return sale_reply(returns.take_back(call.session, call.body, payload))


def _registered(call: Call, registered: services.Registered) -> Reply:
    shown = _shown(call, registered.till)
    return Reply(media={**shown, "api_key": registered.api_key, "code_secret": registered.code_secret})


def _shown(call: Call, till: Till) -> dict[str, Any]:
    return services.describe_tills(call.session, [till])[0]


def _result(restored: restoring.Restored) -> dict[str, Any]:
    outcome = restored.outcome
    result: dict[str, Any] = {"external_id": restored.external_id, "status": outcome.status}
    if outcome.sale is not None:
        result["sale"] = outcome.sale
    if outcome.error is not None:
        result["error"] = outcome.error.problem()
    return result
