"""Blocks flowing over sheets, and down a roll."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tillhook_paper.blocks import LINE_GAP, MM, Beside, Block, Document, Paragraph, Table, Together
from tillhook_paper.layout import SIZES, Box, Mark, Page, Piece, cut, piece_of, stack, written
from tillhook_paper.sheets import Roll, Sheet
from tillhook_paper.strip import rows_of as rows_of_strip
from tillhook_paper.tables import head_of, rows_of

#: Readers show no page longer than 200 inches; a roll is cut well before.
_LONGEST_ROLL = 2000 * MM
#: Sums of heights differ by less than this from what they should be.
_TOLERANCE = 1e-6

_NOTHING, _BELOW_HEADING = Piece(0), Piece(LINE_GAP / 2)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of what flows.

    Args:
        head: What stands above it when it begins a page: a table's titles.
        has_head: It begins with its head already.
        flows: It is divided where the page ends; others only if they are higher than a page.
    """

    piece: Piece
    head: Piece = _NOTHING
    has_head: bool = False
    flows: bool = False


def on_roll(document: Document, paper: Roll) -> Iterator[Page]:
    """Yield a document's pages on a roll: one as long as it needs, several when it is very long."""
    left = (paper.width - paper.body_width) / 2
    parts = (Part(piece_of(row, paper.body_width)) for row in rows_of_strip(document.blocks))
    for body in fill(parts, _LONGEST_ROLL - 2 * paper.margin):
        yield Page(paper.width, body.height + 2 * paper.margin, body.shifted(left, paper.margin))


def on_sheets(document: Document, paper: Sheet) -> Iterator[Page]:
    """Yield a document's pages on sheets, without what :func:`margins` returns."""
    for body in fill(parts_of(document.blocks, paper.body_width), paper.body_height):
        yield Page(paper.width, paper.height, body.shifted(paper.margin, paper.margin))


def margins(document: Document, paper: Sheet, page: int, pages: int) -> list[Mark]:
    """Return what stands above and below the body of a page; the first one is 1."""
    size = SIZES["small"]
    left, right = paper.margin, paper.width - paper.margin
    marks: list[Mark] = []
    if document.head and page > 1:
        marks.append(written(document.head, left, paper.margin / 2, size))
    number = document.numbering.replace("{pages}", str(pages)).replace("{page}", str(page))
    if document.foot or number:
        top = paper.height - paper.margin + 5.67
        marks.append(Box(left, top - 2, paper.body_width, 0.3))
        marks.append(written(document.foot, left, top, size))
        marks.append(written(number, right, top, size, align="right"))
    return marks


def parts_of(blocks: Iterable[Block], width: float) -> Iterator[Part]:
    """Yield the parts of blocks, headings together with what they are above."""
    above: list[Piece] = []
    for block in blocks:
        if isinstance(block, Paragraph) and block.keeps_next:
            above += [piece_of(block, width), _BELOW_HEADING]
            continue
        for part in _parts(block, width):
            if above:
                part = Part(stack([*above, part.piece]), part.head, part.has_head)
                above = []
            yield part
    if above:
        yield Part(stack(above))


def _parts(block: Block, width: float) -> Iterator[Part]:
    match block:
        case Table():
            head = head_of(block, width)
            rows = rows_of(block, width)
            yield Part(stack([head, next(rows)]), head, has_head=True)
            yield from (Part(row, head) for row in rows)
        case Together():
            yield Part(_stacked(block.blocks, width))
        case Beside():
            yield Part(_beside(block, width))
        case _:
            yield Part(piece_of(block, width), flows=isinstance(block, Paragraph))


def _stacked(blocks: Iterable[Block], width: float) -> Piece:
    return stack(part.piece for part in parts_of(blocks, width))


def _beside(block: Beside, width: float) -> Piece:
    shares = block.shares or (1.0,) * len(block.columns)
    room = width - block.gap * (len(shares) - 1)
    marks: list[Mark] = []
    left = height = 0.0
    for blocks, share in zip(block.columns, shares, strict=True):
        column = room * share / sum(shares)
        piece = _stacked(blocks, column)
        marks += piece.shifted(left, 0)
        height = max(height, piece.height)
        left += column + block.gap
    return Piece(height, tuple(marks))


def fill(parts: Iterable[Part], height: float) -> Iterator[Piece]:
    """Yield what is on each page whose body has a height."""
    page: list[Piece] = []
    used, is_fresh = 0.0, True
    for part in parts:
        rest, has_head = part.piece, part.has_head
        # Empty room at the end of a page is no reason to begin another one.
        while rest.marks and used + rest.height > height + _TOLERANCE:
            fits_alone = rest.height + (0 if has_head else part.head.height) <= height
            first, after = cut(rest, height - used) if part.flows or not fits_alone else (None, rest)
            if first is None and is_fresh:
                # Higher than a page, and nothing to cut it at.
                break
            yield stack([*page, first] if first else page)
            rest, has_head = after, has_head and first is None
            page = [] if has_head else [part.head]
            used, is_fresh = sum(piece.height for piece in page), True
        page.append(rest)
        used, is_fresh = used + rest.height, False
    yield stack(page)
