"""Lists in pages that neither skip nor repeat a row when others are inserted: each goes on after a row."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Date,
    Integer,
    Select,
    String,
    func,
    literal,
    null,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session

from tillhook.db import Exact, Instant, as_instant, format_instant
from tillhook.errors import ValidationFailed
from tillhook.http.schemas import MAX_KEY
from tillhook.quantities import parse

#: In ``Session.info``: how many rows the statement of the last page has in all, when that was asked for.
COUNT = "count_of_list"


class BadCursor(ValidationFailed):
    """The cursor is not one that this list gave (422)."""

    code = "bad-cursor"

    def __init__(self) -> None:
        message = "Not a cursor of this list with this ordering."
        super().__init__(f"cursor: {message}", errors=[{"field": "cursor", "message": message}])


class _Place(NamedTuple):
    value: Any
    keys: tuple[int, ...]


def page(
    session: Session,
    statement: Select[*tuple[Any, ...]],
    *,
    ordering: Mapping[str, Any],
    query: Mapping[str, Any],
    apart: Sequence[ColumnElement[bool]] = (),
) -> tuple[list[Any], str | None]:
    """Return one page and the cursor of the next, ``None`` at the end.

    Args:
        statement: Without ``ORDER BY`` and ``LIMIT``.
        ordering: The columns behind the names of the query's ``Ordering`` field, and always ``"id"``, the key or a
            tuple of its parts, which decides between equals. Nulls come last, whatever the direction.
        query: What a ``ListQuery`` loaded: ``limit``, ``cursor``, ``ordering``, and ``count``, for the answer.
        apart: Conditions of which each row meets exactly one, and for each of which an index has the order: what comes
            first of each is read on its own. The key is then a single column.

    Returns:
        Entities for a statement of one entity or column, else rows, which have the ordering's value and the
        key as further columns at their end.

    Raises:
        ValidationFailed: 422 for a cursor of another list or ordering, or one that somebody made up.
    """
    if query.get("count"):
        session.info[COUNT] = _count(session, statement.where(or_(*apart)) if apart else statement, ordering["id"])
    asked: str = query["ordering"]
    name = asked.removeprefix("-")
    keys = ordering["id"] if isinstance(ordering["id"], tuple) else (ordering["id"],)
    column = None if ordering[name] is ordering["id"] else ordering[name]
    single = len(statement.column_descriptions) == 1
    if query["cursor"]:
        place = _read(query["cursor"], asked, column, len(keys))
        statement = statement.where(_after(place, column, keys, asked != name))
    order = _order(column, keys, asked != name)
    if len(apart) > 1:
        first = (statement.with_only_columns(*keys).where(each) for each in apart)
        first_ids = (each.order_by(*order).limit(query["limit"] + 1).subquery() for each in first)
        statement = statement.where(keys[0].in_(union_all(*(select(each) for each in first_ids))))
    elif apart:
        statement = statement.where(*apart)
    statement = statement.order_by(*order)
    value = null() if column is None else column
    statement = statement.add_columns(value.label("page_value"), *(key.label(None) for key in keys))
    rows = session.execute(statement.limit(query["limit"] + 1)).all()
    more = len(rows) > query["limit"]
    rows = rows[: query["limit"]]
    cursor = _write(asked, *rows[-1][-len(keys) - 1 :]) if more else None
    return ([row[0] for row in rows] if single else list(rows)), cursor


def _count(session: Session, statement: Select[*tuple[Any, ...]], key: Any) -> int:
    keys = key if isinstance(key, tuple) else (key,)
    rows = statement.with_only_columns(*keys, maintain_column_froms=True).subquery()
    return session.scalar(select(func.count()).select_from(rows)) or 0


def narrowed(statement: Any, query: Mapping[str, Any], conditions: Mapping[str, Any]) -> Any:
    """Return the statement with a condition for each filter that the query says; absent, null or empty says nothing.

    Args:
        conditions: By the filter's name the column that is to equal it, or a function that makes the condition of it.
    """
    for name, condition in conditions.items():
        value = query.get(name)
        if value is not None and value != "":
            statement = statement.where(condition(value) if callable(condition) else condition == value)
    return statement


def _is_nullable(column: Any) -> bool:
    return bool(getattr(getattr(column, "expression", column), "nullable", True))


def _order(column: Any, keys: tuple[Any, ...], descending: bool) -> list[Any]:
    columns = [each.desc() if descending else each.asc() for each in (column, *keys) if each is not None]
    if column is None:
        return columns
    # Nulls are said only where there may be some: an index serves the order without it.
    return [column.is_(None), *columns] if _is_nullable(column) else columns


def _after(place: _Place, column: Any, keys: tuple[Any, ...], descending: bool) -> Any:
    def after(here: Any, there: Any) -> Any:
        return here < there if descending else here > there

    there = [literal(value, key.type) for value, key in zip(place.keys, keys, strict=True)]
    after_key = after(tuple_(*keys), tuple_(*there)) if len(keys) > 1 else after(keys[0], there[0])
    if column is None:
        return after_key
    if place.value is None:
        return column.is_(None) & after_key
    later = after(tuple_(column, *keys), tuple_(literal(place.value, column.type), *there))
    return or_(later, column.is_(None)) if _is_nullable(column) else later


def _write(ordering: str, value: Any, *keys: int) -> str:
    if isinstance(value, datetime):
        value = format_instant(value)
    elif isinstance(value, Decimal):
        value = f"{value:f}"
    elif isinstance(value, date):
        value = value.isoformat()
    text = json.dumps([ordering, value, *keys], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _read(cursor: str, ordering: str, column: Any, parts: int) -> _Place:
    """Return the place that a cursor names, its value of the column's type: it may be anybody's invention."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        said, value, *keys = json.loads(raw)
        if said != ordering or len(keys) != parts or (column is None and value is not None):
            raise BadCursor
        return _Place(None if value is None else _reader(column)(value), tuple(map(_whole, keys)))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise BadCursor from None


def _reader(column: Any) -> Callable[[Any], Any]:
    for type_, reader in _READERS.items():
        if isinstance(column.type, type_):
            return reader
    raise TypeError(f"a list cannot be ordered by {column.type!r}")


def _instant(value: Any) -> datetime:
    if not isinstance(value, str) or not value.endswith("Z"):
        raise ValueError
    return as_instant(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError
    value.encode()  # half a surrogate pair fails here, with a ValueError
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or abs(value) > MAX_KEY:
        raise ValueError
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError
    return value


_READERS: dict[type, Callable[[Any], Any]] = {
    Exact: parse,
    Instant: _instant,
    Date: date.fromisoformat,
    Boolean: _flag,
    Integer: _whole,
    String: _text,
}
