"""From the rows of a file to what they say of each SKU."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError

from tillhook.catalogue.columns import ATTRIBUTE, ImportRow, column_of, decimal_text
from tillhook.catalogue.import_result import ImportResult
from tillhook.catalogue.tables import Row, Table
from tillhook.errors import ValidationFailed

#: Told what is being done, how many rows are, and of how many; a total of 0 is not known yet.
Progress = Callable[[str, int, int], None]
_NUMBERS = ("price", "list_price", "cost_price", "low_stock_threshold", "stock")
_STOCK = ("stock", "warehouse", "batch_number", "expiry_date")
_ROW = ImportRow()


@dataclass(slots=True)
class Entry:
    """A product or a variant of the file: its first row, and the rows with stock of it."""

    number: int
    values: dict[str, Any]
    stock: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    @property
    def sku(self) -> str:
        return str(self.values["sku"])

    @property
    def parent_sku(self) -> str | None:
        """The SKU of the product that it is a variant of; ``None`` for a product."""
        return self.values.get("parent_sku")


def read_entries(table: Table, result: ImportResult, progress: Progress) -> dict[str, Entry]:
    """Return what the file says, by SKU; what cannot be read is among the result's errors.

    Raises:
        ValidationFailed: 422 naming ``file``: it lacks a column, or has one twice.
    """
    columns = _columns(table.header, result)
    entries: dict[str, Entry] = {}
    for row in table.rows:
        result.rows += 1
        values = _values(row, columns, result)
        if values is not None:
            _enter(entries, row.number, values, result)
        if result.rows % 1_000 == 0:
            progress("reading", result.rows, 0)
    return entries


def _columns(header: Sequence[str], result: ImportResult) -> list[str | None]:
    columns: list[str | None] = []
    for title in header:
        column = column_of(title)
        if column is None and title:
            result.warn(1, title[:60], "Unknown column, left out.")
        if column is not None and column in columns:
            raise ValidationFailed.at("file", f"Two columns mean {column}.", code="duplicate-column")
        columns.append(column)
    if "sku" not in columns:
        raise ValidationFailed.at("file", "There is no column sku.", code="missing-column")
    return columns


def _values(row: Row, columns: Sequence[str | None], result: ImportResult) -> dict[str, Any] | None:
    if any(row.cells[len(columns) :]):
        result.bad(row.number, None, "More cells than the header has columns.")
        return None
    given: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for name, cell in zip(columns, row.cells, strict=False):
        if name is None or not cell:
            continue
        if name.startswith(ATTRIBUTE):
            attributes[name.removeprefix(ATTRIBUTE)] = cell
        else:
            given[name] = decimal_text(cell) if name in _NUMBERS else cell
    try:
        values: dict[str, Any] = _ROW.load(given | ({"attributes": attributes} if attributes else {}))
    except ValidationError as error:
        for name, messages in error.normalized_messages().items():
            result.bad(row.number, str(name), str(messages[0] if isinstance(messages, list) else messages))
        return None
    return values


def _enter(entries: dict[str, Entry], number: int, values: dict[str, Any], result: ImportResult) -> None:
    """Add a row; a second one of an SKU may only bring more stock."""
    entry = entries.setdefault(values["sku"], Entry(number, values))
    if entry.values is not values:
        for name, value in values.items():
            if name not in _STOCK and value and value != entry.values.get(name):
                column = "barcode" if name == "barcodes" else name
                result.bad(number, column, f"Differs from row {entry.number}, which has the same SKU.")
        if "stock" not in values:
            result.bad(number, "sku", f"Row {entry.number} has the same SKU.")
    if "stock" in values:
        entry.stock.append((number, values))
