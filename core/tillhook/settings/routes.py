"""Reading and changing the settings."""

from typing import Any

from marshmallow import INCLUDE, Schema

from tillhook.http import Call, Routes
from tillhook.settings import services
from tillhook.settings.answers import SettingsOut

routes = Routes()


class SettingsIn(Schema):
    """``{key: value, ...}``; which keys there are, the plugins decide, so the service checks them."""

    class Meta:
        unknown = INCLUDE


@routes.get("/settings", permission="platform:setting:read", answer=SettingsOut)
def read_settings(call: Call) -> dict[str, Any]:
    """List the settings with their values."""
    return {"items": services.list_settings(call.session)}


@routes.patch("/settings", permission="platform:setting:update", body=SettingsIn, answer=SettingsOut)
def change_settings(call: Call) -> dict[str, Any]:
    """Change settings; null takes one back to its default."""
    services.update_settings(call.session, call.body)
    return {"items": services.list_settings(call.session)}
