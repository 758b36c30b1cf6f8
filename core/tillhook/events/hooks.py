"""What the outbox declares through the hooks."""

from tillhook import hookimpl
from tillhook.config import Settings
from tillhook.events.consumers import KEEP_DAYS, prune
from tillhook.events.outbox import RESTORED
from tillhook.events.routes import routes
from tillhook.hooks import EventType, Job, Permission, Route, SettingDeclaration, within


@hookimpl
def register_routes(settings: Settings) -> tuple[Route, ...]:
    return routes.all()


@hookimpl
def register_permissions() -> tuple[Permission, ...]:
    return (Permission(name="events:event:read", title="Read events", roles=("manager", "accountant", "supplier")),)


@hookimpl
def register_settings() -> tuple[SettingDeclaration, ...]:
    return (
        SettingDeclaration(
            key=KEEP_DAYS,
            type=int,
            default=30,
            title="Days for which events can be read again, once every consumer has had them",
            check=within(1, 3650),
        ),
    )


@hookimpl
def register_events() -> tuple[EventType, ...]:
    title = "The database was put back to an earlier state"
    return (EventType(name=RESTORED, title=title, permission="events:event:read"),)


@hookimpl
def register_jobs() -> tuple[Job, ...]:
    return (Job(name="events.prune", every_s=60, run=prune),)
