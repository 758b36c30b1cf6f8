"""Documents as the bytes that a receipt printer takes (ESC/POS).

What the printer's own letters can say is sent as text; any other row as a picture, written with the fonts of the PDF.
"""

from collections.abc import Sequence
from typing import Any

import uharfbuzz as hb
from PIL import Image, ImageDraw

from tillhook_paper.blocks import Barcode, Document, Pair, Paragraph, QRCode, Row
from tillhook_paper.codepages import CODE_PAGES
from tillhook_paper.codes import qr_matrix
from tillhook_paper.fonts import EM
from tillhook_paper.layout import Piece, Written, piece_of
from tillhook_paper.sheets import ROLL_80
from tillhook_paper.strip import rows_of
from tillhook_paper.text import lines_of

#: Dots of one column, by the printer's usual letters.
_COLUMN_DOTS = 12
#: Dots of 72 mm, at the 203 dots per inch of such printers; lengths in points are multiplied by it.
_DOTS_PER_POINT = 576 / ROLL_80.body_width
#: What a letter must cover of a dot for it to be black.
_DARK = 110
_LEAST_QR_DOTS, _LARGEST_QR_DOTS = 3, 6
_BARCODE_DOTS = 80


def render(document: Document, columns: int, code_pages: Sequence[str], *, opens_drawer: bool) -> bytes:
    """Return a document as bytes for a printer of so many columns; see :func:`tillhook_paper.to_escpos`."""
    printer = _printer(columns * _COLUMN_DOTS)
    printer.hw("INIT")
    if opens_drawer:
        printer.cashdraw(2)
    for row in rows_of(document.blocks):
        _print(printer, row, columns, code_pages)
    printer.cut()
    return bytes(printer.output)


def _printer(width: int) -> Any:
    # Imported late: the library reads the profiles of all printers, which takes longer than a start should.
    from escpos.printer import Dummy

    printer = Dummy()
    # With paper of an unknown width the library complains on the standard output about every picture.
    media = {"dpi": "203", "width": {"mm": "Unknown", "pixels": str(width)}}
    printer.profile.profile_data = {**printer.profile.profile_data, "media": media}
    return printer


def _print(printer: Any, row: Row, columns: int, code_pages: Sequence[str]) -> None:
    match row:
        case Barcode():
            printer.set(align="center")
            printer.barcode(_code128(row.text), "CODE128", height=_BARCODE_DOTS, width=2, function_type="B")
            printer.set(align="left")
        case QRCode():
            _print_image(printer, square(row.text, columns * _COLUMN_DOTS))
        case _:
            _print_text(printer, row, columns, code_pages)


def _print_text(printer: Any, row: Row, columns: int, code_pages: Sequence[str]) -> None:
    is_large = isinstance(row, Paragraph | Pair) and row.size in ("large", "title")
    is_wide = is_large and isinstance(row, Paragraph)
    lines = lines_of(row, columns // 2 if is_wide else columns)
    code_page = _code_page("".join(lines), code_pages)
    if code_page is None:
        width = columns * _COLUMN_DOTS
        _print_image(printer, picture(piece_of(row, width / _DOTS_PER_POINT), width))
        return
    printer.charcode(code_page)
    bold = isinstance(row, Paragraph | Pair) and row.bold
    # An amount in letters of double height still ends where the others do.
    printer.set(bold=bold, double_height=is_large, double_width=is_wide)
    for line in lines:
        printer.text(f"{line.rstrip()}\n")
    printer.set(bold=False, double_height=False, double_width=False, normal_textsize=True)


def _code_page(text: str, code_pages: Sequence[str]) -> str | None:
    """Return the first code page that has every letter of the text; for plain ASCII the first at all."""
    if text.isascii():
        return code_pages[0] if code_pages else "CP437"
    for name in code_pages:
        try:
            text.encode(CODE_PAGES[name])
        except UnicodeEncodeError:
            continue
        return name
    return None


def _code128(text: str) -> str:
    """Return a number as the printer takes it: the letters in code set B, an even rest of digits in C."""
    letters = text.rstrip("0123456789")
    digits = text[len(letters) :]
    if len(digits) % 2:
        letters, digits = letters + digits[0], digits[1:]
    pairs = "".join(chr(int(digits[index : index + 2])) for index in range(0, len(digits), 2))
    return "{B" + letters.replace("{", "{{") + ("{C" + pairs if pairs else "")


def picture(piece: Piece, width: int) -> Image.Image:
    """Return a piece as a picture of so many dots, black on white."""
    height = max(round(piece.height * _DOTS_PER_POINT), 1)
    grey = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(grey)
    raster = hb.RasterDraw()
    raster.extents = hb.RasterExtents(0, 0, width, height, 0)
    for mark in piece.marks:
        if isinstance(mark, Written):
            _draw(raster, mark, height)
        else:
            left, top = round(mark.x * _DOTS_PER_POINT), round(mark.y * _DOTS_PER_POINT)
            right, bottom = mark.width * _DOTS_PER_POINT, max(mark.height * _DOTS_PER_POINT, 1)
            pen.rectangle((left, top, left + round(right) - 1, top + round(bottom) - 1), fill=255)
    drawn = raster.render()
    extents = drawn.extents
    if extents.width and extents.height:
        size = (extents.width, extents.height)
        # HarfBuzz counts rows from the bottom.
        letters = Image.frombytes("L", size, bytes(drawn.buffer), "raw", "L", extents.stride, -1)
        grey.paste(255, (0, 0), letters)
    return grey.point(lambda value: 0 if value > _DARK else 255).convert("1")


def _draw(raster: Any, mark: Written, height: int) -> None:
    scale = mark.size * _DOTS_PER_POINT / EM
    x, baseline = mark.x * _DOTS_PER_POINT, height - mark.y * _DOTS_PER_POINT
    for run in mark.line.runs:
        for glyph in run.glyphs:
            left, bottom = x + glyph.x_offset * scale, baseline + glyph.y_offset * scale
            raster.transform = (scale, 0.0, 0.0, scale, left, bottom)
            raster.draw_glyph(run.face.font, glyph.number)
            x += glyph.advance * scale


def square(text: str, width: int) -> Image.Image:
    """Return a QR code in the middle of a picture of so many dots."""
    matrix = qr_matrix(text)
    dots = max(_LEAST_QR_DOTS, min(_LARGEST_QR_DOTS, width // 2 // len(matrix)))
    dots = max(min(dots, width // (len(matrix) + 4)), 1)
    side = dots * len(matrix)
    image = Image.new("1", (width, side + 8 * dots), 1)
    small = Image.new("1", (len(matrix), len(matrix)), 1)
    small.putdata([0 if module else 255 for line in matrix for module in line])
    image.paste(small.resize((side, side), Image.Resampling.NEAREST), ((width - side) // 2, 4 * dots))
    return image


def _print_image(printer: Any, image: Image.Image) -> None:
    printer.image(image, impl="bitImageRaster")
