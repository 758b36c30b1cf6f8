"""``tillhook config``, ``tillhook openapi`` and ``tillhook docs``: what the program says of itself."""

import click

from tillhook.cli.context import Context, print_table, with_context
from tillhook.config import settings_page


@click.group()
def config() -> None:
    """The settings of this process."""


@config.command()
@with_context
def check(context: Context) -> None:
    """Check the settings and the plugins, and show what a server would use."""
    print_table(("setting", "value"), context.settings.described())
    runtime = context.runtime
    names = ", ".join(plugin.name for plugin in runtime.plugins) or "none"
    click.echo(f"\nplugins: {names}")
    for plugin, hook in runtime.hooks.optional_without_spec():
        click.echo(f"plugin {plugin}: its optional hook {hook} is nobody's here")


@click.command()
@with_context
def openapi(context: Context) -> None:
    """Print the OpenAPI document of the enabled plugins."""
    from tillhook.http.media import dump_json
    from tillhook.server.openapi import build

    click.echo(dump_json(build(context.runtime)))


@click.group()
def docs() -> None:
    """Print pages of the documentation that are made from the code."""


@docs.command()
def hooks() -> None:
    """Print docs/hooks.md."""
    from tillhook.hooks.docs import hooks_page
    from tillhook.server.building import SPECS

    click.echo(hooks_page(SPECS), nl=False)


@docs.command()
def settings() -> None:
    """Print docs/settings.md."""
    click.echo(settings_page(), nl=False)
