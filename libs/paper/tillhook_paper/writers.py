"""What turns a document into a file.

What draws is imported when the first document is written: a server that prints nothing does not load it.
"""

import io
from collections.abc import Sequence
from functools import partial
from typing import BinaryIO

from tillhook_paper.blocks import Document
from tillhook_paper.sheets import A4, Roll, Sheet


def to_pdf(document: Document, paper: Sheet | Roll = A4) -> bytes:
    """Return a document as a PDF file; fonts are embedded as far as they are used."""
    file = io.BytesIO()
    write_pdf(document, file, paper)
    return file.getvalue()


def write_pdf(document: Document, file: BinaryIO, paper: Sheet | Roll = A4) -> int:
    """Write a document as a PDF file and return the number of its pages.

    Time grows with the document's length, and of its pages only their packed contents are in memory. Other threads
    write their documents meanwhile.
    """
    from tillhook_paper import flow, pdf

    if isinstance(paper, Roll):
        return pdf.write(flow.on_roll(document, paper), file, title=document.title)
    margins = partial(flow.margins, document, paper)
    return pdf.write(flow.on_sheets(document, paper), file, title=document.title, margins=margins)


def to_text(document: Document, columns: int) -> str:
    """Return a document as lines of at most so many columns, each with a line end.

    A wide letter takes two columns, a mark none. Bars show as their text, squares are left out.
    """
    from tillhook_paper.strip import rows_of
    from tillhook_paper.text import lines_of

    return "".join(f"{line.rstrip()}\n" for row in rows_of(document.blocks) for line in lines_of(row, columns))


def to_escpos(document: Document, columns: int, code_pages: Sequence[str] = (), *, opens_drawer: bool = False) -> bytes:
    """Return a document as bytes to send to a receipt printer as they are.

    Args:
        columns: Of the printer's usual letters: 48 or 42 on paper of 80 mm, 32 on paper of 58 mm.
        code_pages: Names in :data:`CODE_PAGES` that the printer knows, the one to be preferred first. Rows that none
            of them can say are sent as pictures.
        opens_drawer: Open the cash drawer before anything is printed.
    """
    from tillhook_paper import printer

    return printer.render(document, columns, code_pages, opens_drawer=opens_drawer)
