"""What the commands share: the settings, and a runtime when they need one."""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from tillhook.config import Settings

if TYPE_CHECKING:
    from tillhook.db import Database
    from tillhook.runtime import Runtime

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Context:
    """Reads the settings, and imports what opens the database, when they are first asked for.

    So ``--help`` works whatever the settings are, and at once.

    Args:
        has_process: Whether the process is this command's alone; its log then goes to standard error.
    """

    def __init__(self, *, has_process: bool = False) -> None:
        self._has_process = has_process

    @functools.cached_property
    def settings(self) -> Settings:
        return Settings.from_environment()

    @functools.cached_property
    def database(self) -> "Database":
        import structlog

        from tillhook.server import logs
        from tillhook.server.building import open_database

        if self._has_process and not structlog.is_configured():
            logs.configure(self.settings.log_level, fd=2)
        database = open_database(self.settings)
        click.get_current_context().find_root().call_on_close(database.dispose)
        return database

    @functools.cached_property
    def runtime(self) -> "Runtime":
        from tillhook.server.building import build_runtime

        return build_runtime(self.settings, database=self.database)


def with_context(
    command: Callable[Concatenate[Context, Parameters], Result],
) -> Callable[Parameters, Result]:
    """Pass the :class:`Context` to a command as its first argument."""

    @functools.wraps(command)
    def call(*arguments: Any, **options: Any) -> Result:
        context = click.get_current_context().ensure_object(Context)
        return command(context, *arguments, **options)

    return call


def print_table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
