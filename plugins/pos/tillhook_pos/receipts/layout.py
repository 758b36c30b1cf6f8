"""How a receipt stands on paper: on a roll, which text and printers follow too, and on sheets."""

from collections.abc import Iterator

from tillhook_paper import (
    MM,
    Barcode,
    Beside,
    Block,
    Cell,
    Cells,
    Column,
    Document,
    Gap,
    Pair,
    Paragraph,
    QRCode,
    Rule,
    Table,
    Together,
)
from tillhook_pos.receipts.document import Receipt, ReceiptLine, Sum, TaxTable

_COLUMNS = (
    Column("Item"),
    Column("Quantity", 20 * MM, "right"),
    Column("Unit price", 26 * MM, "right"),
    Column("Discount", 20 * MM, "right"),
    Column("Tax", 16 * MM, "right"),
    Column("Total", 30 * MM, "right"),
)
#: Of a sheet's width, what a table of taxes takes.
_TAX_SHARES = (120.0, 54.0)


def on_roll(receipt: Receipt) -> Document:
    """Return a receipt for a roll."""
    return Document(_title(receipt), tuple(_strip(receipt)))


def on_sheets(receipt: Receipt) -> Document:
    """Return a receipt for sheets, with its number at the foot of each."""
    return Document(_title(receipt), tuple(_sheets(receipt)), foot=_title(receipt))


def _title(receipt: Receipt) -> str:
    return f"{receipt.title} {receipt.number}"


# --- on a roll ---------------------------------------------------------------------------------------------


def _strip(receipt: Receipt) -> Iterator[Block]:
    yield from _head(receipt)
    for line in receipt.lines:
        yield from _item(line)
    yield Rule()
    yield from map(_sum, receipt.sums)
    yield Rule()
    if receipt.tenders:
        yield from map(_sum, receipt.tenders)
        yield Rule()
    for table in receipt.taxes:
        yield Paragraph(table.title)
        yield from _taxes(table)
        yield Rule()
    if receipt.notes:
        yield from map(Paragraph, receipt.notes)
        yield Rule()
    yield from (Paragraph(line, "centre") for line in receipt.footer)
    yield Gap()
    yield Barcode(receipt.number)
    yield QRCode(receipt.code)


def _head(receipt: Receipt) -> Iterator[Block]:
    yield Paragraph(receipt.firm, "centre", bold=True, size="large")
    yield from (Paragraph(line, "centre") for line in receipt.address)
    if receipt.tax_id:
        yield Paragraph(f"Tax number {receipt.tax_id}", "centre")
    yield Gap()
    yield Paragraph(receipt.title, "centre", bold=True)
    yield from (Paragraph(f"*** {banner} ***", "centre", bold=True) for banner in receipt.banners)
    yield Gap()
    yield from (Pair(name, value) for name, value in receipt.facts)
    yield Rule()


def _item(line: ReceiptLine) -> Iterator[Block]:
    yield Paragraph(line.name)
    if line.details:
        yield Paragraph(", ".join(line.details), indent=2)
    discount = f" ({line.discount} each)" if line.discount else ""
    yield Pair(f"{line.quantity} x {line.unit_price}{discount}", line.total, indent=2)


def _sum(each: Sum) -> Pair:
    return Pair(each.name, each.amount, bold=each.is_total, size="large" if each.is_total else "normal")


def _taxes(table: TaxTable) -> Iterator[Block]:
    return map(Cells, (("Rate", "Net", "Tax", "Gross"), *table.rows))


# --- on sheets ---------------------------------------------------------------------------------------------


def _sheets(receipt: Receipt) -> Iterator[Block]:
    yield Beside((tuple(_firm(receipt)), tuple(_facts(receipt))))
    yield Gap(8 * MM)
    yield Table(_COLUMNS, tuple(map(_row, receipt.lines)))
    yield Beside(((), (*map(_sum, receipt.sums), Rule(), *map(_sum, receipt.tenders))), gap=0)
    yield Gap()
    for table in receipt.taxes:
        title = Paragraph(table.title, bold=True)
        yield Together((title, Beside((tuple(_taxes(table)), ()), _TAX_SHARES, gap=0)))
        yield Gap()
    yield from map(Paragraph, receipt.notes)
    yield Gap()
    yield from (Paragraph(line, "centre") for line in receipt.footer)
    yield from (Gap(), Gap())
    yield Beside(((Barcode(receipt.number),), (QRCode(receipt.code),)), gap=0)


def _firm(receipt: Receipt) -> Iterator[Block]:
    yield Paragraph(receipt.firm, bold=True, size="large")
    yield from map(Paragraph, receipt.address)
    if receipt.tax_id:
        yield Paragraph(f"Tax number {receipt.tax_id}")


def _facts(receipt: Receipt) -> Iterator[Block]:
    yield Paragraph(receipt.title, bold=True, size="large")
    yield from (Paragraph(f"*** {banner} ***", bold=True) for banner in receipt.banners)
    yield from (Pair(name, value) for name, value in receipt.facts)


def _row(line: ReceiptLine) -> tuple[Cell | str, ...]:
    item = Cell(line.name, line.details)
    return item, line.quantity, line.unit_price, line.discount, line.tax_rate, line.total
