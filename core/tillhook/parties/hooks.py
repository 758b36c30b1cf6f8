"""What the parties declare through the hooks."""

from tillhook import hookimpl
from tillhook.config import Settings
from tillhook.hooks import Permission, Route
from tillhook.parties.routes import routes


@hookimpl
def register_routes(settings: Settings) -> tuple[Route, ...]:
    return routes.all()


@hookimpl
def register_permissions() -> tuple[Permission, ...]:
    return (
        Permission(
            name="parties:party:read",
            title="See people and firms",
            roles=("manager", "supplier", "cashier", "accountant"),
        ),
        Permission(name="parties:party:manage", title="Make and change people and firms", roles=("manager",)),
    )
