"""Rows of whole numbers as a table in a statement: one parameter, however many rows there are."""

from collections.abc import Iterable

from sqlalchemy import BigInteger, FromClause, Text, column, func, literal, select
from sqlalchemy import cast as cast_to
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import Session

from tillhook.encoding import to_json

Numbers = Iterable[tuple[int | None, ...]]
#: What the table is called in the statement.
_NAME = "k"


def records(session: Session, rows: Numbers, *columns: str) -> FromClause:
    """Return ``rows`` as a table of these columns, to be joined in a select of SQLAlchemy."""
    parameter = literal(json_records(rows, *columns), Text)
    if session.get_bind().dialect.name == "postgresql":
        # As text on the way, for JSON parameters are encoded once more.
        table = func.json_to_recordset(cast_to(parameter, JSON))
        return table.table_valued(*(column(name, BigInteger) for name in columns)).render_derived(
            name=_NAME, with_types=True
        )
    each = func.json_each(parameter).table_valued("value")
    numbers = [func.json_extract(each.c.value, f"$.{name}", type_=BigInteger).label(name) for name in columns]
    return select(*numbers).select_from(each).subquery(_NAME)


def json_records(rows: Numbers, *columns: str) -> str:
    """Return rows as a JSON text, for ``json_to_recordset`` in statements of one's own."""
    return to_json([dict(zip(columns, row, strict=True)) for row in rows]).decode()
