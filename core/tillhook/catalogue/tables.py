"""Reading a table from a CSV or XLSX file that somebody made by hand: rows of texts, each with its number.

Bounded in every direction, because a small file may unpack to a large one.
"""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any

from tillhook.errors import ValidationFailed

MAX_ROWS = 100_000
MAX_COLUMNS = 200
MAX_UNPACKED = 512 * 1024 * 1024
_MAX_PARTS = 2_000
#: Empty rows cost time too, and a single cell at the bottom of a sheet makes a million of them.
_MAX_NUMBER = 2 * MAX_ROWS
_DELIMITERS = ",;\t|"
_EXCEL_DIGITS = 15


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
    return _read_csv(stream.read(), knows)


def _read_csv(raw: bytes, knows: Callable[[str], bool]) -> Table:
    text, encoding = _decode(raw)
    if "\x00" in text:
        raise _broken("This is no text file.")
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=lambda each: sum(map(knows, _titles(first, each))))
    rows = _numbered(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    header = next(rows, None)
    if header is None:
        raise _broken("The file is empty.")
    return Table(_header(header), rows, encoding)


def _titles(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # with this delimiter it is one title without end
        return []


def _decode(raw: bytes) -> tuple[str, str]:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace"), "utf-16"
    try:
        return raw.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        # What a Western Windows writes; five of its bytes mean nothing.
        return raw.decode("cp1252", "replace"), "cp1252"


def _numbered(lines: Iterator[list[str]]) -> Iterator[Row]:
    number = count = 0
    try:
        for line in lines:
            number += 1
            if number > _MAX_NUMBER:
                raise _broken(f"Something stands below row {_MAX_NUMBER:,}; delete the rows below the table.")
            cells = [cell.strip() for cell in line]
            if not any(cells):
                continue
            count += 1
            if count > MAX_ROWS + 1:
                raise _broken(f"More than {MAX_ROWS:,} rows.")
            yield Row(number, cells)
    except csv.Error as error:
        raise _broken(f"Row {number + 1} cannot be read: {error}.") from error


def _read_xlsx(stream: IO[bytes]) -> Table:
    formulas = _check_package(stream)
    rows = _numbered(_sheet(stream, formulas))
    header = next(rows, None)
    if header is None:
        raise _broken("The first sheet is empty.")
    return Table(_header(header), rows)


def _check_package(stream: IO[bytes]) -> bool:
    """Refuse a package that would unpack beyond all bounds; say whether a sheet has formulas."""
    try:
        with zipfile.ZipFile(stream) as package:
            parts = package.infolist()
            if len(parts) > _MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
                raise _broken("The file is too large when unpacked.")
            sheets = [part for part in parts if part.filename.startswith("xl/worksheets/")]
            return any(_has_formula(package, part) for part in sheets)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise _broken("The file is damaged.") from error


def _has_formula(package: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    read, tail = 0, b""
    with package.open(part) as sheet:
        while piece := sheet.read(1024 * 1024):
            read += len(piece)
            if read > MAX_UNPACKED:
                raise _broken("The file is too large when unpacked.")
            if b"<f>" in tail + piece or b"<f " in tail + piece:
                return True
            tail = piece[-2:]
    return False


def _sheet(stream: IO[bytes], formulas: bool) -> Iterator[list[str]]:
    """Yield the rows of the first sheet; formulas give the value that Excel kept for them."""
    import openpyxl  # takes a while to import, and few processes need it

    try:
        stream.seek(0)
        values = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        sheet = values.worksheets[0]
        sheet.reset_dimensions()
        rows = sheet.iter_rows(max_col=MAX_COLUMNS, values_only=True)
        if not formulas:
            yield from (_texts(row) for row in rows)
            return
        originals = openpyxl.load_workbook(stream, read_only=True, keep_links=False).worksheets[0]
        originals.reset_dimensions()
        pairs = zip(rows, originals.iter_rows(max_col=MAX_COLUMNS, values_only=True), strict=False)
        for number, (row, original) in enumerate(pairs, 1):
            _check_formulas(number, row, original)
            yield _texts(row)
    except ValidationFailed:
        raise
    except Exception as error:  # openpyxl lets any error through that a broken file causes
        raise _broken("The file is damaged or no XLSX workbook.") from error


def _check_formulas(number: int, row: tuple[Any, ...], original: tuple[Any, ...]) -> None:
    for column, (value, source) in enumerate(zip(row, original, strict=False), 1):
        if value is None and isinstance(source, str) and source.startswith("="):
            raise _broken(f"Row {number}, column {column} is a formula without a value; open and save it in Excel.")


def _texts(row: tuple[Any, ...]) -> list[str]:
    # Of a sheet's rows most may be empty.
    return [] if row.count(None) == len(row) else [_text(value) for value in row]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # Excel keeps binary fractions and shows fifteen digits of them: 0.30000000000000004 is 0.3.
        return f"{Decimal(f'{value:.{_EXCEL_DIGITS}g}'):f}"
    if isinstance(value, datetime):
        at_midnight = (value.hour, value.minute, value.second) == (0, 0, 0)
        return value.date().isoformat() if at_midnight else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _header(row: Row) -> list[str]:
    if len(row.cells) > MAX_COLUMNS:
        raise _broken(f"More than {MAX_COLUMNS} columns.")
    return row.cells


def _broken(message: str) -> ValidationFailed:
    return ValidationFailed.at("file", message, code="unreadable-file")
