"""What an import says of a file."""

from dataclasses import dataclass, field

from tillhook.catalogue.answers import RowMessageOut
from tillhook.errors import DomainError, ValidationFailed

_MAX_MESSAGES = 1_000
#: What is counted part by part.
COUNTS = ("created", "updated", "categories_created", "units_created", "stock_lines")


@dataclass(frozen=True, slots=True)
class RowMessage:
    """What there is to say of one cell, or of a whole row for column ``None``."""

    row: int
    column: str | None
    message: str

    @property
    def field(self) -> str:
        return f"rows.{self.row}" + (f".{self.column}" if self.column else "")


@dataclass(slots=True)
class ImportResult:
    """What an import did, or in a dry run would do; of errors and warnings the first thousand, errors by row."""

    dry_run: bool = False
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    categories_created: int = 0
    units_created: int = 0
    stock_lines: int = 0
    encoding: str | None = None
    error_count: int = 0
    bad_cells: list[RowMessage] = field(default_factory=list)
    warnings: list[RowMessage] = field(default_factory=list)

    @property
    def errors(self) -> list[RowMessage]:
        # They are found check by check, and read from top to bottom.
        return sorted(self.bad_cells, key=lambda message: message.row)[:_MAX_MESSAGES]

    def with_messages_of(self, other: "ImportResult") -> "ImportResult":
        """Return this result, to which the errors and warnings of another one are added."""
        self.error_count += other.error_count
        self.bad_cells += other.bad_cells
        self.warnings = (self.warnings + other.warnings)[:_MAX_MESSAGES]
        return self

    def bad(self, row: int, column: str | None, message: str) -> None:
        """Add an error."""
        self.error_count += 1
        self.bad_cells.append(RowMessage(row, column, message))
        if len(self.bad_cells) > 4 * _MAX_MESSAGES:
            self.bad_cells = self.errors

    def warn(self, row: int, column: str | None, message: str) -> None:
        """Add a warning, which does not keep the file from being imported."""
        if len(self.warnings) < _MAX_MESSAGES:
            self.warnings.append(RowMessage(row, column, message))


class ImportFailed(ValidationFailed):
    """Some rows are bad, so none was imported (422); ``errors`` names each."""

    code = "import-failed"

    def __init__(self, result: ImportResult) -> None:
        self.result = result
        errors, problems = result.errors, "1 problem" if result.error_count == 1 else f"{result.error_count} problems"
        super().__init__(
            f"{problems}, nothing imported. Row {errors[0].row}: {errors[0].message}",
            errors=[RowMessageOut.of(message) | {"field": message.field} for message in errors],
            error_count=result.error_count,
        )


class ImportStopped(DomainError):
    """Some products are imported and the others are not (409, or 503 when the database was away).

    The same file sent again, in the same way and within a day, goes on where this one stopped.
    """

    status = 409
    code = "import-stopped"
    title = "Import stopped"

    def __init__(self, cause: Exception, products_done: int, products: int) -> None:
        super().__init__(
            f"{products_done} of {products} products are imported. Send the same file again to go on. "
            + (cause.detail if isinstance(cause, DomainError) else "The database cannot be reached or is too busy."),
            errors=cause.errors if isinstance(cause, DomainError) else (),
            products_done=products_done,
            products=products,
        )
        if not isinstance(cause, DomainError):
            self.status = 503
            self.extra["retry_after_s"] = 5
