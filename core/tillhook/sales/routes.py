"""Routes of the sales journal."""

from typing import Any

from tillhook.access import approval_of
from tillhook.http import Call, Reply, Routes, page_of
from tillhook.sales.analytics import product_analytics
from tillhook.sales.answers import CancelledOut, ProductAnalyticsOut, QuoteOut, SaleOut
from tillhook.sales.listing import list_sales
from tillhook.sales.offline import post_sale
from tillhook.sales.outcomes import Outcome
from tillhook.sales.posting import quote
from tillhook.sales.queries import get_sale
from tillhook.sales.returns import cancel_sale, return_goods
from tillhook.sales.schemas import AnalyticsQuery, CancelIn, ReturnIn, SaleIn, SaleQuery
from tillhook.sales.sender import by_device, device_of

routes = Routes()


@routes.post(
    "/sales",
    permission="sales:sale:post",
    body=SaleIn,
    answer=SaleOut,
    status=201,
    also=(200,),
    lazy=True,
    problems=(409,),
)
def create_sale(call: Call) -> Any:
    """Post a sale; the same ``external_id`` again gives the first one back, with 200."""
    return sale_reply(post_sale(call.session, by_device(call.session, call.body)))


def sale_reply(outcome: Outcome) -> Reply:
    """Return the answer for a posted sale or return: 201, 200 for a repeated one, or the problem of a reused id."""
    if outcome.error is not None:
        # The refused payload was stored in this transaction, which therefore must not be rolled back.
        return Reply(media=outcome.error.problem(), status=409, content_type="application/problem+json")
    return Reply(media=outcome.sale, status=201 if outcome.status == "created" else 200)


@routes.post(
    "/sales/quote",
    permission="sales:sale:post",
    body=SaleIn,
    answer=QuoteOut,
    writes=False,
    problems=(409,),
)
def quote_sale(call: Call) -> Any:
    """Say what a sale would come to, and what of it is short; nothing is posted."""
    return QuoteOut.of(quote(call.session, by_device(call.session, call.body)))


@routes.get("/sales/{sale_id:int}", permission="sales:sale:read", answer=SaleOut, problems=(404,))
def get_one(call: Call, sale_id: int) -> Any:
    """Show a sale, a return or a cancellation."""
    approver = approval_of(call.session, "sale", sale_id)
    return get_sale(call.session, sale_id) | ({} if approver is None else {"approved_by": approver})


@routes.get("/sales", permission="sales:sale:read", query=SaleQuery, answer=page_of(SaleOut))
def list_all(call: Call) -> Any:
    """List sales and exchanges; with ``kind`` returns and cancellations too, with ``origin`` what takes a sale back.

    ``batch`` finds whoever bought of a lot, by what the ledger moved. ``updated_after`` pages what changed later than
    that, in the order of ``updated_at``: go on from the last one that you have seen. A batch of offline sales that was
    being posted then has times from before, so ask once more from ten minutes earlier, and know what you have by
    ``id`` and ``updated_at``.
    """
    items, cursor = list_sales(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.post(
    "/sales/{sale_id:int}/cancel",
    permission="sales:sale:cancel",
    body=CancelIn,
    answer=CancelledOut,
    problems=(404, 409),
)
def cancel(call: Call, sale_id: int) -> Any:
    """Cancel a sale: its stock comes back, once."""
    device = device_of(call.actor, call.body["source_device"])
    return cancel_sale(call.session, sale_id, call.body["reason"], source_device=device, refund=call.body["refund"])


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
    return sale_reply(return_goods(call.session, sale_id, by_device(call.session, call.body)))


@routes.get(
    "/sales/analytics", permission="sales:sale:read", query=AnalyticsQuery, answer=ProductAnalyticsOut, problems=(404,)
)
def analytics(call: Call) -> Any:
    """Show how a product sells over time."""
    query = call.query
    return product_analytics(
        call.session, query["product_id"], query.get("start_date"), query.get("end_date"), query["period"]
    )
