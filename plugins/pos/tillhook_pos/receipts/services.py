"""Handing out receipts, and counting how often."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from tillhook.access import audit
from tillhook.db import insert_or, utc_now
from tillhook.runtime import snapshot_of
from tillhook.sales import get_sale, sales_by_id
from tillhook_paper import A4, ROLL_80, to_escpos, to_pdf, to_text
from tillhook_pos.models import PrintedReceipt
from tillhook_pos.receipts.document import Receipt, build
from tillhook_pos.receipts.layout import on_roll, on_sheets
from tillhook_pos.receipts.options import code_pages
from tillhook_pos.tills.codes import receipt_code, receipt_reference


@dataclass(frozen=True, slots=True)
class Printed:
    """A receipt as a file."""

    content: bytes
    content_type: str
    file_name: str


def print_receipt(session: Session, sale_id: int, query: dict[str, Any]) -> Printed:
    """Return a document's receipt, and count that it was handed out unless it is a preview.

    The first one is the original, every other says which copy it is; two tills that print one receipt together wait
    for each other on its row.

    Raises:
        NotFound: 404 ``unknown-sale``: there is none, or the actor may not see it.
    """
    sale = get_sale(session, sale_id)
    copy = None if query["preview"] else _count(session, sale_id)
    receipt = build(
        sale,
        snapshot_of(session),
        origin_number=_origin_number(session, sale["origin"]),
        copy=copy,
        code=square_content(session, sale_id),
    )
    return _WRITERS[query["format"]](session, receipt, query)


def square_content(session: Session, sale_id: int) -> str:
    """Return what a receipt's square code holds: the whole sale, signed, where that can be, else its signed name."""
    return receipt_code(session, sale_id) or receipt_reference(session, sale_id)


def _count(session: Session, sale_id: int) -> int:
    """Note a hand-out and return how many there were before."""
    connection = session.connection()
    first = insert_or(connection, PrintedReceipt).values(sale_id=sale_id, copies=1, first_printed_at=utc_now())
    again = {"copies": PrintedReceipt.copies + 1}
    counted = first.on_conflict_do_update(index_elements=["sale_id"], set_=again).returning(PrintedReceipt.copies)
    copies = connection.execute(counted).scalar_one()
    if copies > 1:
        audit(session, "reprint", "sale", sale_id, after={"copy": copies - 1})
    return int(copies) - 1


def _origin_number(session: Session, origin_id: int | None) -> str | None:
    if origin_id is None:
        return None
    return str(sales_by_id(session, [origin_id])[origin_id]["sale_number"])


def _pdf(session: Session, receipt: Receipt, query: dict[str, Any]) -> Printed:
    content = to_pdf(on_sheets(receipt), A4) if query["paper"] == "a4" else to_pdf(on_roll(receipt), ROLL_80)
    return Printed(content, "application/pdf", f"{receipt.file_name}.pdf")


def _text(session: Session, receipt: Receipt, query: dict[str, Any]) -> Printed:
    content = to_text(on_roll(receipt), _columns(session, query)).encode()
    return Printed(content, "text/plain; charset=utf-8", f"{receipt.file_name}.txt")


def _escpos(session: Session, receipt: Receipt, query: dict[str, Any]) -> Printed:
    pages = code_pages(snapshot_of(session).setting("pos.printer_code_pages"))
    content = to_escpos(on_roll(receipt), _columns(session, query), pages, opens_drawer=receipt.opens_drawer)
    return Printed(content, "application/octet-stream", f"{receipt.file_name}.escpos")


def _columns(session: Session, query: dict[str, Any]) -> int:
    return int(query["width"] or snapshot_of(session).setting("pos.receipt_width"))


_WRITERS = {"pdf": _pdf, "text": _text, "escpos": _escpos}
