"""Where each mark of a strip stands: rows turned into lines of glyphs and black boxes.

Lengths are in points, measured down from the top of a block.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import segno
from barcode import Code128

from tillhook_pos.receipts import fonts
from tillhook_pos.receipts.rows import Barcode, Cells, Gap, Pair, Row, Rule, Size, Square, Words

MM = 72 / 25.4
SIZES: dict[Size, float] = {"normal": 8.5, "large": 11.5}
#: From one line to the next, and from the top of a line to where its letters stand, in font sizes: high enough for
#: the marks above and below the letters of any script.
LEADING, ASCENT = 1.42, 1.08
_GAP = SIZES["normal"] * 0.7
_CLEARANCE = 2 * MM
_INDENT = 3.0
_BARCODE_HEIGHT = 11 * MM
_WIDEST_BAR = 0.35 * MM
#: Modules of a QR code that a till's camera still tells apart on thermal paper, and those that need not be larger.
_LEAST_MODULE, _LARGEST_MODULE = 0.4 * MM, 0.9 * MM
_LARGEST_SQUARE = 60 * MM
#: Longer contents are even enough that the choice of a mask, most of the work, makes no difference.
_LONG_CODE = 120


@dataclass(frozen=True, slots=True)
class Written:
    """A line of text that begins at ``x`` and stands on ``y``."""

    x: float
    y: float
    size: float
    line: fonts.Line

    @property
    def text(self) -> str:
        return "".join(glyph.text for run in self.line.runs for glyph in run.glyphs)


@dataclass(frozen=True, slots=True)
class Box:
    """A black rectangle, its upper left corner at ``x``, ``y``."""

    x: float
    y: float
    width: float
    height: float


Mark = Written | Box


@dataclass(frozen=True, slots=True)
class Block:
    """What belongs together: not divided between two pages."""

    height: float
    marks: tuple[Mark, ...]


def block_of(row: Row, width: float) -> Block:
    """Return a row's marks on paper of a width."""
    match row:
        case Words():
            return _words(row, width)
        case Pair():
            return _pair(row, width)
        case Cells():
            return _cells(row, width)
        case Rule():
            return Block(_GAP, (Box(0, _GAP / 2, width, 0.5),))
        case Gap():
            return Block(_GAP, ())
        case Barcode():
            return _barcode(row.text, width)
        case Square():
            return _square(row.text, width)


def written(text: str, x: float, top: float, size: float, *, bold: bool = False) -> Written:
    """Return a line that begins at ``x``, in a line's room below ``top``."""
    return Written(x, top + ASCENT * size, size, fonts.shape(text, bold=bold))


def written_to(text: str, right: float, top: float, size: float, *, bold: bool = False) -> Written:
    """Return a line that ends at ``right``."""
    return written(text, right - fonts.width(text, size, bold=bold), top, size, bold=bold)


def _words(row: Words, width: float) -> Block:
    size = SIZES[row.size]
    indent = row.indent * _INDENT
    marks = []
    lines = fonts.wrap(row.text, width - indent, size, bold=row.bold)
    for index, line in enumerate(lines):
        x = (width - fonts.width(line, size, bold=row.bold)) / 2 if row.centred else indent
        marks.append(written(line, x, index * LEADING * size, size, bold=row.bold))
    return Block(len(lines) * LEADING * size, tuple(marks))


def _pair(row: Pair, width: float) -> Block:
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
    marks = [written(line, indent, index * step, size, bold=row.bold) for index, line in enumerate(left)]
    marks += [written_to(line, width, (top + index) * step, size, bold=row.bold) for index, line in enumerate(right)]
    return Block((top + len(right)) * step, tuple(marks))


def _cells(row: Cells, width: float) -> Block:
    size = SIZES["normal"]
    room = width / len(row.cells)
    widest = max(fonts.width(cell, size, bold=row.bold) for cell in row.cells)
    if widest > room - _CLEARANCE / 2:
        size *= (room - _CLEARANCE / 2) / widest
    first, *others = row.cells
    marks = [written(first, 0, 0, size, bold=row.bold)]
    marks += [written_to(cell, room * (index + 2), 0, size, bold=row.bold) for index, cell in enumerate(others)]
    return Block(LEADING * SIZES["normal"], tuple(marks))


def _barcode(text: str, width: float) -> Block:
    size = SIZES["normal"]
    modules = code128(text)
    quiet = 20
    module = min(_WIDEST_BAR, width / (len(modules) + quiet))
    left = (width - module * len(modules)) / 2
    bars = [Box(left + start * module, 0, length * module, _BARCODE_HEIGHT) for start, length in runs_of(modules)]
    label = written(text, (width - fonts.width(text, size)) / 2, _BARCODE_HEIGHT, size)
    return Block(_BARCODE_HEIGHT + LEADING * size + _GAP, (*bars, label))


def _square(text: str, width: float) -> Block:
    matrix = qr_matrix(text)
    module = max(_LEAST_MODULE, min(_LARGEST_MODULE, _LARGEST_SQUARE / 2 / len(matrix)))
    module = min(module, width / (len(matrix) + 4))
    left = (width - module * len(matrix)) / 2
    boxes = [
        Box(left + start * module, _GAP + index * module, length * module, module)
        for index, line in enumerate(matrix)
        for start, length in runs_of(line)
    ]
    return Block(len(matrix) * module + 2 * _GAP, tuple(boxes))


def runs_of(modules: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the start and the length of each stretch of black modules."""
    start = None
    for index, is_black in enumerate((*modules, 0)):
        if is_black and start is None:
            start = index
        elif not is_black and start is not None:
            yield start, index - start
            start = None


@lru_cache(maxsize=256)
def code128(text: str) -> tuple[int, ...]:
    """Return the modules of a Code 128, 1 for black."""
    return tuple(int(module) for module in Code128(text).build()[0])


@lru_cache(maxsize=256)
def qr_matrix(text: str) -> tuple[tuple[int, ...], ...]:
    """Return the modules of a QR code, 1 for black, without the white around it."""
    options: dict[str, Any] = {"error": "M", "boost_error": False}
    if len(text) > _LONG_CODE:
        options |= {"error": "L", "mask": 0}
    return tuple(tuple(line) for line in segno.make_qr(text, **options).matrix)
