"""Every route says what it answers, in JSON or otherwise, and with which statuses."""

from typing import Any

from jsonschema_rs import Draft202012Validator

from tillhook.hooks.declarations import PUBLIC, Route
from tillhook.http import Answer, Key, Schema, Text, at_most_one, exactly_one, out
from tillhook.server import openapi


def test_every_route_of_the_core_declares_its_answer(runtime: Any) -> None:
    lacking = {f"{each.method} {each.path}" for each in runtime.registry.routes if not each.declares_its_answer}
    assert lacking == set(), "say answer=, content_types= or status=204"


def test_what_is_no_json_and_further_statuses_are_said() -> None:
    class ThingOut(Answer):
        id = out.Key()

    def handler(call: Any) -> None:
        """Do it."""

    def responses(method: str, **options: Any) -> Any:
        route = Route(method=method, path="/x", handler=handler, permission=PUBLIC, **options)
        said = openapi.Document((route,)).to_dict()["paths"]["/api/x"][method.lower()]["responses"]
        return {status: list(each.get("content", {})) for status, each in said.items() if status < "4"}

    assert responses("GET", content_types=("image/*",), also=(304,)) == {"200": ["image/*"], "304": []}
    assert responses("DELETE", answer=ThingOut, also=(204,)) == {"200": ["application/json"], "204": []}
    assert responses("POST", answer=ThingOut, status=201, also=(200,)) == {
        "201": ["application/json"],
        "200": ["application/json"],
    }
    assert responses("GET", answer=ThingOut, content_types=("text/plain",)) == {
        "200": ["text/plain", "application/json"]
    }


def test_how_members_go_together_is_said() -> None:
    class LineIn(Schema):
        together = (exactly_one("id", "code"), at_most_one("code", "note"))
        id = Key(allow_none=True)
        code = Text(min=1, allow_none=True)
        note = Text(allow_none=True)

    def handler(call: Any) -> None:
        """Do it."""

    route = Route(method="POST", path="/x", handler=handler, permission=PUBLIC, body=LineIn, status=204)
    document = openapi.Document((route,)).to_dict()
    body = document["paths"]["/api/x"]["post"]["requestBody"]
    (schema,) = [schema for name, schema in document["components"]["schemas"].items() if name.endswith("LineIn")]
    is_valid = Draft202012Validator(schema).is_valid
    assert body["required"] is True
    assert [is_valid(each) for each in ({"id": 1}, {"id": None, "code": "a"}, {"id": 1, "note": "b"})] == [True] * 3
    assert not any(
        is_valid(each) for each in ({}, {"id": None}, {"id": 1, "code": "a"}, {"code": "a", "note": "b"}, {"x": 1})
    )
