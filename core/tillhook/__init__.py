"""Tillhook: a small core that owns the stock ledger, and plugins that sell from it."""

import pluggy

__version__ = "0.1.0"

#: Marks a function of a plugin's ``hooks`` module as the implementation of a hook.
hookimpl = pluggy.HookimplMarker("tillhook")

__all__ = ["__version__", "hookimpl"]
