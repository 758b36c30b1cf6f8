"""Reading the first sheet of an XLSX file, whatever it unpacks to: bounded by what comes out, not by what it says.

Only the parts that a table needs are unpacked, piece by piece, and what comes out is counted. No tree is built of
them, so their memory is that of the values, which is bounded too. openpyxl would hold styles and shared strings whole.
"""

import posixpath
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any
from xml.parsers import expat

from tillhook.errors import ValidationFailed

#: A row's number, as a spreadsheet shows it, and its cells.
NumberedRow = tuple[int, list[str]]
_PIECE = 64 * 1024
#: Bytes of the zip's directory, and of those parts that only say where the others are.
_MAX_SMALL = 2 * 1024 * 1024
_MAX_STYLES = 32 * 1024 * 1024
_MAX_STRINGS = 128 * 1024 * 1024
_MAX_SHEET = 256 * 1024 * 1024
#: Elements of one part: they cost time, whatever they weigh.
_MAX_ELEMENTS = 6_000_000
_MAX_DEPTH = 64
#: Bytes of a tag with its attributes, which the parser holds whole.
_MAX_TAG = 1024 * 1024
#: Names of elements and attributes, which the parser never forgets; Excel has some hundred.
_MAX_NAMES = 20_000
_MAX_TEXTS = 2_000_000
_MAX_CHARACTERS = 32 * 1024 * 1024
_MAX_CELL = 32_767
_MAX_FORMATS = 100_000
_EXCEL_DIGITS = 15


def read_workbook(stream: IO[bytes], max_columns: int) -> Iterator[NumberedRow]:
    """Yield the rows of the first sheet that have cells; of formulas the value that Excel kept for them.

    Raises:
        ValidationFailed: 422 naming ``file``: damaged, too large when unpacked, a formula without a value.
    """
    try:
        with zipfile.ZipFile(_Bounded(stream)) as package:
            yield from _rows(package, max_columns)
    except ValidationFailed:
        raise
    except Exception as error:  # zipfile and the parser let any error through that a broken file causes
        raise unreadable("The file is damaged or no XLSX workbook.") from error


def unreadable(message: str) -> ValidationFailed:
    """Return the error of a file that cannot be read."""
    return ValidationFailed.at("file", message, code="unreadable-file")


def _rows(package: zipfile.ZipFile, max_columns: int) -> Iterator[NumberedRow]:
    main = _targets(package, "").get("/officeDocument", ["xl/workbook.xml"])[0]
    book = _Book()
    _parse(package, main, _MAX_SMALL, book)
    related = _targets(package, main)
    by_id = _relations(package, main)
    sheet = next((by_id[key][1] for key in book.sheets if by_id.get(key, ("",))[0].endswith("/worksheet")), None)
    if sheet is None:
        raise unreadable("There is no sheet.")
    texts, styles = _Texts(), _Styles()
    for kind, reader, most in (("/sharedStrings", texts, _MAX_STRINGS), ("/styles", styles, _MAX_STYLES)):
        for name in related.get(kind, [])[:1]:
            _parse(package, name, most, reader)
    cells = _Cells(texts.values, styles.dates(), book.epoch_1904, max_columns)
    for _ in _pieces(package, sheet, _MAX_SHEET, cells):
        yield from cells.taken()


class _Bounded:
    """A file that gives no more at once than a directory may be large: zipfile reads that whole."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_SMALL:
            raise unreadable("The file has too many parts.")
        return self._stream.read(min(size, _MAX_SMALL) if size >= 0 else _MAX_SMALL)


class _Reader:
    """What is made of a part: called with the local name of each element, when it begins and ends."""

    def start(self, name: str, attributes: dict[str, str]) -> None: ...

    def end(self, name: str) -> None: ...

    def text(self, data: str) -> None: ...


def _parse(package: zipfile.ZipFile, name: str, most: int, reader: _Reader) -> None:
    for _ in _pieces(package, name, most, reader):
        pass


def _pieces(package: zipfile.ZipFile, name: str, most: int, reader: _Reader) -> Iterator[None]:
    """Read a part, and yield after each piece of it."""
    info = package.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise unreadable("The file is packed in a way that Excel does not use.")  # others unpack without bounds
    parser, read = _parser(reader), 0
    with package.open(info) as part:
        while piece := part.read(_PIECE):
            read += len(piece)
            if read > most:
                raise unreadable("The file is too large when unpacked.")
            parser.Parse(piece, False)
            if read - parser.CurrentByteIndex > _MAX_TAG or len(parser.intern) > _MAX_NAMES:
                raise unreadable("The file is damaged: a tag without end, or too many kinds of them.")
            yield
    parser.Parse(b"", True)
    yield


def _parser(reader: _Reader) -> Any:
    # Namespaces are not looked at: of those, too, the parser would forget none.
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = elements = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > _MAX_DEPTH or elements > _MAX_ELEMENTS:
            raise unreadable("The file is too large when unpacked.")
        reader.start(tag.rpartition(":")[2] if ":" in tag else tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        reader.end(tag.rpartition(":")[2] if ":" in tag else tag)

    def refuse(*_: Any) -> None:
        raise unreadable("The file is damaged: it has a document type.")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = reader.text, refuse
    return parser


# --- where things are ----------------------------------------------------------------------------------------


class _Relations(_Reader):
    def __init__(self) -> None:
        #: Type and target by id.
        self.found: dict[str, tuple[str, str]] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and attributes.get("TargetMode") != "External":
            self.found[attributes["Id"]] = attributes["Type"], attributes["Target"]


def _relations(package: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """Return type and name of the parts that a part refers to, by id; those of the package itself for ``""``."""
    folder, name = posixpath.split(part)
    reader = _Relations()
    where = posixpath.join(folder, "_rels", f"{name}.rels")
    with suppress(KeyError):
        package.getinfo(where)
        _parse(package, where, _MAX_SMALL, reader)
    return {
        key: (kind, posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/"))
        for key, (kind, target) in reader.found.items()
    }


def _targets(package: zipfile.ZipFile, part: str) -> dict[str, list[str]]:
    """Return the names of the parts that a part refers to, by the end of their type."""
    found: dict[str, list[str]] = {}
    for kind, target in _relations(package, part).values():
        found.setdefault("/" + kind.rpartition("/")[2], []).append(target)
    return found


class _Book(_Reader):
    def __init__(self) -> None:
        self.sheets: list[str] = []
        self.epoch_1904 = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            self.sheets += (value for key, value in attributes.items() if key.endswith(":id"))
        elif name == "workbookPr":
            self.epoch_1904 = attributes.get("date1904") in ("1", "true")


class _Styles(_Reader):
    """Which styles show a number as a date."""

    def __init__(self) -> None:
        self._codes: dict[int, str] = {}
        self._formats: list[int] = []
        self._in_cells = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            self._codes[int(attributes["numFmtId"])] = attributes.get("formatCode", "")[:255]
        elif name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            self._formats.append(int(attributes.get("numFmtId", 0)))
        if len(self._formats) > _MAX_FORMATS or len(self._codes) > _MAX_FORMATS:
            raise unreadable("The file has too many styles.")

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._in_cells = False

    def dates(self) -> dict[int, bool]:
        """Return the numbers of styles that show a date, with whether that is a time span."""
        from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format

        kinds = {}
        for key in set(self._formats):
            code = self._codes.get(key) or BUILTIN_FORMATS.get(key)
            if code is not None and is_date_format(code):
                kinds[key] = bool(is_timedelta_format(code))
        return {place: kinds[key] for place, key in enumerate(self._formats) if key in kinds}


class _Texts(_Reader):
    """The shared strings; of rich text the plain one, without how it is pronounced."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._parts: list[str] = []
        self._is_text = self._is_phonetic = False
        self._characters = self._of_text = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "t":
            self._is_text = not self._is_phonetic
        elif name == "rPh":
            self._is_phonetic = True

    def text(self, data: str) -> None:
        if self._is_text:
            self._characters += len(data)
            self._of_text += len(data)
            if self._characters > _MAX_CHARACTERS or self._of_text > _MAX_CELL:
                raise unreadable("The file is too large when unpacked.")
            self._parts.append(data)

    def end(self, name: str) -> None:
        if name == "t":
            self._is_text = False
        elif name == "rPh":
            self._is_phonetic = False
        elif name == "si":
            self.values.append("".join(self._parts))
            self._parts.clear()
            self._of_text = 0
            if len(self.values) > _MAX_TEXTS:
                raise unreadable("The file is too large when unpacked.")


# --- the sheet -----------------------------------------------------------------------------------------------


class _Cells(_Reader):
    """The rows of a sheet, each with as many cells as it says; those behind ``max_columns`` are left out."""

    def __init__(self, texts: list[str], dates: dict[int, bool], epoch_1904: bool, max_columns: int) -> None:
        self._texts = texts
        self._dates = dates
        self._epoch_1904 = epoch_1904
        self._max_columns = max_columns
        self._done: list[NumberedRow] = []
        self._number = self._column = 0
        self._row: list[str] = []
        self._kind = self._style = ""
        self._in_data = self._reads = self._has_value = self._has_formula = self._is_phonetic = False
        self._parts: list[str] = []
        self._characters = 0

    def taken(self) -> list[NumberedRow]:
        """Return the rows that have ended since the last call."""
        done, self._done = self._done, []
        return done

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheetData":
            self._in_data = True
        elif not self._in_data:
            return
        elif name == "c":
            self._column = _column(attributes["r"]) if "r" in attributes else self._column + 1
            self._kind, self._style = attributes.get("t", "n"), attributes.get("s", "0")
            self._has_value = self._has_formula = False
            self._parts, self._characters = [], 0
        elif name in ("v", "t"):
            self._reads, self._has_value = not self._is_phonetic, True
        elif name == "f":
            self._has_formula = True
        elif name == "rPh":
            self._is_phonetic = True
        elif name == "row":
            number = int(attributes["r"]) if "r" in attributes else self._number + 1
            if number <= self._number:
                raise ValueError("rows out of order")
            self._number, self._column, self._row = number, 0, []

    def text(self, data: str) -> None:
        if self._reads:
            self._characters += len(data)
            if self._characters > _MAX_CELL:
                raise unreadable(f"Row {self._number}, column {self._column} is longer than Excel allows.")
            self._parts.append(data)

    def end(self, name: str) -> None:
        if name == "v" or name == "t":
            self._reads = False
        elif name == "rPh":
            self._is_phonetic = False
        elif name == "c" and self._in_data:
            self._enter()
        elif name == "row" and self._in_data:
            if self._row:
                self._done.append((self._number, self._row))
        elif name == "sheetData":
            self._in_data = False

    def _enter(self) -> None:
        column, raw = self._column, "".join(self._parts)
        if self._has_formula and (not self._has_value or (not raw and self._kind == "n")):
            message = f"Row {self._number}, column {column} is a formula without a value; open and save it in Excel."
            raise unreadable(message)
        value = self._value(raw) if raw or self._kind == "str" else ""
        if value and column <= self._max_columns:
            if column <= len(self._row):
                raise ValueError("cells out of order")
            self._row += [""] * (column - len(self._row) - 1)
            self._row.append(value)
        elif value and not self._row:
            self._row.append("")  # the row is not empty, though none of it is read

    def _value(self, raw: str) -> str:
        if self._kind == "s":
            return self._texts[_whole(raw)]
        if self._kind == "b":
            return "true" if raw.strip() in ("1", "true") else "false"
        if self._kind == "d":
            return _moment(datetime.fromisoformat(raw.strip()))
        if self._kind == "n":
            is_span = self._dates.get(int(self._style))
            return _number(raw) if is_span is None else self._date(raw, is_span)
        return raw

    def _date(self, raw: str, is_span: bool) -> str:
        from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

        epoch = MAC_EPOCH if self._epoch_1904 else WINDOWS_EPOCH
        return _moment(from_excel(float(raw), epoch, timedelta=is_span))


def _whole(raw: str) -> int:
    number = int(raw)
    if number < 0:
        raise ValueError("a negative place")
    return number


def _column(reference: str) -> int:
    """Return the number of the column in ``AB12``, from 1."""
    column = 0
    for letter in reference[:4].upper():
        if not "A" <= letter <= "Z":
            break
        column = column * 26 + ord(letter) - 64
    if not 0 < column <= 16_384:
        raise ValueError("no cell")
    return column


def _number(raw: str) -> str:
    text = raw.strip()
    if len(text) > 400:
        raise ValueError("no number")
    if text.lstrip("+-").isdigit():
        return str(int(text))
    # Excel keeps binary fractions and shows fifteen digits of them: 0.30000000000000004 is 0.3.
    return f"{Decimal(f'{float(text):.{_EXCEL_DIGITS}g}'):f}"


def _moment(value: Any) -> str:
    if isinstance(value, datetime):
        at_midnight = (value.hour, value.minute, value.second) == (0, 0, 0)
        return value.date().isoformat() if at_midnight else value.isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)
