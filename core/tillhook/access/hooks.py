"""What access registers with the core: routes, permissions, settings, jobs, demo users."""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from tillhook import hookimpl
from tillhook.access.demo import create_demo_users
from tillhook.access.passwords import MEMORY_KIB, ROUNDS
from tillhook.access.roles import ROLES
from tillhook.access.routes import routes
from tillhook.access.sessions import forget_old_sessions
from tillhook.access.throttle import forget_old_attempts
from tillhook.access.users import REGISTRATION
from tillhook.config import Settings
from tillhook.hooks import DemoData, Job, Permission, RoleDeclaration, Route, SettingDeclaration, within

PERMISSIONS = (
    Permission(name="access:user:manage", title="Manage users"),
    Permission(name="access:role:manage", title="Manage roles"),
    Permission(name="access:api_key:manage", title="Manage API keys"),
    Permission(name="access:override:give", title="Lend one's rights for one request, by PIN", roles=("manager",)),
    Permission(name="access:audit:read", title="Read the audit log", roles=("accountant",)),
)


SETTINGS = (
    SettingDeclaration(key=REGISTRATION, type=bool, default=False, title="Customers may sign up by themselves"),
    SettingDeclaration(
        key=MEMORY_KIB,
        type=int,
        default=19_456,
        title="Memory that checking a password takes, in KiB",
        check=within(8, 1_048_576),
    ),
    SettingDeclaration(
        key=ROUNDS, type=int, default=2, title="Rounds that checking a password takes", check=within(1, 20)
    ),
)


@hookimpl
def register_routes(settings: Settings) -> Iterable[Route]:
    return routes.all()


@hookimpl
def register_permissions() -> Iterable[Permission]:
    return PERMISSIONS


@hookimpl
def register_roles() -> Iterable[RoleDeclaration]:
    return ROLES


@hookimpl
def register_settings() -> Iterable[SettingDeclaration]:
    return SETTINGS


@hookimpl
def register_jobs() -> Iterable[Job]:
    return (Job(name="access.clean_up", every_s=3600, run=_clean_up),)


@hookimpl
def register_demo_data() -> Iterable[DemoData]:
    return (DemoData(name="access.users", create=create_demo_users, requires=("stock.warehouse",)),)


def _clean_up(session: Session) -> None:
    forget_old_attempts(session)
    forget_old_sessions(session)
