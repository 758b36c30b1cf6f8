"""The customers' names and phones that the journal's documents have, for searches: each once."""

from sqlalchemy import ColumnElement, Connection, select

from tillhook.db import folded, insert_or
from tillhook.sales.models import IS_NAMED, Sale, SaleName


def enter_names(connection: Connection, condition: ColumnElement[bool]) -> None:
    """Enter those of the documents that meet a condition, as far as they are not there yet."""
    text = folded(Sale.customer_name).concat("\n").concat(folded(Sale.customer_phone))
    named = select(Sale.customer_name, Sale.customer_phone, text).where(IS_NAMED, condition).distinct()
    insert = insert_or(connection, SaleName).from_select(["name", "phone", "search_text"], named)
    connection.execute(insert.on_conflict_do_nothing())
