"""Pages of shaped lines and black boxes as a PDF, by reportlab.

HarfBuzz has chosen the glyphs and placed them; reportlab writes the file, with what is needed of the fonts inside.
No text is markup to it, and no file or address is ever opened for one.
"""

import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import BinaryIO

from reportlab import rl_config
from reportlab.pdfbase.pdfdoc import PDFArray, PDFDictionary, PDFName, PDFStream
from reportlab.pdfgen.canvas import FILL_NON_ZERO, Canvas
from reportlab.pdfgen.pathobject import PDFPathObject
from reportlab.pdfgen.textobject import PDFTextObject

from tillhook_paper.embedding import embedded, utf16
from tillhook_paper.fonts import EM, Glyph, Line, Run, faces
from tillhook_paper.layout import Box, Mark, Page
from tillhook_paper.words import clean

# Its markup and its pictures may name files and addresses. Ours has neither; this is in case it ever has.
rl_config.trustedSchemes = ["data"]
rl_config.trustedHosts = []
# Pages as bytes, not written out in letters.
rl_config.useA85 = 0

#: The fonts are shared. It is held for one page at a time, so that a receipt does not wait for a long report.
_WRITING = threading.Lock()

Point = tuple[float, float]
#: What stands in the margins of a page, by its number and the number of all.
Margins = Callable[[int, int], Sequence[Mark]]


def write(pages: Iterable[Page], file: BinaryIO, *, title: str, margins: Margins | None = None) -> int:
    """Write a PDF file and return the number of its pages.

    Pages are taken one by one and packed as they come; how many there are is known when the last one is written, so
    the margins of all are written then.
    """
    with _WRITING:
        canvas = _canvas(file, title)
    sizes = []
    for page in pages:
        sizes.append((page.width, page.height))
        with _WRITING:
            _write_page(canvas, page, _margin_name(len(sizes)) if margins else None)
    with _WRITING:
        for number, size in enumerate(sizes if margins else (), 1):
            canvas.setPageSize(size)
            canvas.beginForm(_margin_name(number))
            _draw(canvas, margins(number, len(sizes)) if margins else (), size[1])
            canvas.endForm()
        canvas.save()
    return len(sizes)


def _canvas(file: BinaryIO, title: str) -> Canvas:
    # Without a first font reportlab names Helvetica on every page, and does not embed it.
    first = embedded(faces(bold=False)[0]).fontName
    canvas = Canvas(file, pageCompression=1, pdfVersion=(1, 5), initialFontName=first)
    canvas.setTitle(clean(title))
    canvas.setAuthor("")
    canvas.setSubject("")
    canvas.setCreator("Tillhook")
    canvas.setViewerPreference("DisplayDocTitle", "true")
    return canvas


def _margin_name(number: int) -> str:
    return f"margins{number}"


def _write_page(canvas: Canvas, page: Page, margins: str | None) -> None:
    canvas.setPageSize((page.width, page.height))
    _draw(canvas, page.marks, page.height)
    if margins:
        canvas.doForm(margins)
    canvas.showPage()
    _pack(canvas)


def _draw(canvas: Canvas, marks: Iterable[Mark], height: float) -> None:
    for mark in marks:
        if isinstance(mark, Box):
            canvas.rect(mark.x, height - mark.y - mark.height, mark.width, mark.height, stroke=0, fill=1)
        elif mark.line.runs:
            text = _Text(canvas)
            text.write(mark.line, mark.size, mark.x, height - mark.y)
            text.draw()


def _pack(canvas: Canvas) -> None:
    """Compress the page that was written last; reportlab would keep each in full until the file is saved."""
    page = canvas._doc.Pages.pages[-1]
    packed = PDFDictionary({"Filter": PDFArray([PDFName("FlateDecode")])})
    page.Contents = PDFStream(packed, zlib.compress(page.stream.encode("latin-1")))
    page.stream = None


class _Text(PDFTextObject):
    """A line's glyphs, and what they say.

    Several glyphs may show a part of the text together. The widest of them reads as that part; from left to right the
    whole run is marked with its text, for readers that heed this. From right to left the mark does harm: readers turn
    round what they find on the page, but not what it is marked with. There the others are nearly always the dots and
    points of a letter, which are drawn as shapes and so read as nothing.
    """

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas)
        self._shapes: PDFPathObject | None = None

    def write(self, line: Line, size: float, x: float, y: float) -> None:
        """Add a line that begins at ``x`` and stands on ``y``."""
        for run in line.runs:
            glyphs = list(_read(run.glyphs))
            is_marked = not run.is_right_to_left and not all(glyph.text or _is_dot(glyph) for glyph in glyphs)
            if is_marked:
                said = utf16("\ufeff" + "".join(glyph.text for glyph in run.glyphs))
                self._code.append(f"/Span << /ActualText <{said}> >> BDC")
            self._write_run(run, glyphs, size, x, y)
            if is_marked:
                self._code.append("EMC")
            x += _width(glyphs, size)

    def draw(self) -> None:
        """Put all that was added on the page."""
        self._canvas.drawText(self)
        if self._shapes is not None:
            self._canvas.drawPath(self._shapes, stroke=0, fill=1, fillMode=FILL_NON_ZERO)

    def _write_run(self, run: Run, glyphs: Iterable[Glyph], size: float, x: float, y: float) -> None:
        font = embedded(run.face)
        self.setFont(font.fontName, size)
        # reportlab loses count when glyphs of different heights follow each other, so each height begins anew.
        for (is_dot, rise), level in groupby(glyphs, key=lambda glyph: (_is_dot(glyph), glyph.y_offset)):
            together = list(level)
            if is_dot:
                for glyph in together:
                    self._shape(run, glyph, size, x, y)
            else:
                self.setTextOrigin(round(x, 3), round(y + rise * size / EM, 3))
                self.textOut(font.shaped(together, self._canvas._doc))
            x += _width(together, size)

    def _shape(self, run: Run, glyph: Glyph, size: float, x: float, y: float) -> None:
        self._shapes = self._shapes or self._canvas.beginPath()
        scale = size / EM
        pen = _Pen(self._shapes, scale, x + glyph.x_offset * scale, y + glyph.y_offset * scale)
        run.face.font.draw_glyph_with_pen(glyph.number, pen)


class _Pen:
    """Adds an outline, as HarfBuzz describes it, to a path."""

    def __init__(self, path: PDFPathObject, scale: float, x: float, y: float) -> None:
        self._path = path
        self._scale = scale
        self._origin = (x, y)
        self._last: Point = (0, 0)

    def moveTo(self, point: Point) -> None:
        self._path.moveTo(*self._placed(point))

    def lineTo(self, point: Point) -> None:
        self._path.lineTo(*self._placed(point))

    def curveTo(self, first: Point, second: Point, end: Point) -> None:
        self._path.curveTo(*self._placed(first), *self._placed(second), *self._placed(end))

    def qCurveTo(self, middle: Point, end: Point) -> None:
        """Add a curve of TrueType as one of PDF, which has one point more."""
        self.curveTo(_two_thirds(self._last, middle), _two_thirds(end, middle), end)

    def closePath(self) -> None:
        self._path.close()

    def _placed(self, point: Point) -> Point:
        self._last = point
        return (
            round(self._origin[0] + point[0] * self._scale, 3),
            round(self._origin[1] + point[1] * self._scale, 3),
        )


def _two_thirds(start: Point, end: Point) -> Point:
    return (start[0] + 2 * end[0]) / 3, (start[1] + 2 * end[1]) / 3


def _width(glyphs: Iterable[Glyph], size: float) -> float:
    return sum(glyph.advance for glyph in glyphs) * size / EM


def _is_dot(glyph: Glyph) -> bool:
    """Say whether a glyph only adds to another one."""
    return not glyph.text and not glyph.advance


def _read(glyphs: Iterable[Glyph]) -> Iterator[Glyph]:
    """Yield the glyphs as they read: of those that show a part of the text together only the widest says it."""
    for group in _groups(glyphs):
        widest = max(group, key=lambda glyph: glyph.advance)
        for glyph in group:
            text = group[0].text if glyph is widest else ""
            yield glyph if glyph.text == text else replace(glyph, text=text)


def _groups(glyphs: Iterable[Glyph]) -> list[list[Glyph]]:
    """Return the glyphs by the part of the text that they show."""
    groups: list[list[Glyph]] = []
    for glyph in glyphs:
        if glyph.text or not groups:
            groups.append([glyph])
        else:
            groups[-1].append(glyph)
    return groups
