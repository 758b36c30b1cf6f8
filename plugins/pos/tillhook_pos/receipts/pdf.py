"""A small writer of PDF: pages of shaped lines and black boxes, with what is needed of the fonts inside.

It writes glyphs as HarfBuzz placed them, which a library that is given characters cannot, and reads nothing: no
markup, no file, no address. Each glyph is entered together with the text that it shows, so that a receipt can be
searched and copied from.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import uharfbuzz as hb

from tillhook_pos.receipts.fonts import EM, Face, Glyph, Run
from tillhook_pos.receipts.marks import Box, Mark, Written

#: Tables that a glyph's outline does not need.
_DROPPED = ("GSUB", "GPOS", "GDEF", "BASE", "STAT", "name", "post", "OS/2", "cmap", "DSIG", "gasp", "meta")
_TO_UNICODE = """/CIDInit /ProcSet findresource begin
12 dict begin
begincmap
/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def
/CMapName /Adobe-Identity-UCS def
/CMapType 2 def
1 begincodespacerange
<0000> <FFFF>
endcodespacerange
{entries}
endcmap
CMapName currentdict /CMap defineresource pop
end
end"""
_NO_WIDTH = "\u200b"
#: How many entries one section of a CMap may have.
_CMAP_SECTION = 100


@dataclass(frozen=True, slots=True)
class Page:
    """What is on a page; lengths in points, down from its upper left corner."""

    width: float
    height: float
    marks: Sequence[Mark]


def write(pages: Sequence[Page], *, title: str) -> bytes:
    """Return a PDF file."""
    return _Document().write(pages, title)


@dataclass
class _Font:
    """A font as one document uses it: its characters are numbered as they come."""

    face: Face
    name: str
    numbers: dict[tuple[int, str], int] = field(default_factory=dict)

    def number(self, glyph: int, text: str) -> int:
        return self.numbers.setdefault((glyph, text), len(self.numbers) + 1)


class _Document:
    def __init__(self) -> None:
        self._objects: list[bytes] = []
        self._fonts: dict[Face, _Font] = {}

    def write(self, pages: Sequence[Page], title: str) -> bytes:
        catalogue, tree, information, resources = (self._reserve() for _ in range(4))
        kids = [self._page(page, tree, resources) for page in pages]
        fonts = " ".join(f"/{font.name} {self._font(font)} 0 R" for font in self._fonts.values())
        self._set(resources, f"<< /Font << {fonts} >> >>")
        self._set(tree, f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] >>")
        self._set(catalogue, f"<< /Type /Catalog /Pages {tree} 0 R /ViewerPreferences << /DisplayDocTitle true >> >>")
        self._set(information, f"<< /Title <{_hex(title, bom=True)}> /Producer (Tillhook) >>")
        return self._file(catalogue, information)

    def _reserve(self) -> int:
        self._objects.append(b"")
        return len(self._objects)

    def _set(self, number: int, content: str) -> None:
        self._objects[number - 1] = content.encode("ascii")

    def _add(self, content: str) -> int:
        number = self._reserve()
        self._set(number, content)
        return number

    def _stream(self, data: bytes, entries: str = "") -> int:
        packed = zlib.compress(data)
        number = self._reserve()
        head = f"<< {entries} /Filter /FlateDecode /Length {len(packed)} >>\nstream\n"
        self._objects[number - 1] = head.encode("ascii") + packed + b"\nendstream"
        return number

    def _page(self, page: Page, tree: int, resources: int) -> int:
        content = self._stream("\n".join(self._mark(mark, page.height) for mark in page.marks).encode("ascii"))
        box = f"[0 0 {_short(page.width)} {_short(page.height)}]"
        return self._add(
            f"<< /Type /Page /Parent {tree} 0 R /MediaBox {box} /Resources {resources} 0 R /Contents {content} 0 R >>"
        )

    def _mark(self, mark: Mark, height: float) -> str:
        if isinstance(mark, Box):
            bottom = height - mark.y - mark.height
            return f"{_short(mark.x)} {_short(bottom)} {_short(mark.width)} {_short(mark.height)} re f"
        return self._written(mark, height)

    def _written(self, mark: Written, height: float) -> str:
        parts, x = ["BT"], mark.x
        for run in mark.line.runs:
            font = self._fonts.setdefault(run.face, _Font(run.face, f"F{len(self._fonts) + 1}"))
            parts.append(f"/{font.name} {_short(mark.size)} Tf")
            parts.append(f"1 0 0 1 {_short(x)} {_short(height - mark.y)} Tm")
            parts += _show(font, run, mark.size)
            x += sum(glyph.advance for glyph in run.glyphs) * mark.size / EM
        return "\n".join([*parts, "ET"])

    def _font(self, font: _Font) -> int:
        """Add a font with the glyphs that were used, and return its number."""
        face = font.face
        data, glyphs = _subset(face, {number for number, _ in font.numbers})
        file = self._stream(data, f"/Length1 {len(data)}")
        tag = "".join(chr(65 + (len(data) >> shift) % 26) for shift in range(6))
        name = f"{tag}+{face.name}{'-Bold' if face.bold else ''}"
        extents = face.font.get_font_extents("ltr")
        descriptor = self._add(
            f"<< /Type /FontDescriptor /FontName /{name} /Flags 4 /FontBBox [-500 -500 1500 1200] /ItalicAngle 0"
            f" /Ascent {extents.ascender} /Descent {extents.descender} /CapHeight 700 /StemV {face.weight // 5}"
            f" /FontFile2 {file} 0 R >>"
        )
        widths = " ".join(str(face.nominal_advance(number)) for number, _ in font.numbers)
        mapping = b"\0\0" + b"".join(glyphs[number].to_bytes(2, "big") for number, _ in font.numbers)
        descendant = self._add(
            f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{name} /FontDescriptor {descriptor} 0 R /DW {EM}"
            " /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
            f" /W [1 [{widths}]] /CIDToGIDMap {self._stream(mapping)} 0 R >>"
        )
        to_unicode = self._stream(_to_unicode(font.numbers).encode("ascii"))
        return self._add(
            f"<< /Type /Font /Subtype /Type0 /BaseFont /{name} /Encoding /Identity-H"
            f" /DescendantFonts [{descendant} 0 R] /ToUnicode {to_unicode} 0 R >>"
        )

    def _file(self, catalogue: int, information: int) -> bytes:
        out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
        places = []
        for number, content in enumerate(self._objects, 1):
            places.append(len(out))
            out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
        start = len(out)
        out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
        out += b"".join(b"%010d 00000 n \n" % place for place in places)
        trailer = f"<< /Size {len(places) + 1} /Root {catalogue} 0 R /Info {information} 0 R >>"
        out += f"trailer\n{trailer}\nstartxref\n{start}\n%%EOF\n".encode("ascii")
        return bytes(out)


def _show(font: _Font, run: Run, size: float) -> list[str]:
    """Return the operators that show a run's glyphs from where the pen stands."""
    pen = _Pen(font, size)
    for group in _groups(run):
        text = group[0].text
        base = max(group, key=lambda glyph: glyph.advance)
        # Several glyphs that show a part of the text together are marked with it; each alone would be read as nothing.
        # From right to left, where readers turn round what they find, only one of them is read.
        together = len(group) > 1 and not run.is_right_to_left
        if together:
            pen.begin(text)
        for glyph in group:
            silent = run.is_right_to_left and glyph is not base
            if silent:
                pen.begin("")
            pen.show(glyph, text if glyph is base else "")
            if silent:
                pen.end()
        if together:
            pen.end()
    return pen.finish()


class _Pen:
    """Writes one run's operators."""

    def __init__(self, font: _Font, size: float) -> None:
        self._font = font
        self._size = size
        self._parts: list[str] = []
        #: What the next TJ shows.
        self._row: list[str] = []
        #: How far the next glyph is from where the one before ends by its own width.
        self._shift = 0

    def show(self, glyph: Glyph, text: str) -> None:
        """Show a glyph that is read as ``text``."""
        if glyph.y_offset:
            self._operator(f"{_short(glyph.y_offset * self._size / EM)} Ts")
        if moved := self._shift + glyph.x_offset:
            self._row.append(f" {-moved} ")
        self._row.append(f"<{self._font.number(glyph.number, text):04X}>")
        if glyph.y_offset:
            self._operator("0 Ts")
        self._shift = glyph.advance - glyph.x_offset - self._font.face.nominal_advance(glyph.number)

    def begin(self, text: str) -> None:
        """Have what follows read as ``text``, whatever its glyphs say."""
        self._operator(f"/Span << /ActualText <{_hex(text, bom=True)}> >> BDC")

    def end(self) -> None:
        self._operator("EMC")

    def finish(self) -> list[str]:
        self._flush()
        return self._parts

    def _operator(self, operator: str) -> None:
        self._flush()
        self._parts.append(operator)

    def _flush(self) -> None:
        if self._row:
            self._parts.append(f"[{''.join(self._row)}] TJ")
            self._row = []


def _groups(run: Run) -> list[list[Glyph]]:
    """Return the glyphs by the part of the text that they show."""
    groups: list[list[Glyph]] = []
    for glyph in run.glyphs:
        if glyph.text or not groups:
            groups.append([glyph])
        else:
            groups[-1].append(glyph)
    return groups


def _subset(face: Face, used: set[int]) -> tuple[bytes, Mapping[int, int]]:
    """Return a font file of the used glyphs in the face's weight, and each glyph's number in it."""
    wanted = hb.SubsetInput()
    wanted.pin_all_axes_to_default(face.face)
    wanted.pin_axis_location(face.face, "wght", face.weight)
    wanted.glyph_set.update(used)
    wanted.flags = hb.SubsetFlags.NO_LAYOUT_CLOSURE | hb.SubsetFlags.NO_HINTING | hb.SubsetFlags.NOTDEF_OUTLINE
    for tag in _DROPPED:
        wanted.drop_table_tag_set.add(int.from_bytes(tag.ljust(4).encode(), "big"))
    plan = hb.SubsetPlan(face.face, wanted)
    data = bytes(plan.execute().blob.data)
    return data, dict(plan.old_to_new_glyph_mapping)


def _to_unicode(numbers: Mapping[tuple[int, str], int]) -> str:
    # What must not be read alone is read as a blank without width: readers make something up for what has no entry.
    entries = [f"<{number:04X}> <{_hex(text or _NO_WIDTH)}>" for (_, text), number in numbers.items()]
    sections = []
    for start in range(0, len(entries), _CMAP_SECTION):
        section = entries[start : start + _CMAP_SECTION]
        sections.append(f"{len(section)} beginbfchar\n" + "\n".join(section) + "\nendbfchar")
    return _TO_UNICODE.format(entries="\n".join(sections))


def _hex(text: str, *, bom: bool = False) -> str:
    return ("\ufeff" * bom + text).encode("utf-16-be").hex().upper()


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
