"""The business's settings: what a person changes while the server runs."""

from tillhook.settings.services import list_settings, update_settings

__all__ = ["list_settings", "update_settings"]
