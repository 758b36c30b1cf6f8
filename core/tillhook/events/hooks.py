"""What the outbox declares through the hooks."""

from tillhook import hookimpl
from tillhook.config import Settings
from tillhook.events.routes import routes
from tillhook.hooks import Permission, Route


@hookimpl
def register_routes(settings: Settings) -> tuple[Route, ...]:
    return routes.all()


@hookimpl
def register_permissions() -> tuple[Permission, ...]:
    return (Permission(name="events:event:read", title="Read events", roles=("accountant", "supplier")),)
