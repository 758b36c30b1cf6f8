"""Orders taken by telephone."""

from tillhook.hooks import Plugin

PLUGIN = Plugin(name="telesales", version="0.1.0", core=">=0.1,<0.2", title="Telephone sales", opt_in=True)
