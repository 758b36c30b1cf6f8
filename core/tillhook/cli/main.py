"""``tillhook``, and the commands that plugins add to it."""

import sys

import click

import tillhook
from tillhook.cli.config import config, docs, openapi
from tillhook.cli.consumers import consumers
from tillhook.cli.context import Context
from tillhook.cli.demo import demo
from tillhook.cli.events import events
from tillhook.cli.jobs import jobs
from tillhook.cli.migrate import db, migrate, migrations
from tillhook.cli.modules import modules
from tillhook.cli.serve import serve
from tillhook.cli.users import users
from tillhook.cli.verify import verify
from tillhook.cli.worker import worker
from tillhook.errors import DomainError, StartupError


class _WithPlugins(click.Group):
    """Looks for a command among the plugins' when the core has none of that name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        try:
            added = self._added(ctx)
        except StartupError as error:
            click.echo(f"The plugins' commands are missing: {error}", err=True)
            added = {}
        return sorted({*super().list_commands(ctx), *added})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self._added(ctx).get(cmd_name)

    def _added(self, ctx: click.Context) -> dict[str, click.Command]:
        added = ctx.ensure_object(Context).runtime.registry.commands
        if taken := sorted(set(added) & set(self.commands)):
            raise StartupError(f"a plugin adds the command {taken[0]}, which is the core's")
        return added


@click.group(cls=_WithPlugins)
@click.version_option(tillhook.__version__, message="%(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Tillhook: a small core that owns the stock ledger, and plugins that sell from it."""
    ctx.ensure_object(Context)


for _command in (
    *(serve, worker, jobs, events, consumers),
    *(migrate, db, migrations, modules, users),
    *(verify, demo, config, openapi, docs),
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line; what a person can mend is said without a traceback."""
    try:
        cli.main(prog_name="tillhook")
    except (StartupError, DomainError) as error:
        click.echo(f"tillhook: {error}", err=True)
        sys.exit(1)
