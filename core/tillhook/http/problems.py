"""marshmallow's errors as ours: fields as dotted paths."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from tillhook.errors import ValidationFailed


def validation_failed(error: ValidationError) -> ValidationFailed:
    """Return marshmallow's error as ours, its fields as dotted paths."""
    errors = flatten(error.messages)
    first = errors[0]
    return ValidationFailed(f"{first['field']}: {first['message']}", errors=errors)


def flatten(messages: Any, path: str = "") -> list[dict[str, str]]:
    """Return ``[{"field": "items.0.quantity", "message": ...}]`` for marshmallow's nested messages."""
    if isinstance(messages, Mapping):
        rows = []
        for key, value in messages.items():
            here = path if key == "_schema" else f"{path}.{key}" if path else str(key)
            rows += flatten(value, here)
        return rows
    if isinstance(messages, list | tuple):
        return [{"field": path or "body", "message": str(message)} for message in messages]
    return [{"field": path or "body", "message": str(messages)}]
