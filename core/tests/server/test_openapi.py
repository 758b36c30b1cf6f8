"""The document is valid OpenAPI 3.1 and says what the routes do; the page is safe and whole."""

from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator, meta
from schemathesis.specs.openapi.definitions import OPENAPI_31

from tillhook.hooks.declarations import PUBLIC, Route
from tillhook.http import ListOf, Nested, Schema, Text
from tillhook.server import openapi

pytestmark = pytest.mark.parametrize("engine", ["sqlite"])


def test_it_is_valid(shop: Any) -> None:
    document = shop.get("/api/openapi.json", user=None).json
    assert [error.message for error in Draft202012Validator(OPENAPI_31).iter_errors(document)] == []
    for schema in document["components"]["schemas"].values():
        meta.validate(schema)


def test_every_route_is_in_it(shop: Any) -> None:
    document = shop.get("/api/openapi.json").json
    for route in shop.runtime.registry.routes:
        path = "/api" + route.path.replace(":int", "")
        operation = document["paths"][path][route.method.lower()]
        assert operation.get("x-permission") == (route.permission if isinstance(route.permission, str) else None)
        assert operation["security"] == ([] if route.permission is PUBLIC else [{"bearer": []}, {"apiKey": []}])
        assert operation["responses"]["default"]
    ids = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(ids) == len(set(ids))


def test_what_a_field_takes_is_said(shop: Any) -> None:
    document = shop.get("/api/openapi.json").json
    (name,) = [name for name in document["components"]["schemas"] if name.endswith("ThingIn")]
    schema = document["components"]["schemas"][name]
    assert schema["required"] == ["name"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["warehouse"] == {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
    assert {"type": "null"} in schema["properties"]["price"]["anyOf"]
    parameters = document["paths"]["/api/things"]["get"]["parameters"]
    limit = next(each["schema"] for each in parameters if each["name"] == "limit")
    assert limit == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    post = document["paths"]["/api/things"]["post"]
    assert [each["name"] for each in post["parameters"]] == ["Idempotency-Key", "X-Override"]
    assert {"201", "409", "422"} <= set(post["responses"])
    form = document["paths"]["/api/files"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["file"] == {"type": "string", "format": "binary"}


def test_nested_and_unnamed_schemas(make_shop: Any) -> None:
    inner = Schema.from_dict({"name": Text(min=1)})

    class Outer(Schema):
        items = ListOf(Nested(inner), min=1, max=9)

    def handler(call: Any) -> None:
        """Do it.

        And say more.
        """

    routes = (Route(method="POST", path="/x/", handler=handler, permission=PUBLIC, body=Outer),)
    operation = openapi.Document(routes).to_dict()["paths"]["/api/x"]["post"]
    assert (operation["summary"], operation["description"]) == ("Do it.", "And say more.")
    assert operation["requestBody"]["required"] is False


def test_the_page_is_self_contained(shop: Any) -> None:
    page = shop.get("/docs", user=None)
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    for part in ("/docs", "/docs/docs.css", "/docs/docs.js"):
        answer = shop.get(part, user=None)
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "://" not in answer.text
        assert "innerHTML" not in answer.text
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert " onclick=" not in page.text
