"""The fonts that come with the installation, and writing a line of any script with them.

A line is shaped by HarfBuzz: ligatures, conjuncts, joined and reordered letters, in the order of
:mod:`tillhook_paper.directions`. Each character is written in the first font that has it; what none has shows
as the empty box that fonts have for that. Fonts are opened when the first line is written, not when the server starts.

Lengths here are in thousandths of the font size.
"""

import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

import uharfbuzz as hb

from tillhook_paper import words
from tillhook_paper.directions import stretches

#: What the size of a font is divided into.
EM = 1000
#: Packages whose TrueType files are looked at, those of the first before those of the next. The second is the extra
#: ``cjk``, too large to be asked of everybody.
_PACKAGES = ("manimgx_fonts", "justmytype_intl_cjk")
_FIRST = "NotoSans[wght].ttf"
_LAST = ("NotoSansSymbols[wght].ttf", "NotoEmoji[wght].ttf")
_WEIGHTS = {False: 400, True: 700}
#: Marks, and punctuation that more than one script has.
_STAYING = frozenset(("Mn", "Mc", "Me", "Po"))
#: All of a line that is cached; the same names are sold all day.
_CACHED_LINES = 4096


@dataclass(frozen=True, slots=True)
class Glyph:
    """A glyph, where it stands, and the part of the text that it shows.

    ``text`` is empty for all but the first glyph of those that show a part together.
    """

    number: int
    advance: int
    x_offset: int
    y_offset: int
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """Glyphs of one font, from left to right."""

    face: "Face"
    glyphs: tuple[Glyph, ...]
    is_right_to_left: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, shaped; ``runs`` from left to right."""

    runs: tuple[Run, ...]
    width: int

    @property
    def is_complete(self) -> bool:
        """Say whether every character has a glyph."""
        return all(glyph.number for run in self.runs for glyph in run.glyphs)


class Face:
    """One font in one weight."""

    def __init__(self, path: Path, *, bold: bool) -> None:
        self.name = path.stem.partition("[")[0]
        self.bold = bold
        self.face = hb.Face(hb.Blob.from_file_path(str(path)))
        self.font = hb.Font(self.face)
        self.font.scale = (EM, EM)
        self.weight = _WEIGHTS[bold]
        self.font.set_variations({"wght": self.weight})
        self.characters: hb.Set = self.face.unicodes
        self._nominal: dict[int, int] = {}

    def __contains__(self, char: str) -> bool:
        return ord(char) in self.characters

    def nominal_advance(self, glyph: int) -> int:
        """Return the width of a glyph by itself."""
        if glyph not in self._nominal:
            self._nominal[glyph] = self.font.get_glyph_h_advance(glyph)
        return self._nominal[glyph]

    def shape(self, text: str, *, right_to_left: bool) -> Run:
        """Return the text's glyphs."""
        buffer = hb.Buffer()
        buffer.cluster_level = hb.BufferClusterLevel.MONOTONE_CHARACTERS
        buffer.add_str(text)
        buffer.guess_segment_properties()
        buffer.direction = "rtl" if right_to_left else "ltr"
        hb.shape(self.font, buffer)
        starts = [info.cluster for info in buffer.glyph_infos]
        parts = _parts(text, starts)
        glyphs = []
        for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            part = parts.pop(info.cluster, "")
            glyphs.append(Glyph(info.codepoint, position.x_advance, position.x_offset, position.y_offset, part))
        return Run(self, tuple(glyphs), right_to_left)


@lru_cache(maxsize=_CACHED_LINES)
def shape(text: str, *, bold: bool = False) -> Line:
    """Return a text, cleaned, as a line of glyphs."""
    shaped: list[Run] = []
    for stretch, right_to_left in stretches(words.clean(text)):
        runs = [face.shape(part, right_to_left=right_to_left) for face, part in _of_one_face(stretch, bold)]
        shaped += reversed(runs) if right_to_left else runs
    return Line(tuple(shaped), sum(glyph.advance for run in shaped for glyph in run.glyphs))


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how wide a text is at a font size, in the size's unit."""
    return shape(text, bold=bold).width * size / EM


def wrap(text: str, limit: float, size: float, *, bold: bool = False) -> list[str]:
    """Return the text in lines no wider than ``limit`` at a font size."""
    return words.wrap(text, limit, lambda line: width(line, size, bold=bold))


def _parts(text: str, starts: Sequence[int]) -> dict[int, str]:
    """Return the part of the text that each cluster shows, by its start."""
    ordered = sorted(set(starts))
    return {start: text[start:end] for start, end in zip(ordered, [*ordered[1:], len(text)], strict=True)}


def _of_one_face(text: str, bold: bool) -> Iterator[tuple[Face, str]]:
    current, start = None, 0
    for index, char in enumerate(text):
        face = _face_for(char, current, bold)
        if current is not None and face is not current:
            yield current, text[start:index]
            start = index
        current = face
    if current is not None:
        yield current, text[start:]


def _face_for(char: str, current: Face | None, bold: bool) -> Face:
    """Return the font to write a character in; marks, joiners and signs of its script stay with their letter."""
    category = unicodedata.category(char)
    if current is not None and category == "Cf":
        return current
    if current is not None and category in _STAYING and not char.isascii() and char in current:
        return current
    return faces(bold)[_font_of(char)]


@cache
def _font_of(char: str) -> int:
    """Return the index of the first font that has the character, 0 when none has."""
    return next((index for index, face in enumerate(faces(False)) if char in face), 0)


_LOADING = threading.Lock()
_FACES: dict[bool, tuple[Face, ...]] = {}


def faces(bold: bool) -> tuple[Face, ...]:
    """Return the installed fonts in one weight, those to be tried first before the others."""
    if bold not in _FACES:
        with _LOADING:
            if bold not in _FACES:
                _FACES[bold] = tuple(Face(path, bold=bold) for path in _files())
    return _FACES[bold]


def _files() -> list[Path]:
    found = []
    for package in _PACKAGES:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            paths = [path for path in sorted(Path(folder).rglob("*.ttf")) if "Italic" not in path.name]
            found += sorted(paths, key=_rank)
    return sorted(found, key=_rank)


def _rank(path: Path) -> int:
    if path.name == _FIRST:
        return 0
    return 2 + _LAST.index(path.name) if path.name in _LAST else 1
