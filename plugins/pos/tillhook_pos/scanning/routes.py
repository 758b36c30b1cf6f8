"""Routes of scanning."""

from typing import Any

from tillhook.http import Call, Routes
from tillhook.sales import SaleOut, sale_reply
from tillhook_pos import permissions
from tillhook_pos.scanning import basket, services
from tillhook_pos.scanning.schemas import BasketIn, ScanOut, ScanQuery, SellIn

routes = Routes()


# A code may have slashes in it.
@routes.get("/pos/scan/{code:path}", permission=permissions.SCAN, query=ScanQuery, answer=ScanOut, problems=(404, 409))
def scan(call: Call, code: str) -> Any:
    """Show what a code stands for, its price, and the stock here."""
    return services.scan(call.session, code, call.query["warehouse"])


@routes.post(
    "/pos/sell/{code:path}",
    permission=permissions.SELL,
    body=SellIn,
    answer=SaleOut,
    status=201,
    also=(200,),
    problems=(404, 409),
)
def sell(call: Call, code: str) -> Any:
    """Sell what a code stands for."""
    return sale_reply(basket.sell(call.session, code, call.body))


@routes.post(
    "/pos/sales",
    permission=permissions.SELL,
    body=BasketIn,
    answer=SaleOut,
    status=201,
    also=(200,),
    problems=(404, 409),
)
def sell_basket(call: Call) -> Any:
    """Sell a basket: items are named as they were scanned, or as in a sale."""
    return sale_reply(basket.sell_basket(call.session, call.body))
