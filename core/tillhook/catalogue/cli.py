"""``tillhook products``: what is too long for a request."""

import itertools
import sys
from typing import IO, TYPE_CHECKING, Any

import click

from tillhook.catalogue.import_result import ImportFailed, ImportResult
from tillhook.catalogue.importing import finish_import, import_products
from tillhook.catalogue.schemas import STOCK_MODES

if TYPE_CHECKING:
    from tillhook.runtime import Runtime


@click.group()
def products() -> None:
    """Products of the catalogue."""


@products.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Check everything and change nothing.")
@click.option("--warehouse", type=int, help="Id of the warehouse of rows that name none.")
@click.option(
    "--stock-mode",
    type=click.Choice(STOCK_MODES),
    help="What the stock of known products means: a count, a receipt, or nothing to act on.",
)
@click.option("--create-units", is_flag=True, help="Make units that are not there, of whole pieces.")
@click.pass_obj
def import_file(
    context: Any, file: IO[bytes], dry_run: bool, warehouse: int | None, stock_mode: str | None, create_units: bool
) -> None:
    """Import products and their stock from FILE, CSV or XLSX: all rows or none."""
    runtime: Runtime = context.runtime
    try:
        with _Bar() as bar:
            done = import_products(
                runtime,
                file,
                file.name,
                warehouse_id=warehouse,
                stock_mode=stock_mode,
                create_units=create_units,
                dry_run=dry_run,
                progress=bar.show,
            )
        with runtime.unit_of_work(lazy=True) as session:
            result = finish_import(session, done)
    except ImportFailed as error:
        result = error.result
    _print(result)
    sys.exit(1 if result.error_count else 0)


class _Bar:
    """A progress bar for each step of the import, on standard error."""

    def __init__(self) -> None:
        self._step = ""
        self._bar: Any = None

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()

    def show(self, step: str, done: int, total: int) -> None:
        """Show that ``done`` rows of ``total`` are through this step; a total of 0 is not known yet."""
        if step != self._step:
            self._finish()
            self._step = step
            # Without a length it wants something to go through, which may be endless.
            steps = range(total) if total else itertools.count()
            self._bar = click.progressbar(steps, label=step.ljust(10), file=sys.stderr)
            self._bar.render_progress()
        self._bar.update(done - self._bar.pos)

    def _finish(self) -> None:
        if self._bar is not None:
            self._bar.render_finish()


def _print(result: ImportResult) -> None:
    for kind, messages in (("error", result.errors), ("warning", result.warnings)):
        for message in messages:
            column = f" {message.column}" if message.column else ""
            click.echo(f"{kind}: row {message.row}{column}: {message.message}", err=True)
    if result.error_count:
        click.echo(f"{result.error_count} problems in {result.rows} rows; nothing was changed.")
        return
    told = "would be" if result.dry_run else "were"
    click.echo(
        f"{result.rows} rows: {result.created} {told} created, {result.updated} updated, "
        f"{result.unchanged} unchanged; {result.stock_lines} lines of stock."
    )
