"""``tillhook``, and the commands that plugins add to it.

Commands are named here with their help, and imported when they are called: ``--help`` and the shell's completion
answer at once.
"""

import sys
import traceback
from collections.abc import Iterator
from typing import Any

import click

import tillhook
from tillhook.cli.context import Context
from tillhook.errors import DomainError, StartupError
from tillhook.hooks import Command
from tillhook.hooks.installed import installed, manifest_of

_CORE = {
    name: Command(name=name, help=help_, where=where)
    for name, where, help_ in (
        (
            "backup",
            "tillhook.cli.backup:backup",
            "Write a running SQLite shop into FILE: the database, the pictures and the secret.",
        ),
        ("config", "tillhook.cli.config:config", "The settings of this process."),
        ("consumers", "tillhook.cli.consumers:consumers", "Who gets the events."),
        ("db", "tillhook.cli.migrate:db", "The database's tables."),
        ("demo", "tillhook.cli.demo:demo", "Make the demo users and goods in a database that has no users yet."),
        ("docs", "tillhook.cli.config:docs", "Print pages of the documentation that are made from the code."),
        ("events", "tillhook.cli.events:events", "Events that were recorded."),
        ("jobs", "tillhook.cli.jobs:jobs", "Work that comes up again."),
        (
            "migrate",
            "tillhook.cli.migrate:migrate",
            "Bring the core's and every plugin's tables up to date; enables new plugins.",
        ),
        ("migrations", "tillhook.cli.migrate:migrations", "Write revisions (for developers)."),
        ("modules", "tillhook.cli.modules:modules", "Plugins: installed, enabled, broken."),
        ("openapi", "tillhook.cli.config:openapi", "Print the OpenAPI document of the enabled plugins."),
        ("products", "tillhook.catalogue.cli:products", "Products of the catalogue."),
        (
            "restore",
            "tillhook.cli.restore:restore",
            "Put FILE, a backup, in the place of the SQLite database, with everything stopped.",
        ),
        ("rollups", "tillhook.sales.rollups.cli:rollups", "Totals per business day."),
        (
            "serve",
            "tillhook.cli.serve:serve",
            "Migrate, make the demo data on the first run, then answer requests until Ctrl-C.",
        ),
        ("users", "tillhook.cli.users:users", "Who may log in."),
        (
            "verify",
            "tillhook.cli.verify:verify",
            "Recompute levels, totals, numbers; print a row per difference and exit 1 if there is one, 2 if it cannot.",
        ),
        ("worker", "tillhook.cli.worker:worker", "Run jobs and hand out events until SIGTERM or Ctrl-C."),
    )
}


class _Named(click.Command):
    """A command that is imported when it is called.

    Args:
        plugin: Whose it is; one that is not enabled refuses the call.
    """

    def __init__(self, declared: Command, plugin: str | None = None) -> None:
        super().__init__(declared.name, short_help=declared.help)
        self._declared = declared
        self._plugin = plugin

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        # Whoever completes a line is told what there is, and no database is asked.
        if self._plugin is not None and parent is not None and not parent.resilient_parsing:
            self._refuse_disabled(parent.ensure_object(Context))
        return self._declared.load().make_context(info_name, args, parent, **extra)

    def _refuse_disabled(self, context: Context) -> None:
        if self._plugin not in {plugin.name for plugin in context.runtime.plugins}:
            raise StartupError(f"{self.name} is of plugin {self._plugin}, which is not enabled")


class _Commands(click.Group):
    """The core's commands and those of the plugins that are installed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_CORE, *self._added(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _Named(_CORE[cmd_name]) if cmd_name in _CORE else self._added(ctx).get(cmd_name)

    def _added(self, ctx: click.Context) -> dict[str, _Named]:
        if __name__ not in ctx.meta:
            ctx.meta[__name__] = dict(_commands_of_plugins())
        added: dict[str, _Named] = ctx.meta[__name__]
        return added


def _commands_of_plugins() -> Iterator[tuple[str, _Named]]:
    """Yield the commands of every installed plugin; the help of the others does not depend on a broken one."""
    for plugin, entry in sorted(installed().items()):
        try:
            for command in manifest_of(entry).commands:
                if command.name in _CORE:
                    raise StartupError(f"the command {command.name} is the core's")
                yield command.name, _Named(command, plugin)
        except Exception as error:  # whatever a plugin's package may raise
            click.echo(f"Commands of plugin {plugin} are missing: {error}", err=True)


@click.group(cls=_Commands)
@click.version_option(tillhook.__version__, message="%(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Tillhook: a small core that owns the stock ledger, and plugins that sell from it."""
    ctx.ensure_object(Context)


def main() -> None:
    """Run the command line; what a person can mend is said without a traceback.

    The process ends with 0 when all is well, with 1 when the answer is no (a difference, something that is behind, a
    refusal), and with 2 when it could not be tried: a wrong command line or setting, no database, a mistake of ours.
    """
    try:
        cli.main(prog_name="tillhook", obj=Context(has_process=True))
    except DomainError as error:
        _end(1, str(error))
    except StartupError as error:
        _end(2, str(error))
    except Exception as error:
        from tillhook.cli.failures import explained

        if (reason := explained(error)) is None:
            traceback.print_exc()
            sys.exit(2)
        _end(2, reason)


def _end(status: int, reason: str) -> None:
    click.echo(f"tillhook: {reason}", err=True)
    sys.exit(status)
