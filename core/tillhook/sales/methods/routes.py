"""Routes of payment methods."""

from typing import Any

from tillhook.http import Call, Routes, page_of
from tillhook.sales.methods import services
from tillhook.sales.methods.schemas import MethodIn, MethodOut, MethodPatch

routes = Routes("/payment-methods")
_MANAGE = "sales:method:manage"


@routes.get("", permission="sales:method:read", answer=page_of(MethodOut))
def read_all(call: Call) -> Any:
    """List the payment methods, those that are switched off too."""
    return {"items": services.list_methods(call.session), "next_cursor": None}


@routes.post("", permission=_MANAGE, body=MethodIn, answer=MethodOut, status=201, problems=(409,))
def create(call: Call) -> Any:
    """Make a payment method of the shop's own."""
    return services.create_method(call.session, call.body)


@routes.patch("/{name}", permission=_MANAGE, body=MethodPatch, answer=MethodOut, problems=(404, 409))
def update(call: Call, name: str) -> Any:
    """Change a payment method, or switch it off and on; a module's can only be switched."""
    return services.update_method(call.session, name, call.body)


@routes.delete("/{name}", permission=_MANAGE, status=204, problems=(404,))
def delete(call: Call, name: str) -> None:
    """Delete a payment method; one that was ever used is switched off."""
    services.delete_method(call.session, name)
