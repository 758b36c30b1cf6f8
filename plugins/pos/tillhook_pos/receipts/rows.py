"""A receipt as a strip of rows, for a roll of paper: what the text, the narrow PDF and the printer have in common."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tillhook_pos.receipts.document import Receipt, ReceiptLine, TaxTable

Size = Literal["normal", "large"]


@dataclass(frozen=True, slots=True)
class Words:
    """Text over the whole width, wrapped."""

    text: str
    centred: bool = False
    bold: bool = False
    size: Size = "normal"
    indent: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """Text at the left, wrapped, and an amount or a short text at the right of its last line."""

    left: str
    right: str
    bold: bool = False
    size: Size = "normal"
    indent: int = 0


@dataclass(frozen=True, slots=True)
class Cells:
    """Short texts in columns of one width, the first at the left, the others at the right of theirs."""

    cells: tuple[str, ...]
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the paper."""


@dataclass(frozen=True, slots=True)
class Gap:
    """An empty line."""


@dataclass(frozen=True, slots=True)
class Barcode:
    """A Code 128, with its text below it."""

    text: str


@dataclass(frozen=True, slots=True)
class Square:
    """A QR code."""

    text: str


Row = Words | Pair | Cells | Rule | Gap | Barcode | Square


def strip(receipt: Receipt) -> Iterator[Row]:
    """Yield the rows of a receipt from top to bottom."""
    yield from _head(receipt)
    for line in receipt.lines:
        yield from _item(line)
    yield Rule()
    for total in receipt.sums:
        yield Pair(total.name, total.amount, bold=total.is_total, size="large" if total.is_total else "normal")
    yield Rule()
    if receipt.tenders:
        yield from (Pair(tender.name, tender.amount) for tender in receipt.tenders)
        yield Rule()
    for table in receipt.taxes:
        yield from _taxes(table)
    if receipt.notes:
        yield from map(Words, receipt.notes)
        yield Rule()
    yield from _foot(receipt)


def _head(receipt: Receipt) -> Iterator[Row]:
    yield Words(receipt.firm, centred=True, bold=True, size="large")
    yield from (Words(line, centred=True) for line in receipt.address)
    if receipt.tax_id:
        yield Words(f"Tax number {receipt.tax_id}", centred=True)
    yield Gap()
    yield Words(receipt.title, centred=True, bold=True)
    yield from (Words(f"*** {banner} ***", centred=True, bold=True) for banner in receipt.banners)
    yield Gap()
    yield from (Pair(name, value) for name, value in receipt.facts)
    yield Rule()


def _item(line: ReceiptLine) -> Iterator[Row]:
    yield Words(line.name)
    if line.details:
        yield Words(", ".join(line.details), indent=2)
    discount = f" ({line.discount} each)" if line.discount else ""
    yield Pair(f"{line.quantity} x {line.unit_price}{discount}", line.total, indent=2)


def _taxes(table: TaxTable) -> Iterator[Row]:
    yield Words(table.title)
    yield Cells(("Rate", "Net", "Tax", "Gross"))
    yield from map(Cells, table.rows)
    yield Rule()


def _foot(receipt: Receipt) -> Iterator[Row]:
    yield from (Words(line, centred=True) for line in receipt.footer)
    yield Gap()
    yield Barcode(receipt.number)
    yield Square(receipt.code)
