"""marshmallow's errors as ours: fields as dotted paths."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from marshmallow import ValidationError

from tillhook.errors import ValidationFailed

#: An answer tells so many errors, and of a field's path so many characters: a client may send what nobody wants back.
_TOLD = 100
LONGEST_PATH = 200


def validation_failed(error: ValidationError) -> ValidationFailed:
    """Return marshmallow's error as ours, fields as dotted paths: ``items.0.quantity``; of more than 100 the first."""
    errors = list(islice(_errors(error.messages, ""), _TOLD))
    first = errors[0]
    return ValidationFailed(f"{first['field']}: {first['message']}", errors=errors)


def _errors(messages: Any, path: str) -> Iterator[dict[str, str]]:
    if isinstance(messages, Mapping):
        for key, value in messages.items():
            name = str(key)[:LONGEST_PATH]
            here = path if key == "_schema" else f"{path}.{name}" if path else name
            yield from _errors(value, here)
        return
    for message in messages if isinstance(messages, (list, tuple)) else (messages,):
        yield {"field": path[:LONGEST_PATH] or "body", "message": str(message)}
