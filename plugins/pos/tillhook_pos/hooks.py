"""What the counter declares through the hooks."""

from tillhook import hookimpl
from tillhook.config import Settings
from tillhook.hooks import Channel, Permission, Route
from tillhook_pos.permissions import PERMISSIONS
from tillhook_pos.routes import ROUTES


@hookimpl
def register_channels() -> tuple[Channel, ...]:
    return (Channel(name="pos", title="Counter", number_prefix="OS", stock_policy="block", offline_policy="allow"),)


@hookimpl
def register_permissions() -> tuple[Permission, ...]:
    return PERMISSIONS


@hookimpl
def register_routes(settings: Settings) -> tuple[Route, ...]:
    return ROUTES
