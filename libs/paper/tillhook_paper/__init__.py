"""Text in any script on paper.

A document is a frozen value made of blocks. A writer turns it into a file: PDF on sheets or on a roll, plain text, or
the bytes of a receipt printer::

    rows = (("Green tea", "2", "7.20"), ("خبز", "1", "2.50"), Total(("Total", "", "9.70")))
    columns = (Column("Item"), Column("Quantity", 20 * MM, "right"), Column("Amount", 30 * MM, "right"))
    document = Document("Invoice 17", (Paragraph("Invoice 17", size="title"), Table(columns, rows)))
    content = to_pdf(document, A4)
"""

from tillhook_paper.blocks import (
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
    Total,
)
from tillhook_paper.codepages import CODE_PAGES
from tillhook_paper.sheets import A4, LETTER, ROLL_58, ROLL_80, Roll, Sheet
from tillhook_paper.words import clean, clean_lines
from tillhook_paper.writers import to_escpos, to_pdf, to_text, write_pdf

__all__ = [
    "A4",
    "CODE_PAGES",
    "LETTER",
    "MM",
    "ROLL_58",
    "ROLL_80",
    "Barcode",
    "Beside",
    "Block",
    "Cell",
    "Cells",
    "Column",
    "Document",
    "Gap",
    "Pair",
    "Paragraph",
    "QRCode",
    "Roll",
    "Rule",
    "Sheet",
    "Table",
    "Together",
    "Total",
    "clean",
    "clean_lines",
    "to_escpos",
    "to_pdf",
    "to_text",
    "write_pdf",
]
