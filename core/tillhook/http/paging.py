"""Lists in pages that neither skip nor repeat a row when others are inserted: each goes on after a row."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Boolean, Date, Integer, Select, String, literal, or_, tuple_
from sqlalchemy.orm import Session

from tillhook.db import Exact, Instant, as_instant, format_instant
from tillhook.errors import ValidationFailed
from tillhook.http.schemas import MAX_KEY
from tillhook.quantities import parse


class BadCursor(ValidationFailed):
    """The cursor is not one that this list gave (422)."""

    code = "bad-cursor"

    def __init__(self) -> None:
        message = "Not a cursor of this list with this ordering."
        super().__init__(f"cursor: {message}", errors=[{"field": "cursor", "message": message}])


class _Place(NamedTuple):
    value: Any
    key: int


def page(
    session: Session, statement: Select[*tuple[Any, ...]], *, ordering: Mapping[str, Any], query: Mapping[str, Any]
) -> tuple[list[Any], str | None]:
    """Return one page and the cursor of the next, ``None`` at the end.

    Args:
        statement: Without ``ORDER BY`` and ``LIMIT``.
        ordering: The columns behind the names of the query's ``Ordering`` field, and always ``"id"``, which
            decides between equals. Nulls come last, whatever the direction.
        query: What a ``ListQuery`` loaded: ``limit``, ``cursor``, ``ordering``.

    Returns:
        Entities for a statement of one entity or column, else rows, which have the ordering's value and the
        id as two more columns at their end.

    Raises:
        ValidationFailed: 422 for a cursor of another list or ordering, or one that somebody made up.
    """
    asked: str = query["ordering"]
    name = asked.removeprefix("-")
    column, key = ordering[name], ordering["id"]
    single = len(statement.column_descriptions) == 1
    if query["cursor"]:
        place = _read(query["cursor"], asked, column)
        statement = statement.where(_after(place, column, key, asked != name))
    statement = statement.order_by(*_order(column, key, asked != name))
    statement = statement.add_columns(column.label("page_value"), key.label("page_key"))
    rows = session.execute(statement.limit(query["limit"] + 1)).all()
    more = len(rows) > query["limit"]
    rows = rows[: query["limit"]]
    cursor = _write(asked, rows[-1].page_value, rows[-1].page_key) if more else None
    return ([row[0] for row in rows] if single else list(rows)), cursor


def _is_nullable(column: Any) -> bool:
    return bool(getattr(getattr(column, "expression", column), "nullable", True))


def _order(column: Any, key: Any, descending: bool) -> list[Any]:
    def direct(each: Any) -> Any:
        return each.desc() if descending else each.asc()

    if column is key:
        return [direct(key)]
    # Said only where there may be nulls: an index serves the order without it.
    nulls = [column.is_(None)] if _is_nullable(column) else []
    return [*nulls, direct(column), direct(key)]


def _after(place: _Place, column: Any, key: Any, descending: bool) -> Any:
    after_key = key < place.key if descending else key > place.key
    if column is key:
        return after_key
    if place.value is None:
        return column.is_(None) & after_key
    here, there = tuple_(column, key), tuple_(literal(place.value, column.type), literal(place.key, key.type))
    after = here < there if descending else here > there
    return or_(after, column.is_(None)) if _is_nullable(column) else after


def _write(ordering: str, value: Any, key: int) -> str:
    if isinstance(value, datetime):
        value = format_instant(value)
    elif isinstance(value, Decimal):
        value = f"{value:f}"
    elif isinstance(value, date):
        value = value.isoformat()
    text = json.dumps([ordering, value, key], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _read(cursor: str, ordering: str, column: Any) -> _Place:
    """Return the place that a cursor names, its value of the column's type: it may be anybody's invention."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        said, value, key = json.loads(raw)
        if said != ordering or type(key) is not int or abs(key) > MAX_KEY:
            raise BadCursor
        return _Place(None if value is None else _reader(column)(value), key)
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
