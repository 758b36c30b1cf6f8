"""Lists of keys in conditions, as one parameter whatever their number, and what is found, by key."""

import json
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import BigInteger, Boolean, Dialect, String, Text, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Integer, TypeDecorator, TypeEngine


def among(column: Any, keys: Collection[int] | Collection[str]) -> FunctionElement[bool]:
    """Return the condition that ``column`` is one of ``keys``, which may be none.

    Unlike ``column.in_(keys)`` it is the same statement for any number of keys: SQLAlchemy compiles it once,
    PostgreSQL plans it once, and no limit of parameters is met.

    Args:
        column: Of whole numbers or of text.
    """
    kind = _ArrayOfKeys(is_text=_is_text(column.type))
    return Among(column, bindparam(None, list(keys), type_=kind, unique=True))


def grouped(rows: Iterable[Any]) -> dict[Any, list[Any]]:
    """Return the second of each pair by the first, in the order of the rows."""
    groups: dict[Any, list[Any]] = {}
    for key, value in rows:
        groups.setdefault(key, []).append(value)
    return groups


class Among(FunctionElement[bool]):
    """What :func:`among` returns."""

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        """Return the condition as it is: SQLAlchemy would say ``= 1`` on SQLite, which then uses no index for it."""
        return self


@compiles(Among)
def _any_of_array(element: Among, compiler: Any, **options: Any) -> str:
    column, keys = element.clauses
    return f"{compiler.process(column, **options)} = ANY ({compiler.process(keys, **options)})"


@compiles(Among, "sqlite")
def _in_json(element: Among, compiler: Any, **options: Any) -> str:
    column, keys = element.clauses
    return (
        f"{compiler.process(column, **options)} IN (SELECT value FROM json_each({compiler.process(keys, **options)}))"
    )


class _ArrayOfKeys(TypeDecorator[list[Any]]):
    """An array on PostgreSQL, its JSON text on SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, is_text: bool) -> None:
        super().__init__()
        self.is_text = is_text

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(ARRAY(Text() if self.is_text else BigInteger()))

    def process_bind_param(self, value: list[Any] | None, dialect: Dialect) -> Any:
        return json.dumps(value) if dialect.name == "sqlite" else value


def _is_text(type_: TypeEngine[Any]) -> bool:
    if isinstance(type_, String):
        return True
    if isinstance(type_, Integer):
        return False
    raise TypeError(f"among() takes keys that are whole numbers or text, not {type_!r}")
