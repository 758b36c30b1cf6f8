"""Values as JSON text, for answers, rows and digests."""

import json
from collections.abc import Callable
from typing import Any

import orjson

Default = Callable[[Any], Any]
# Moments are written by whoever encodes, in his own form.
_PLAIN = orjson.OPT_PASSTHROUGH_DATETIME
_SORTED = _PLAIN | orjson.OPT_SORT_KEYS


def to_json(value: Any, default: Default | None = None, *, is_sorted: bool = False) -> bytes:
    """Return compact JSON in UTF-8, equal for equal values.

    Args:
        default: Called with what JSON does not know, such as a ``Decimal`` or a moment; returns what it does know.
        is_sorted: Whether the keys of objects are in order.

    Raises:
        TypeError: There is something that neither JSON nor ``default`` knows.
    """
    try:
        return orjson.dumps(value, default, _SORTED if is_sorted else _PLAIN)
    except orjson.JSONEncodeError:
        # A whole number beyond 64 bits, a key that is no text: rare, and allowed.
        text = json.dumps(value, default=default, sort_keys=is_sorted, ensure_ascii=False, separators=(",", ":"))
        return text.encode()
