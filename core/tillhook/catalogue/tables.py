"""Reading a table from a CSV or XLSX file that somebody made by hand: rows of texts, each with its number.

Bounded in every direction, because a small file may unpack to a large one.
"""

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from tillhook.catalogue.workbooks import read_workbook, unreadable

MAX_ROWS = 100_000
MAX_COLUMNS = 200
#: Empty rows cost time too.
_MAX_NUMBER = 2 * MAX_ROWS
#: Characters of one row, and of the first one, which says the delimiter.
_MAX_ROW = 2_000_000
_MAX_HEADER = 64 * 1024
_PIECE = 1024 * 1024
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is not empty; ``number`` is the one that a spreadsheet shows, the header being 1."""

    number: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its header, and its rows as they are read.

    ``encoding`` is ``None`` for XLSX. Reading the rows of a broken file raises ``ValidationFailed``.
    """

    header: list[str]
    rows: Iterator[Row]
    encoding: str | None = None


def read_table(stream: IO[bytes], knows: Callable[[str], bool]) -> Table:
    """Return the table in a file, whose first bytes say whether it is XLSX.

    Args:
        knows: Whether a column's title is one of ours; it decides between the delimiters of a CSV.

    Raises:
        ValidationFailed: 422 naming ``file``: empty, broken, too large.
    """
    start = stream.read(4)
    stream.seek(0)
    if start == b"PK\x03\x04":
        return _read_xlsx(stream)
    return _read_csv(stream, knows)


def _read_csv(stream: IO[bytes], knows: Callable[[str], bool]) -> Table:
    encoding = _encoding_of(stream)
    text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
    first = next((line for line in iter(lambda: text.readline(_MAX_HEADER), "") if line.strip("\r\n")), "")
    delimiter = max(_DELIMITERS, key=lambda each: sum(map(knows, _titles(first, each))))
    text.seek(0)
    lines = _Lines(text)
    rows = _filled(lines.rows(delimiter))
    header = next(rows, None)
    if header is None:
        raise unreadable("The file is empty.")
    return Table(_header(header), rows, encoding.removesuffix("-sig"))


class _Lines:
    """The lines of a text: a row with too many characters is refused before it is one."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._of_row = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(_MAX_ROW + 1)
        self._of_row += len(line)
        if not line:
            raise StopIteration
        if self._of_row > _MAX_ROW:
            raise unreadable(f"A row has more than {_MAX_ROW:,} characters.")
        if "\x00" in line:
            raise unreadable("This is no text file.")
        return line

    def rows(self, delimiter: str) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows with their numbers."""
        number = 0
        try:
            for number, cells in enumerate(csv.reader(self, delimiter=delimiter), 1):
                self._of_row = 0
                yield number, cells
        except csv.Error as error:
            raise unreadable(f"Row {number + 1} cannot be read: {error}.") from error
        finally:
            # The file is the caller's to close, who may have done so.
            with suppress(ValueError):
                self._text.detach()


def _titles(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # with this delimiter it is one title without end
        return []


def _encoding_of(stream: IO[bytes]) -> str:
    start = stream.read(3)
    stream.seek(0)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while piece := stream.read(_PIECE):
            decoder.decode(piece)
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        # What a Western Windows writes; five of its bytes mean nothing.
        return "cp1252"
    finally:
        stream.seek(0)
    return "utf-8-sig" if start == codecs.BOM_UTF8 else "utf-8"


def _filled(rows: Iterable[tuple[int, list[str]]]) -> Iterator[Row]:
    """Yield the rows that are not empty."""
    count = 0
    for number, line in rows:
        cells = [cell.strip() for cell in line]
        # Of a sheet without a table, or with something far below, the rows cost time too.
        if number > _MAX_NUMBER:
            raise unreadable(f"Something stands below row {_MAX_NUMBER:,}; delete the rows below the table.")
        if not any(cells):
            continue
        count += 1
        if count > MAX_ROWS + 1:
            raise unreadable(f"More than {MAX_ROWS:,} rows.")
        yield Row(number, cells)


def _read_xlsx(stream: IO[bytes]) -> Table:
    rows = _filled(read_workbook(stream, MAX_COLUMNS))
    header = next(rows, None)
    if header is None:
        raise unreadable("The first sheet is empty.")
    return Table(_header(header), rows)


def _header(row: Row) -> list[str]:
    if len(row.cells) > MAX_COLUMNS:
        raise unreadable(f"More than {MAX_COLUMNS} columns.")
    return row.cells
