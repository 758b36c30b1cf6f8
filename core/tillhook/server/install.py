"""Making a database ready for this version of the core and its plugins."""

from sqlalchemy.orm import Session

from tillhook.access.roles import sync_roles
from tillhook.config import Settings
from tillhook.db import Database
from tillhook.db.migrate import one_at_a_time, upgrade
from tillhook.events.consumers import introduce
from tillhook.modules.state import names_to_migrate, remember
from tillhook.runtime import Runtime
from tillhook.server.building import build_runtime, open_database

__all__ = ["install"]


def install(settings: Settings, *, safe: bool = False, database: Database | None = None) -> Runtime:
    """Migrate the core and the plugins, enable those that are new, and return the runtime.

    Doing it again changes nothing. Permissions that are new go to their default roles, consumers that are new get
    what happens from now on.

    Args:
        safe: As in :func:`~tillhook.runtime.build_runtime`.
    """
    database = database or open_database(settings)
    runtime = build_runtime(settings, safe=safe, database=database, names=names_to_migrate(settings, database))

    def keep(session: Session) -> None:
        remember(session, runtime.plugins)

    upgrade(database, runtime.migrations, then=keep)
    with runtime.unit_of_work() as session:
        one_at_a_time(session)
        sync_roles(session)
        introduce(session, runtime.registry.consumers.values())
    return runtime
