"""Routes of vouchers."""

from typing import Any

from sqlalchemy import select

from tillhook.http import Call, Reply, Routes, page_of
from tillhook_vouchers import permissions, services
from tillhook_vouchers.books import find, today
from tillhook_vouchers.card import print_card
from tillhook_vouchers.guesses import look_up, unknown
from tillhook_vouchers.liabilities import liabilities
from tillhook_vouchers.models import Voucher, VoucherProduct
from tillhook_vouchers.schemas import (
    CardQuery,
    ExtendIn,
    GiftCardOut,
    LiabilitiesOut,
    LiabilitiesQuery,
    LiabilityOut,
    VoidIn,
    VoucherHistoryOut,
    VoucherIn,
    VoucherOut,
    VoucherQuery,
)
from tillhook_vouchers.selling import mark, unmark

routes = Routes("/vouchers")


def _locked(call: Call, code: str) -> Voucher:
    voucher = find(call.session, code, lock=True)
    if voucher is None:
        raise unknown(code)
    return voucher


@routes.post("", permission=permissions.ISSUE, body=VoucherIn, answer=VoucherOut, status=201, problems=(409,))
def issue(call: Call) -> Any:
    """Issue a voucher that nobody has paid for."""
    return services.show(services.grant(call.session, call.body), today(call.session))


@routes.get(
    "",
    permission=permissions.READ,
    query=VoucherQuery,
    answer=page_of(VoucherOut),
    problems=(404,),
)
def list_all(call: Call) -> Any:
    """List vouchers: those that one has issued, or all for who may see them."""
    if "code" in call.query:
        look_up(call.session, call.query["code"])
    return services.list_vouchers(call.session, call.query)


@routes.get("/liabilities", permission=permissions.LIST, query=LiabilitiesQuery, answer=LiabilitiesOut)
def owed(call: Call) -> Any:
    """Show what is owed on vouchers, by currency and kind."""
    found = liabilities(call.session, call.query["as_of"], call.query["start_date"])
    return LiabilitiesOut.of(found, items=[LiabilityOut.of(item) for item in found["items"]])


@routes.get("/products", permission=permissions.READ, answer=page_of(GiftCardOut))
def list_products(call: Call) -> Any:
    """List the products that are gift cards."""
    return GiftCardOut.page(call.session.scalars(select(VoucherProduct).order_by(VoucherProduct.product_id)))


@routes.put("/products/{product_id:int}", permission=permissions.PRODUCT, answer=GiftCardOut, problems=(404, 409))
def mark_product(call: Call, product_id: int) -> Any:
    """Make a product a gift card: each unit sold is a voucher."""
    mark(call.session, product_id)
    return {"product_id": product_id}


@routes.delete("/products/{product_id:int}", permission=permissions.PRODUCT, status=204, problems=(404,))
def unmark_product(call: Call, product_id: int) -> None:
    """Make a gift card an ordinary product."""
    unmark(call.session, product_id)


@routes.get("/{code}", permission=permissions.READ, answer=VoucherHistoryOut, problems=(404, 429))
def read(call: Call, code: str) -> Any:
    """Show a voucher's balance and history."""
    return services.show_with_history(call.session, look_up(call.session, code))


@routes.patch("/{code}", permission=permissions.CHANGE, body=ExtendIn, answer=VoucherHistoryOut, problems=(404, 409))
def extend(call: Call, code: str) -> Any:
    """Let a voucher be good until another day; what had expired of it is there again."""
    voucher = _locked(call, code)
    services.extend(call.session, voucher, call.body["expires_on"], call.body["reason"])
    return services.show_with_history(call.session, voucher)


@routes.post("/{code}/void", permission=permissions.CHANGE, body=VoidIn, answer=VoucherHistoryOut, problems=(404, 409))
def void(call: Call, code: str) -> Any:
    """End a voucher."""
    voucher = _locked(call, code)
    services.void(call.session, voucher, call.body["reason"])
    return services.show_with_history(call.session, voucher)


@routes.get(
    "/{code}/card",
    permission=permissions.READ,
    query=CardQuery,
    content_types=("application/pdf", "text/plain"),
    problems=(404, 429),
)
def card(call: Call, code: str) -> Any:
    """Print a voucher, as PDF or text."""
    content, content_type = print_card(call.session, look_up(call.session, code), call.query["format"])
    return Reply(data=content, content_type=content_type, headers={"Cache-Control": "no-store"})
