"""Text as searches compare it: whatever its case, and however its letters are put together."""

import unicodedata
from typing import Any

from sqlalchemy import ColumnElement, String, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

#: The name of :func:`fold` on SQLite's connections.
SQLITE_FUNCTION = "tillhook_fold"


def fold(text: str) -> str:
    """Return the text as it is compared in searches: case and compatibility forms folded."""
    return unicodedata.normalize("NFKC", text).casefold()


def folded(column: Any) -> "Folded":
    """Return what :func:`fold` makes of a column of text, in the database.

    ``folded(Party.name).contains(fold(search), autoescape=True)`` finds "Özil" however it is written. It reads
    every row, so a large table keeps a folded column instead.

    The database's own locale has no part in it. PostgreSQL 18 folds as Python does. Older ones make lower case: they
    miss letters that fold to others, such as "ß" to "ss"; before 17 their server must be built with ICU.
    """
    return Folded(column)


def containing(text: str, *columns: Any) -> ColumnElement[bool]:
    """Return the condition that one of the columns contains the text, both folded."""
    return or_(*(folded(column).contains(fold(text), autoescape=True) for column in columns))


class Folded(FunctionElement[str]):
    """What :func:`folded` returns."""

    type = String()
    inherit_cache = True


@compiles(Folded)
def _fold_postgresql(element: Folded, compiler: Any, **options: Any) -> str:
    version = getattr(compiler.dialect, "server_version_info", None) or (18,)
    text = f"normalize({compiler.process(element.clauses, **options)}, NFKC)"
    if version >= (18,):
        return f"casefold({text} COLLATE pg_unicode_fast)"
    return f'lower({text} COLLATE "{"pg_c_utf8" if version >= (17,) else "und-x-icu"}")'


@compiles(Folded, "sqlite")
def _fold_sqlite(element: Folded, compiler: Any, **options: Any) -> str:
    return f"{SQLITE_FUNCTION}({compiler.process(element.clauses, **options)})"


def register_fold(connection: Any) -> None:
    """Make :func:`fold` known to a connection of SQLite."""
    connection.create_function(
        SQLITE_FUNCTION, 1, lambda text: None if text is None else fold(text), deterministic=True
    )
