"""Where each mark of a block stands: blocks turned into lines of glyphs and black boxes.

Lengths are in points, measured down from the top of a piece.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tillhook_paper import fonts
from tillhook_paper.blocks import LINE_GAP, MM, Align, Barcode, Cells, Gap, Pair, Paragraph, QRCode, Row, Rule, Size
from tillhook_paper.codes import code128, qr_matrix, runs_of

SIZES: dict[Size, float] = {"small": 8.0, "normal": 8.5, "large": 11.5, "title": 17.0}
#: From one line to the next, and from the top of a line to where its letters stand, in font sizes: high enough for
#: the marks above and below the letters of any script.
LEADING, ASCENT = 1.42, 1.08
_CLEARANCE = 2 * MM
_INDENT = 3.0
_BARCODE_HEIGHT = 11 * MM
_WIDEST_BAR = 0.35 * MM
#: Modules of a QR code that a till's camera still tells apart on thermal paper, and those that need not be larger.
_LEAST_MODULE, _LARGEST_MODULE = 0.4 * MM, 0.9 * MM
_LARGEST_SQUARE = 60 * MM


@dataclass(frozen=True, slots=True)
class Written:
    """A line of text that begins at ``x`` and stands on ``y``."""

    x: float
    y: float
    size: float
    line: fonts.Line

    @property
    def bottom(self) -> float:
        return self.y + (LEADING - ASCENT) * self.size


@dataclass(frozen=True, slots=True)
class Box:
    """A black rectangle, its upper left corner at ``x``, ``y``."""

    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        return self.y + self.height


Mark = Written | Box


@dataclass(frozen=True, slots=True)
class Piece:
    """What is not divided between two pages if it need not be."""

    height: float
    marks: tuple[Mark, ...] = ()

    def shifted(self, x: float, y: float) -> tuple[Mark, ...]:
        """Return the marks where the piece's upper left corner is at ``x``, ``y``."""
        return tuple(replace(mark, x=mark.x + x, y=mark.y + y) for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Page:
    """What is on a page; lengths in points, down from its upper left corner."""

    width: float
    height: float
    marks: tuple[Mark, ...]


def stack(pieces: Iterable[Piece]) -> Piece:
    """Return pieces, one below the other, as one."""
    marks: list[Mark] = []
    height = 0.0
    for piece in pieces:
        marks += piece.shifted(0, height)
        height += piece.height
    return Piece(height, tuple(marks))


def cut(piece: Piece, height: float) -> tuple[Piece | None, Piece]:
    """Return the lines of a piece that fit into a height, ``None`` when there is none, and the rest."""
    above = [mark for mark in piece.marks if mark.bottom <= height]
    below = [mark for mark in piece.marks if mark.bottom > height]
    if not above or not below:
        return None, piece
    end = min(mark.y - ASCENT * mark.size if isinstance(mark, Written) else mark.y for mark in below)
    return Piece(end, tuple(above)), Piece(piece.height - end, Piece(0, tuple(below)).shifted(0, -end))


def written(text: str, x: float, top: float, size: float, *, align: Align = "left", bold: bool = False) -> Written:
    """Return a line that begins, has its middle or ends at ``x``, in a line's room below ``top``."""
    line = fonts.shape(text, bold=bold)
    before = {"left": 0.0, "centre": 0.5, "right": 1.0}[align]
    return Written(x - before * line.width * size / fonts.EM, top + ASCENT * size, size, line)


def piece_of(row: Row, width: float) -> Piece:
    """Return a row's marks on paper of a width."""
    match row:
        case Paragraph():
            return _paragraph(row, width)
        case Pair():
            return _pair(row, width)
        case Cells():
            return _cells(row, width)
        case Rule():
            return Piece(LINE_GAP, (Box(0, LINE_GAP / 2, width, 0.5),))
        case Gap():
            return Piece(row.height)
        case Barcode():
            return _barcode(row.text, width)
        case QRCode():
            return _qr_code(row.text, width)


def _paragraph(row: Paragraph, width: float) -> Piece:
    size = SIZES[row.size]
    indent = row.indent * _INDENT
    x = {"left": indent, "centre": width / 2, "right": width}[row.align]
    lines = fonts.wrap(row.text, width - indent, size, bold=row.bold)
    step = LEADING * size
    marks = (written(line, x, n * step, size, align=row.align, bold=row.bold) for n, line in enumerate(lines))
    return Piece(len(lines) * step, tuple(marks))


def _pair(row: Pair, width: float) -> Piece:
    size = SIZES[row.size]
    indent = row.indent * _INDENT
    room = width - indent - fonts.width(row.right, size, bold=row.bold) - _CLEARANCE
    if room < width / 4:
        # Too long a text to stand beside anything.
        left = fonts.wrap(row.left, width - indent, size, bold=row.bold)
        right = fonts.wrap(row.right, width, size, bold=row.bold)
        top = len(left)
    else:
        left, right = fonts.wrap(row.left, room, size, bold=row.bold), [row.right]
        top = len(left) - 1
    step = LEADING * size
    marks = [written(line, indent, n * step, size, bold=row.bold) for n, line in enumerate(left)]
    marks += [
        written(line, width, (top + n) * step, size, align="right", bold=row.bold) for n, line in enumerate(right)
    ]
    return Piece((top + len(right)) * step, tuple(marks))


def _cells(row: Cells, width: float) -> Piece:
    size = SIZES["normal"]
    room = width / len(row.cells)
    widest = max(fonts.width(cell, size) for cell in row.cells)
    if widest > room - _CLEARANCE / 2:
        size *= (room - _CLEARANCE / 2) / widest
    first, *others = row.cells
    marks = [written(first, 0, 0, size)]
    marks += [written(cell, room * (n + 2), 0, size, align="right") for n, cell in enumerate(others)]
    return Piece(LEADING * SIZES["normal"], tuple(marks))


def _barcode(text: str, width: float) -> Piece:
    size = SIZES["normal"]
    modules = code128(text)
    quiet = 20
    module = min(_WIDEST_BAR, width / (len(modules) + quiet))
    left = (width - module * len(modules)) / 2
    bars = [Box(left + start * module, 0, length * module, _BARCODE_HEIGHT) for start, length in runs_of(modules)]
    label = written(text, width / 2, _BARCODE_HEIGHT, size, align="centre")
    return Piece(_BARCODE_HEIGHT + LEADING * size + LINE_GAP, (*bars, label))


def _qr_code(text: str, width: float) -> Piece:
    matrix = qr_matrix(text)
    module = max(_LEAST_MODULE, min(_LARGEST_MODULE, _LARGEST_SQUARE / 2 / len(matrix)))
    module = min(module, width / (len(matrix) + 4))
    left = (width - module * len(matrix)) / 2
    boxes = [
        Box(left + start * module, LINE_GAP + index * module, length * module, module)
        for index, line in enumerate(matrix)
        for start, length in runs_of(line)
    ]
    return Piece(len(matrix) * module + 2 * LINE_GAP, tuple(boxes))
