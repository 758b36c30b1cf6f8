"""Tables on sheets: how wide the columns are, and where a row's cells stand."""

from collections.abc import Iterator, Sequence

from tillhook_paper import fonts
from tillhook_paper.blocks import MM, Align, Cell, Column, Table, Total
from tillhook_paper.layout import LEADING, SIZES, Box, Mark, Piece, stack, written

_SIZE = 9.0
_STEP = LEADING * _SIZE
_ROW_GAP = 3.0
_LINE = 0.5
#: Between a cell and the next one.
_CLEARANCE = 1.5 * MM
#: What a column without a width gets at least, however wide the others would be.
_LEAST_SHARE = 20 * MM

#: Where a column begins and ends, and how much of it a text may take.
Place = tuple[float, float, float]


def places(columns: Sequence[Column], width: float) -> tuple[Place, ...]:
    """Return the places of columns on paper of a width; widths that are too large are all reduced alike."""
    sharing = sum(column.width is None for column in columns)
    fixed = sum(column.width or 0.0 for column in columns)
    share = max((width - fixed) / sharing, min(_LEAST_SHARE, width / len(columns))) if sharing else 0.0
    factor = min(1.0, (width - share * sharing) / fixed) if fixed else 1.0
    found: list[Place] = []
    left = 0.0
    for before, column, after in zip([None, *columns], columns, [*columns[1:], None], strict=False):
        right = left + (share if column.width is None else column.width * factor)
        # A number ends where its column does, so a text that follows begins later.
        begin = left + 2 * _CLEARANCE if before and before.align != "left" and column.align != "right" else left
        # A number keeps its distance from what is before it.
        is_free = column.align == "left" and (after is None or after.align == "right")
        found.append((begin, right, right - begin - (0 if is_free else _CLEARANCE)))
        left = right
    return tuple(found)


def head_of(table: Table, width: float) -> Piece:
    """Return the columns' titles above a line."""
    row = _row([column.title for column in table.columns], table.columns, places(table.columns, width), bold=True)
    return Piece(row.height + _ROW_GAP, (*row.marks, Box(0, row.height, width, _LINE)))


def rows_of(table: Table, width: float) -> Iterator[Piece]:
    """Yield the rows, each with the totals that stay with it, the last one with the line below the table.

    Raises:
        ValueError: A row has not one cell per column.
    """
    columns, at = table.columns, places(table.columns, width)
    line = Piece(_ROW_GAP, (Box(0, 0, width, _LINE),))
    waiting: list[Piece] = []
    for row in table.rows:
        if isinstance(row, Total):
            waiting += [line, _row(row.cells, columns, at, bold=True)]
            continue
        if waiting:
            yield stack(waiting)
        waiting = [_row(row, columns, at, bold=False)]
    yield stack([*waiting, line])


def _row(cells: Sequence[str | Cell], columns: Sequence[Column], at: Sequence[Place], *, bold: bool) -> Piece:
    marks: list[Mark] = []
    height = _STEP
    for cell, column, place in zip(cells, columns, at, strict=True):
        if cell:
            piece = _cell(cell if isinstance(cell, Cell) else Cell(cell), column.align, place, bold)
            marks += piece.marks
            height = max(height, piece.height)
    return Piece(height + _ROW_GAP, tuple(marks))


def _cell(cell: Cell, align: Align, place: Place, bold: bool) -> Piece:
    left, right, room = place
    x = {"left": left, "centre": (left + right) / 2, "right": right}[align]
    size, lines = _fitted(cell.text, align, room, bold)
    marks = [written(line, x, n * _STEP, size, align=align, bold=bold) for n, line in enumerate(lines)]
    top = len(lines) * _STEP
    details = [each for text in cell.details for each in fonts.wrap(text, room, SIZES["small"])]
    marks += [written(line, x, top + n * _STEP, SIZES["small"], align=align) for n, line in enumerate(details)]
    return Piece(top + len(details) * _STEP, tuple(marks))


def _fitted(text: str, align: Align, room: float, bold: bool) -> tuple[float, list[str]]:
    """Return the size of a cell's text and its lines: numbers get smaller, everything else is wrapped."""
    if align != "right":
        return _SIZE, fonts.wrap(text, room, _SIZE, bold=bold)
    width = fonts.width(text, _SIZE, bold=bold)
    return (_SIZE if width <= room else _SIZE * room / width), [text]
