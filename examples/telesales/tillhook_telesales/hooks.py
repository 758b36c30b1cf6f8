"""A channel as a stranger writes it: a route, a setting, a price rule, and an event it reacts to."""

from dataclasses import replace
from decimal import Decimal

from tillhook import hookimpl
from tillhook.access import audit
from tillhook.hooks import Channel, Consumer, SettingDeclaration
from tillhook.http import Routes
from tillhook.runtime import snapshot_of
from tillhook.sales import SaleIn, SaleOut, post_sale, sale_reply

routes = Routes("/telesales")


@routes.post("/orders", permission="sales:sale:post", body=SaleIn, answer=SaleOut, status=201)
def take_order(call):
    """Sell what a customer asks for on the telephone."""
    return sale_reply(post_sale(call.session, replace(call.body, channel="telesales")))


def stop_offering(session, events):
    for product in (product for event in events for product in event.payload["products"]):
        audit(session, "stop-offering", "product", product["_id"], after=product)


@hookimpl
def register_channels():
    return [Channel(name="telesales", title="Telephone", number_prefix="TS")]


@hookimpl
def register_settings():
    return [SettingDeclaration(key="telesales.surcharge", type=Decimal, default=Decimal(0), title="Added to a price")]


@hookimpl
def register_consumers():
    return [Consumer(name="telesales.stop-offering", handle=stop_offering, events=("inventory:low-stock-alert",))]


@hookimpl
def register_routes(settings):
    return routes.all()


@hookimpl
def resolve_price(session, request):
    if request.channel == "telesales":
        return request.list_price + snapshot_of(session).setting("telesales.surcharge")
