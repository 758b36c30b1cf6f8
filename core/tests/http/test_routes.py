"""Routes are declared over their functions, which stay what they are."""

import pytest

from tillhook.hooks import PUBLIC, Route
from tillhook.http import Routes, Schema, Text


class ThingIn(Schema):
    name = Text(required=True)


def test_every_method_in_the_order_of_the_file():
    routes = Routes("/things")

    @routes.post("", permission="shop:thing:make", body=ThingIn, status=201, problems=(409,))
    def make(call):
        """Make a thing."""

    @routes.get("/{thing_id:int}", permission=PUBLIC, answer=ThingIn)
    def read(call, thing_id):
        """Read a thing."""

    @routes.put("/{thing_id:int}", permission=PUBLIC, idempotent=False)
    @routes.patch("/{thing_id:int}", permission=PUBLIC, max_body=7)
    def change(call, thing_id):
        """Change a thing."""

    @routes.delete("/{thing_id:int}", permission=PUBLIC, status=204)
    def remove(call, thing_id):
        """Remove a thing."""

    item = "/things/{thing_id:int}"
    assert routes.all() == (
        Route(
            method="POST",
            path="/things",
            handler=make,
            permission="shop:thing:make",
            body=ThingIn,
            status=201,
            problems=(409,),
        ),
        Route(method="GET", path=item, handler=read, permission=PUBLIC, answer=ThingIn),
        Route(method="PATCH", path=item, handler=change, permission=PUBLIC, max_body=7),
        Route(method="PUT", path=item, handler=change, permission=PUBLIC, idempotent=False),
        Route(method="DELETE", path=item, handler=remove, permission=PUBLIC, status=204),
    )


def test_the_function_is_not_wrapped():
    def answer(call):
        return call + 1

    assert Routes().get("/x", permission=PUBLIC)(answer) is answer


def test_a_route_without_permission_is_refused():
    with pytest.raises(TypeError, match="permission"):
        Routes().get("/x")(print)
