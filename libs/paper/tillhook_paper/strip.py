"""Blocks as rows, one below the other, for what has one column only: text, a roll, a receipt printer."""

from collections.abc import Iterable, Iterator, Sequence

from tillhook_paper.blocks import Beside, Block, Cell, Column, Pair, Paragraph, Row, Rule, Table, Together, Total


def rows_of(blocks: Iterable[Block]) -> Iterator[Row]:
    """Yield the rows of blocks from top to bottom."""
    for block in blocks:
        match block:
            case Together():
                yield from rows_of(block.blocks)
            case Beside():
                for column in block.columns:
                    yield from rows_of(column)
            case Table():
                yield from _table(block)
            case _:
                yield block


def _table(table: Table) -> Iterator[Row]:
    for row in table.rows:
        if isinstance(row, Total):
            yield Rule()
            yield from _record(row.cells, table.columns, bold=True)
        else:
            yield from _record(row, table.columns, bold=False)
    yield Rule()


def _record(cells: Sequence[str | Cell], columns: Sequence[Column], *, bold: bool) -> Iterator[Row]:
    """Yield a row of a table as the cell of its widest column, and below it the others that are not empty."""
    named = sorted(zip(cells, columns, strict=True), key=lambda each: each[1].width is not None)
    for index, (cell, column) in enumerate(named):
        text, details = (cell.text, cell.details) if isinstance(cell, Cell) else (cell, ())
        if text:
            yield Pair(column.title, text, bold=bold, indent=2) if index else Paragraph(text, bold=bold)
        yield from (Paragraph(detail, indent=2) for detail in details)
