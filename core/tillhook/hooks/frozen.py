"""What hooks are given, so that nobody changes it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


def frozen(value: Any) -> Any:
    """Return a value of JSON's kind that cannot be changed at any depth: mappings read only, lists as tuples."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(member) for key, member in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(member) for member in value)
    return value
