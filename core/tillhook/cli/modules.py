"""``tillhook modules``: which plugins there are, and switching them on and off."""

import click

from tillhook import modules as services
from tillhook.cli.context import Context, print_table, with_context
from tillhook.db.migrate import upgrade
from tillhook.errors import StartupError
from tillhook.events.consumers import introduce
from tillhook.modules import enabled_names
from tillhook.server.building import build_runtime
from tillhook.server.jobs import renew_jobs


@click.group()
def modules() -> None:
    """Plugins: installed, enabled, broken."""


@modules.command("list")
@with_context
def list_(context: Context) -> None:
    """List the plugins; one that cannot be imported shows its traceback."""
    found = services.list_modules(context.settings, context.database)
    print_table(("module", "version", "state", "title"), [(m.name, m.version, m.state, m.title) for m in found])
    for module in found:
        if module.traceback:
            click.echo(f"\n{module.name} cannot be used:\n{module.traceback}")


@modules.command()
@click.argument("name")
@with_context
def enable(context: Context, name: str) -> None:
    """Make the tables of the plugin NAME and switch it on, from the next start of the server."""
    _refuse_fixed(context)
    wanted = {*enabled_names(context.settings, context.database), name}
    runtime = build_runtime(context.settings, database=context.database, names=wanted)
    plugin = next(plugin for plugin in runtime.plugins if plugin.name == name)
    upgrade(context.database, runtime.migrations, then=lambda session: services.enable(session, plugin))
    with runtime.unit_of_work() as session:
        introduce(session, runtime.registry.consumers.values())
        renew_jobs(session, runtime, name)
    _say_when(f"{name} is enabled")


@modules.command()
@click.argument("name")
@with_context
def disable(context: Context, name: str) -> None:
    """Switch the plugin NAME off, from the next start of the server, and keep its data."""
    _refuse_fixed(context)
    with context.database.unit_of_work() as session:
        services.disable(session, name)
    _say_when(f"{name} is disabled, and its data kept,")


def _say_when(change: str) -> None:
    click.echo(f"{change} from the next start on; servers and workers that run stay as they are.")


def _refuse_fixed(context: Context) -> None:
    if context.settings.modules is not None:
        names = ",".join(context.settings.modules)
        raise StartupError(f"TILLHOOK_MODULES={names} says which plugins run; change it, or unset it")
