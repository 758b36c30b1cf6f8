"""A voucher on paper, for the customer."""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from tillhook.quantities import format_money
from tillhook.runtime import snapshot_of
from tillhook_paper import ROLL_80, Barcode, Block, Document, Gap, Pair, Paragraph, QRCode, Rule, clean, to_pdf, to_text
from tillhook_vouchers.codes import normal
from tillhook_vouchers.models import GIFT_CARD, Voucher

_COLUMNS = 42


def print_card(session: Session, voucher: Voucher, format: str) -> tuple[bytes, str]:
    """Return a voucher as a PDF or as text, and its content type."""
    document = Document(_title(voucher), tuple(_blocks(session, voucher)))
    if format == "pdf":
        return to_pdf(document, ROLL_80), "application/pdf"
    return to_text(document, _COLUMNS).encode(), "text/plain; charset=utf-8"


def _title(voucher: Voucher) -> str:
    return "Gift card" if voucher.kind == GIFT_CARD else "Store credit"


def _blocks(session: Session, voucher: Voucher) -> Iterator[Block]:
    if firm := clean(snapshot_of(session).setting("company.name")):
        yield Paragraph(firm, "centre", bold=True, size="large")
    yield Paragraph(_title(voucher), "centre", bold=True)
    yield Gap()
    yield Pair("Balance", f"{voucher.currency} {format_money(voucher.balance)}", bold=True, size="large")
    if voucher.expires_on is not None:
        yield Pair("Good until", voucher.expires_on.isoformat())
    yield Rule()
    yield Paragraph(clean(voucher.code), "centre", bold=True)
    yield Barcode(normal(voucher.code))
    yield QRCode(normal(voucher.code))
