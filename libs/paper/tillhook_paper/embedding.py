"""The fonts as reportlab takes them: in one weight, and by glyph.

reportlab embeds what is used of a font and says what it reads as, character by character. HarfBuzz has chosen glyphs,
and what one says depends on the text: so each glyph is given to reportlab, together with its text, as a character for
private use, and the text is put back where the document says what its glyphs read as.
"""

import io
import re
from collections.abc import Sequence
from functools import cache
from weakref import WeakKeyDictionary

import uharfbuzz as hb
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.pdfdoc import PDFDocument
from reportlab.pdfbase.ttfonts import ShapeData, ShapedStr, TTFont

from tillhook_paper.fonts import Face, Glyph

#: The characters that stand for glyphs: the last two planes, which are for private use.
_FIRST_CODE = 0xF0000
_CODE = re.compile(r" <((?:F|10)[0-9A-F]{4})>")
#: What reportlab calls the tables of what a font's glyphs read as.
_TO_UNICODE = "toUnicodeCMap:"
#: How a glyph reads whose text another one says: readers make something up for what has no entry.
_NO_WIDTH = "\u200b"
#: Tables that a glyph's outline does not need, and the one name that reportlab does.
_DROPPED = ("GSUB", "GPOS", "GDEF", "BASE", "STAT", "DSIG", "gasp", "meta")
_POSTSCRIPT_NAME = 6


class EmbeddedFont(TTFont):
    """A font in one weight, its characters numbered as a document uses them.

    Not for two threads at once: reportlab's fonts know how far their reading has got.
    """

    def __init__(self, face: Face) -> None:
        name = f"{face.name}-{'Bold' if face.bold else 'Regular'}"
        super().__init__(name, io.BytesIO(_static(face)), asciiReadable=False)
        # reportlab tells fonts apart by this name, which the file has alike for both weights.
        self.face.name = name.encode("ascii")
        # Its own characters are never written; of a Chinese font they are many.
        self.face.charToGlyph, self.face.glyphToChar, self.face.charWidths = {}, {}, {}
        self._shaping = face
        #: The characters of each document that is being written, by glyph and text.
        self._codes: WeakKeyDictionary[PDFDocument, dict[tuple[int, str], int]] = WeakKeyDictionary()

    def shaped(self, glyphs: Sequence[Glyph], document: PDFDocument) -> ShapedStr:
        """Return glyphs, all on the baseline, as a text that reportlab writes as these."""
        codes = [self._code(glyph, document) for glyph in glyphs]
        places = [
            ShapeData(0, glyph.advance, 0, glyph.x_offset, 0, self.face.charWidths[code])
            for code, glyph in zip(codes, glyphs, strict=True)
        ]
        return ShapedStr("".join(map(chr, codes)), places)

    def _code(self, glyph: Glyph, document: PDFDocument) -> int:
        codes = self._codes.setdefault(document, {})
        code = codes.setdefault((glyph.number, glyph.text), _FIRST_CODE + len(codes))
        self._mean(code, glyph.number)
        return code

    def _mean(self, code: int, number: int) -> None:
        """Say which glyph a character stands for; another document may mean another one by it."""
        self.face.charToGlyph[code] = number
        self.face.charWidths[code] = self._shaping.nominal_advance(number)

    def addObjects(self, doc: PDFDocument) -> None:
        """Add the font to a document that is complete, with the glyphs' texts in the place of their characters."""
        codes = self._codes.pop(doc)
        for (number, _), code in codes.items():
            self._mean(code, number)
        super().addObjects(doc)
        texts = {f"{code:X}": utf16(text or _NO_WIDTH) for (_, text), code in codes.items()}
        for name, stream in doc.idToObject.items():
            if name.startswith(_TO_UNICODE) and name.endswith(f"+{self.fontName}"):
                stream.content = _CODE.sub(lambda found: f" <{texts[found[1]]}>", stream.content)


@cache
def embedded(face: Face) -> EmbeddedFont:
    """Return a font, made and registered with reportlab when it is first used."""
    font = EmbeddedFont(face)
    pdfmetrics.registerFont(font)
    return font


def utf16(text: str) -> str:
    """Return a text as PDF writes it between angle brackets."""
    return text.encode("utf-16-be").hex().upper()


def _static(face: Face) -> bytes:
    """Return a font file in the face's weight, with every glyph under its number."""
    wanted = hb.SubsetInput()
    wanted.keep_everything()
    wanted.pin_all_axes_to_default(face.face)
    wanted.pin_axis_location(face.face, "wght", face.weight)
    wanted.flags = (
        hb.SubsetFlags.RETAIN_GIDS
        | hb.SubsetFlags.NO_LAYOUT_CLOSURE
        | hb.SubsetFlags.NO_HINTING
        | hb.SubsetFlags.NOTDEF_OUTLINE
    )
    wanted.name_id_set.clear()
    wanted.name_id_set.add(_POSTSCRIPT_NAME)
    for tag in _DROPPED:
        wanted.drop_table_tag_set.add(int.from_bytes(tag.ljust(4).encode(), "big"))
    return bytes(hb.subset(face.face, wanted).blob.data)
