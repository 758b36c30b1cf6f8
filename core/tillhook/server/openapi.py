"""OpenAPI 3.1 of every route, from the schemas that check the requests."""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import resolve_schema_cls
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields

from tillhook import __version__
from tillhook.access.overriding import HEADER as OVERRIDE
from tillhook.hooks.declarations import PUBLIC, Route
from tillhook.http.schemas import MAX_KEY, ListOf, StrictField
from tillhook.server.dispatch import takes_override
from tillhook.server.idempotency import HEADER
from tillhook.server.routing import PREFIX

if TYPE_CHECKING:
    from tillhook.runtime import Runtime

_PARAMETER = re.compile(r"\{(\w+)(?::(\w+)[^}]*)?\}")
_DESCRIPTION = """Amounts and quantities are texts in answers, and texts or numbers in requests.
Times are RFC 3339 in UTC. Every error is `application/problem+json` with a stable `code`.
A POST takes an `Idempotency-Key`: the same answer again for a day. An answer other than success is not
kept, because it changed nothing. `X-Override: <user id or e-mail>:<PIN>` lends a colleague's rights to one request."""
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457; an error may have members of its own besides these.",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable, for programs."},
        "detail": {"type": "string", "description": "One sentence for a person."},
        "instance": {"type": "string"},
        "request_id": {"type": "string", "description": "Under which the log has it."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def build(runtime: "Runtime") -> dict[str, Any]:
    """Return the document; ``x-permission`` of an operation is what its caller needs."""
    return Document(runtime.registry.routes).to_dict()


def module_of(function: Callable[..., Any]) -> str:
    """Return the area or the plugin that a handler or a schema belongs to."""
    first, _, rest = function.__module__.partition(".")
    return rest.partition(".")[0] or first if first == "tillhook" else first.removeprefix("tillhook_")


class Document:
    """Puts the document together."""

    def __init__(self, routes: Iterable[Route]) -> None:
        plugin = _Marshmallow(schema_name_resolver=_component_name)
        self._spec = APISpec(
            title="Tillhook",
            version=__version__,
            openapi_version="3.1.0",
            plugins=[plugin],
            info={"description": _DESCRIPTION, "license": {"name": "MIT", "identifier": "MIT"}},
        )
        assert plugin.converter is not None
        self._converter = plugin.converter
        # Answers say decimals as texts.
        self._converter.field_mapping[fields.Decimal] = ("string", None)
        self._converter.add_attribute_function(_strict_field)
        components = self._spec.components
        components.schema("Problem", _PROBLEM)
        components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
        components.security_scheme("apiKey", {"type": "apiKey", "in": "header", "name": "X-API-Key"})
        self._names: set[str] = set()
        for route in routes:
            self._add(route)
        for tag in sorted({module_of(route.handler) for route in routes}):
            self._spec.tag({"name": tag})

    def to_dict(self) -> dict[str, Any]:
        """Return the document."""
        return self._spec.to_dict()

    def _add(self, route: Route) -> None:
        path = PREFIX + _PARAMETER.sub(r"{\1}", route.path.rstrip("/"))
        self._spec.path(path=path, operations={route.method.lower(): self._operation(route)})

    def _operation(self, route: Route) -> dict[str, Any]:
        is_public = route.permission is PUBLIC
        operation: dict[str, Any] = {
            "operationId": self._operation_id(route),
            "summary": _plain(route.summary) or f"{route.method} {route.path}",
            "tags": [module_of(route.handler)],
            "parameters": [*_path_parameters(route), *self._query_parameters(route), *_headers(route)],
            "responses": self._responses(route),
            "security": [] if is_public else [{"bearer": []}, {"apiKey": []}],
        }
        if isinstance(route.permission, str):
            operation["x-permission"] = route.permission
        text = (route.handler.__doc__ or "").strip().partition("\n\n")[2].strip()
        if text:
            operation["description"] = _plain(re.sub(r"[ \t]*\n[ \t]+", "\n", text))
        if route.body is not None or route.upload:
            operation["requestBody"] = self._body(route)
        return operation

    def _operation_id(self, route: Route) -> str:
        base = re.sub(r"\W+", "", f"{module_of(route.handler)}_{route.handler.__name__}")
        name, number = base, 2
        while name in self._names:
            name, number = f"{base}_{number}", number + 1
        self._names.add(name)
        return name

    def _query_parameters(self, route: Route) -> list[dict[str, Any]]:
        if route.query is None:
            return []
        return [
            {
                "name": field.data_key or name,
                "in": "query",
                "required": field.required,
                "schema": _without_null(self._converter.field2property(field)),
            }
            for name, field in route.query().fields.items()
        ]

    def _body(self, route: Route) -> dict[str, Any]:
        if not route.upload:
            assert route.body is not None
            body = route.body()
            required = bool(getattr(body, "together", ())) or any(each.required for each in body.fields.values())
            return {"required": required, "content": {"application/json": {"schema": route.body}}}
        properties: dict[str, Any] = {"file": {"type": "string", "format": "binary"}}
        if route.body is not None:
            for name, field in route.body().fields.items():
                properties[field.data_key or name] = _without_null(self._converter.field2property(field))
        schema = {"type": "object", "required": ["file"], "properties": properties, "additionalProperties": False}
        return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}

    def _responses(self, route: Route) -> dict[str, Any]:
        content: dict[str, Any] = {each: {} for each in route.content_types}
        if route.answer is not None:
            content["application/json"] = {"schema": route.answer}
        responses = {}
        for status in (route.status, *route.also):
            has_content = content and status not in _EMPTY
            responses[str(status)] = {
                "description": _EMPTY.get(status, "Done."),
                **({"content": content} if has_content else {}),
            }
        for status in sorted(_problem_statuses(route)):
            responses[str(status)] = _problem(_MEANINGS.get(status, "Refused."))
        responses["default"] = _problem("Another error.")
        return responses


class _Converter(OpenAPIConverter):
    def schema2jsonschema(self, schema: Any) -> dict[str, Any]:
        said: dict[str, Any] = super().schema2jsonschema(schema)
        together = getattr(schema, "together", ())
        return {**said, "allOf": list(together)} if together else said


class _Marshmallow(MarshmallowPlugin):
    Converter = _Converter


_EMPTY = {204: "Done, and nothing is left to show.", 304: "Not changed since."}
_MEANINGS = {
    400: "The request is malformed.",
    401: "No valid token or key.",
    403: "The permission is lacking.",
    404: "There is no such thing.",
    409: "It does not fit the present state.",
    413: "The body is too large.",
    415: "The content type is not taken.",
    422: "A field is wrong; `errors` names each.",
    429: "Asked too often.",
}


def _problem_statuses(route: Route) -> set[int]:
    statuses = set(route.problems) | {422}
    if route.permission is not PUBLIC:
        statuses.add(401)
    if takes_override(route):
        statuses |= {403, 429}
    if isinstance(route.permission, str):
        statuses.add(403)
    if _PARAMETER.search(route.path):
        statuses.add(404)
    if route.idempotent:
        statuses.add(409)
    if route.body is not None or route.upload:
        statuses |= {400, 413, 415}
    return statuses


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    kinds: dict[str | None, dict[str, Any]] = {
        "int": {"type": "integer", "minimum": 1, "maximum": MAX_KEY},
        "uuid": {"type": "string", "format": "uuid"},
    }
    text = {"type": "string", "minLength": 1, "maxLength": 200}
    return [
        {"name": match[1], "in": "path", "required": True, "schema": kinds.get(match[2], text)}
        for match in _PARAMETER.finditer(route.path)
    ]


def _headers(route: Route) -> list[dict[str, Any]]:
    headers = []
    if route.idempotent:
        headers.append((HEADER, {"type": "string", "pattern": "^[!-~]{1,255}$"}))
    if takes_override(route):
        headers.append((OVERRIDE, {"type": "string", "pattern": "^.{1,287}:[^:]{1,12}$"}))
    return [{"name": name, "in": "header", "required": False, "schema": schema} for name, schema in headers]


def _plain(text: str) -> str:
    """Return a docstring's text as Markdown."""
    return text.replace("``", "`")


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a query parameter or of a form's field, which is absent rather than null."""
    alternatives = schema.get("anyOf", [])
    if {"type": "null"} in alternatives:
        return next(each for each in alternatives if each != {"type": "null"})
    return {key: value for key, value in schema.items() if key != "default" or value is not None}


def _strict_field(_converter: Any, field: fields.Field, *, ret: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Put what our own fields say of themselves in place of what the converter guesses."""
    if isinstance(field, ListOf):
        return field.json_schema()
    if not isinstance(field, StrictField):
        return {}
    said: dict[str, Any] = {key: ret[key] for key in ("default", "readOnly", "writeOnly") if key in ret}
    described = {
        **field.json_schema(),
        **{key: field.metadata[key] for key in ("description",) if key in field.metadata},
    }
    ret.clear()
    return {**({"anyOf": [described, {"type": "null"}]} if field.allow_none else described), **said}


def _component_name(schema: Any) -> str:
    """Return the schema's name among the components; an empty one writes it where it is used."""
    class_ = resolve_schema_cls(schema)
    if isinstance(class_, list) or class_.__name__ == "GeneratedSchema":
        return ""
    is_changed = isinstance(schema, Schema) and bool(schema.only or schema.exclude or schema.partial)
    return "" if is_changed else f"{module_of(class_)}.{class_.__name__}"
