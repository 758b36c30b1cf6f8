"""What is in the database that every test starts from, and its migrations up and down."""

import os
import sys
from typing import Self

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from tillhook.access.models import Role, SessionFamily, UserAccount, UserRole, UserWarehouse
from tillhook.access.passwords import hash_password
from tillhook.config import Settings
from tillhook.db import migrate
from tillhook.install import install
from tillhook.ledger.models import Location
from tillhook.reference import bump_epoch
from tillhook.runtime import build_runtime, snapshot_of
from tillhook.testing.databases import SECRET
from tillhook.testing.people import MAIN, OTHER, PASSWORD, ROLES


def settings_of(url: str, modules: tuple[str, ...]) -> Settings:
    """Return settings for a database of the tests."""
    return Settings(database_url=url, secret=SECRET, modules=modules, demo=False)


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment in which another process has these settings and imports the same packages."""
    return {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TILLHOOK_DATABASE_URL": settings.database_url,
        "TILLHOOK_DATA_DIR": str(settings.data_dir),
        "TILLHOOK_DEMO": "0",
        "TILLHOOK_MODULES": ",".join(settings.modules or ()),
        "TILLHOOK_SECRET": settings.secret,
    }


def fill(url: str, modules: tuple[str, ...]) -> None:
    """Migrate the database of ``url`` and write the people and warehouses that every test may count on."""
    runtime = install(settings_of(url, modules))
    try:
        with runtime.unit_of_work() as session:
            _write_people(session, _write_warehouses(session))
            bump_epoch(session)
    finally:
        runtime.dispose()


def _write_warehouses(session: Session) -> int:
    """Return the key of the first."""
    warehouses = [Location(kind="warehouse", name=name) for name in (MAIN, OTHER)]
    for warehouse in warehouses:
        session.add(warehouse)
        session.flush()
    return warehouses[0].id


def _write_people(session: Session, main: int) -> None:
    """Write a user per role, each with a log-in that tokens can name."""
    password_hash = hash_password(PASSWORD, snapshot_of(session).settings)
    for name in ROLES:
        user = UserAccount(
            email=f"{name}@test.com",
            name=name.title(),
            password_hash=password_hash,
            all_warehouses=name in ("admin", "accountant"),
        )
        session.add(user)
        session.flush()
        role_id = session.scalars(select(Role.id).where(Role.name == name)).one()
        session.add(UserRole(user_id=user.id, role_id=role_id))
        session.add(SessionFamily(user_id=user.id))
        if name in ("supplier", "cashier"):
            session.add(UserWarehouse(user_id=user.id, location_id=main))
        session.flush()


class Migrator:
    """Migrations of a database that has none yet; a context manager."""

    def __init__(self, url: str, modules: tuple[str, ...]) -> None:
        self._runtime = build_runtime(settings_of(url, modules))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runtime.dispose()

    def upgrade(self) -> None:
        """Bring every source to its head."""
        migrate.upgrade(self._runtime.database, self._runtime.migrations)

    def downgrade(self, name: str) -> None:
        """Undo every revision of one source."""
        source = next(source for source in self._runtime.migrations if source.name == name)
        migrate.downgrade(self._runtime.database, source)

    def differences(self) -> list[str]:
        """Return what the tables have that the mapped classes have not, and the other way round."""
        with self._runtime.database.connect() as connection:
            return migrate.check(connection, self._runtime.migrations)

    def tables(self) -> list[str]:
        """Return the names of the tables that are there."""
        with self._runtime.database.connect() as connection:
            return inspect(connection).get_table_names()
