"""What a document is made of: frozen values, the same for every kind of paper.

Texts may be in any script. They are printed as they are: nothing in them is markup, and characters that control a
printer or turn a line round are taken out (:func:`tillhook_paper.clean`). Lengths are in points.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

#: Millimetres in points.
MM = 72 / 25.4
#: The height of an empty line.
LINE_GAP = 5.95

Size = Literal["small", "normal", "large", "title"]
Align = Literal["left", "centre", "right"]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text over the whole width, wrapped; its line ends are kept.

    Args:
        indent: In columns of text.
        keeps_next: A heading: it is on the page on which the next block begins.
    """

    text: str
    align: Align = "left"
    bold: bool = False
    size: Size = "normal"
    indent: int = 0
    keeps_next: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """A name at the left, wrapped, and an amount or a short text at the right of its last line."""

    left: str
    right: str
    bold: bool = False
    size: Size = "normal"
    indent: int = 0


@dataclass(frozen=True, slots=True)
class Cells:
    """Short texts in columns of one width, the first at the left, the others at the right of theirs."""

    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the paper."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Empty room; in text and on a printer one empty line, however high."""

    height: float = LINE_GAP


@dataclass(frozen=True, slots=True)
class Barcode:
    """A Code 128, with its text below it; printable ASCII only."""

    text: str

    def __post_init__(self) -> None:
        if not (self.text and self.text.isascii() and self.text.isprintable()):
            raise ValueError(f"bars say printable ASCII only, not {self.text!r}")


@dataclass(frozen=True, slots=True)
class QRCode:
    """A QR code. It is left out of plain text, which cannot show it."""

    text: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: its text, and below it lines in a smaller size."""

    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Args:
        width: In points; ``None`` for an equal share of what the other columns leave.
        align: Texts at the left are wrapped. Those at the right are numbers: they stay on one line, smaller where
            they are too wide.
    """

    title: str
    width: float | None = None
    align: Align = "left"


@dataclass(frozen=True, slots=True)
class Total:
    """A row in bold below a line, on the page of the row before it."""

    cells: Sequence[str | Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below titles that each page repeats. On a roll and in text a row is a list of its cells with their titles.

    Args:
        rows: One cell per column. May be a generator: rows are taken as they are written, so a long table is never
            in memory as a whole, and the document can be written once.
    """

    columns: tuple[Column, ...]
    rows: Iterable[Sequence[str | Cell] | Total]


@dataclass(frozen=True, slots=True)
class Together:
    """Blocks that stay on one page if one page can hold them."""

    blocks: tuple["Block", ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """Blocks in columns side by side; on a roll and in text one column below the other.

    Args:
        shares: The columns' widths in proportion to each other; equal when left out.
        gap: The room between two columns, in points.
    """

    columns: tuple[tuple["Block", ...], ...]
    shares: tuple[float, ...] = ()
    gap: float = 8 * MM


#: Blocks that stand alike on every kind of paper.
Row = Paragraph | Pair | Cells | Rule | Gap | Barcode | QRCode
Block = Row | Table | Together | Beside


@dataclass(frozen=True, slots=True)
class Document:
    """What stands on paper from top to bottom.

    ``head``, ``foot`` and ``numbering`` are for sheets: a roll and a text have no pages that need telling apart.

    Args:
        title: What a reader of the PDF shows as its name.
        blocks: May be a generator; the document can then be written once.
        head: At the top of every sheet but the first.
        foot: At the bottom of every sheet, at the left.
        numbering: At the bottom at the right, with ``{page}`` and ``{pages}`` replaced.
    """

    title: str
    blocks: Iterable[Block]
    head: str = ""
    foot: str = ""
    numbering: str = "Page {page} of {pages}"
