"""Which documents of the journal are the counter's, and whose till made them."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Text, case, cast, false, func, literal, or_, select
from sqlalchemy.orm import Session

from tillhook.db import insert_or, insert_rows
from tillhook.sales import NO_DEVICE, PostedSale, Sale, SaleDraft
from tillhook_pos.models import CounterDocument

#: The counter's channel.
CHANNEL = "pos"
#: Begins the name of the drawer of a person who sells without naming a device.
PERSONAL = "user:"


def till_name(source_device: str, seller_id: int | None) -> str:
    """Return whose drawer a document's money is in: the device's, else the seller's own.

    A client may call itself anything, but not a drawer of another person.
    """
    is_device = source_device != NO_DEVICE and not source_device.startswith(PERSONAL)
    return source_device if is_device else f"{PERSONAL}{seller_id}"


def rows_of_drafts(drafts: Sequence[SaleDraft]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the row of ``pos_document`` for each sale that is about to be written."""
    for draft in drafts:
        if draft.channel.name == CHANNEL:
            yield "pos_document", _row(draft.id, till_name(draft.command.source_device, draft.seller_id))


def note(session: Session, document: PostedSale) -> None:
    """Write the row of ``pos_document`` for a return or a cancellation."""
    if document.channel == CHANNEL:
        till = till_name(document.sale["source_device"], document.sale["seller"])
        insert_rows(session.connection(), "pos_document", [_row(document.id, till)])


def adopt(session: Session) -> int:
    """Write the rows of the counter's documents that have none: those made while this plugin was not enabled.

    Returns:
        How many there were.
    """
    personal = literal(PERSONAL) + func.coalesce(cast(Sale.seller_id, Text), "None")
    is_personal = or_(Sale.source_device == NO_DEVICE, Sale.source_device.startswith(PERSONAL, autoescape=True))
    rows = (
        select(Sale.id, case((is_personal, personal), else_=Sale.source_device), false())
        .outerjoin(CounterDocument, CounterDocument.sale_id == Sale.id)
        .where(Sale.channel == CHANNEL, CounterDocument.sale_id.is_(None))
    )
    connection = session.connection()
    insert = insert_or(connection, CounterDocument).from_select(["sale_id", "till", "is_late"], rows)
    return int(connection.execute(insert.on_conflict_do_nothing()).rowcount)


def _row(sale_id: int, till: str) -> dict[str, Any]:
    return {"sale_id": sale_id, "till": till, "session_id": None, "is_late": False}
