"""The counter: scan a code, sell it."""

from tillhook.hooks import Plugin

__version__ = "0.1.0"

PLUGIN = Plugin(
    name="pos",
    version=__version__,
    core=">=0.1,<0.2",
    title="Point of sale",
    summary="The counter: scan and sell.",
    migrations="tillhook_pos.migrations",
)
