"""What is in the database that every test starts from, and its migrations up and down."""

import os
import sys
from typing import Self

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from tillhook.access import NewUser, create_user
from tillhook.access.models import SessionFamily
from tillhook.access.passwords import MEMORY_KIB, ROUNDS
from tillhook.config import Settings
from tillhook.db import migrate
from tillhook.ledger import create_warehouse
from tillhook.reference import bump_epoch
from tillhook.reference.models import Setting
from tillhook.server.building import build_runtime
from tillhook.server.install import install
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
            # Passwords that cost nothing to check.
            session.add_all([Setting(key=MEMORY_KIB, value=8), Setting(key=ROUNDS, value=1)])
            bump_epoch(session)
        with runtime.unit_of_work() as session:
            main, _ = [create_warehouse(session, name=name) for name in (MAIN, OTHER)]
        with runtime.unit_of_work() as session:
            for role in ROLES:
                _create_person(session, role, main.id)
    finally:
        runtime.dispose()


def _create_person(session: Session, role: str, main: int) -> None:
    """Make the user of a role, with a log-in that tokens can name."""
    command = NewUser(
        email=f"{role}@test.com",
        name=role.title(),
        password=PASSWORD,
        roles=(role,),
        warehouses=(main,) if role in ("manager", "supplier", "cashier") else (),
        all_warehouses=role in ("admin", "accountant"),
    )
    user = create_user(session, command)
    session.flush()
    session.add(SessionFamily(user_id=user.id))
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
