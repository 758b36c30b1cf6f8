"""Migrations: all or nothing, each distribution for itself, the same on both engines."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

import tillhook.server.building  # noqa: F401 - completes the metadata
from tillhook.db import Base, Database
from tillhook.db.migrate import check, downgrade, progress_of, upgrade
from tillhook.errors import StartupError
from tillhook.hooks import MigrationSource
from tillhook.modules import CORE

REVISION = """
from alembic import op
import sqlalchemy as sa

revision = "{number}"
down_revision = {before!r}

def upgrade():
    {upgrade}

def downgrade():
    {downgrade}
"""


@pytest.fixture
def database(databases, engine_name):
    with databases.empty(engine_name) as url:
        database = Database(url)
        yield database
        database.dispose()


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Make a source of revisions; each is given as two lines of Python."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name, *revisions):
        package = tmp_path / f"{name}_{tmp_path.name}"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        for number, (up, down) in enumerate(revisions, 1):
            before = f"{number - 1:04d}" if number > 1 else None
            text = REVISION.format(number=f"{number:04d}", before=before, upgrade=up, downgrade=down)
            (package / f"{number:04d}_step.py").write_text(text)
        return MigrationSource(name=name, package=package.name, table_prefix=f"{name}_")

    return make


def table(name):
    return f'op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))', f'op.drop_table("{name}")'


def tables(database):
    with database.connect() as connection:
        return set(inspect(connection).get_table_names())


def test_an_empty_database_gets_every_table_and_the_second_time_nothing_happens(database):
    [core] = upgrade(database, [CORE])
    assert (core.name, core.current) == ("tillhook", None)
    assert set(Base.metadata.tables) <= tables(database) | set(_plugins_tables())
    assert upgrade(database, [CORE]) == []


def _plugins_tables():
    mappers = [m for m in Base.registry.mappers if not m.class_.__module__.startswith("tillhook.")]
    return [m.class_.__tablename__ for m in mappers]


def test_the_tables_are_what_the_code_maps(database):
    upgrade(database, [CORE])
    with database.connect() as connection:
        assert check(connection, [CORE]) == []
        connection.execute(text("ALTER TABLE party ADD COLUMN surplus INTEGER"))
        assert "surplus" in "".join(check(connection, [CORE]))


def test_every_source_has_a_version_table_of_its_own(database, source):
    zebra, foal = source("zebra", table("zebra_a"), table("zebra_b")), source("foal", table("foal_a"))
    upgrade(database, [CORE, zebra, foal])
    assert {"alembic_version_tillhook", "alembic_version_zebra", "alembic_version_foal"} <= tables(database)
    with database.connect() as connection:
        states = {each.name: each.current for each in progress_of(connection, [zebra, foal])}
    assert states == {"zebra": "0002", "foal": "0001"}


def test_a_source_that_is_gone_stops_nobody(database, source):
    upgrade(database, [CORE, source("zebra", table("zebra_a"))])
    foal = source("foal", table("foal_a"))
    [done] = upgrade(database, [CORE, foal])
    assert done.name == "foal"
    with database.connect() as connection:
        assert check(connection, [CORE]) == [], "the tables of a plugin that is gone are no drift"


def test_a_failing_revision_leaves_nothing_behind(database, source):
    upgrade(database, [CORE])
    before = tables(database)
    zebra = source("zebra", table("zebra_a"), ('op.execute("SELECT nonsense")', "pass"))
    foal = source("foal", table("foal_a"))
    with pytest.raises(DBAPIError):
        upgrade(database, [CORE, foal, zebra])
    assert tables(database) == before


def test_downgrading_takes_only_the_own_tables(database, source):
    zebra, foal = source("zebra", table("zebra_a")), source("foal", table("foal_a"))
    upgrade(database, [CORE, zebra, foal])
    before = tables(database)
    downgrade(database, zebra)
    assert before - tables(database) == {"zebra_a", "alembic_version_zebra"}


def test_a_table_may_be_made_anew_while_others_refer_to_it(database, source):
    refers = (
        'op.create_table("zebra_foal", sa.Column("id", sa.Integer, sa.ForeignKey("zebra_a.id"), primary_key=True));'
        ' op.execute("INSERT INTO zebra_a VALUES (1)"); op.execute("INSERT INTO zebra_foal VALUES (1)")'
    )
    rebuilt = (
        'b = op.batch_alter_table("zebra_a", recreate="auto"); t = b.__enter__();'
        ' t.add_column(sa.Column("name", sa.Text, sa.CheckConstraint("name <> \'\'", name="named")));'
        ' t.alter_column("id", type_=sa.BigInteger); b.__exit__(None, None, None)'
    )
    zebra = source("zebra", table("zebra_a"), (refers, "pass"), (rebuilt, "pass"))
    upgrade(database, [CORE, zebra])
    with database.unit_of_work() as session:
        assert session.execute(text("SELECT count(*) FROM zebra_foal")).scalar() == 1
        with pytest.raises(DBAPIError):
            session.execute(text("DELETE FROM zebra_a"))
            session.flush()
        session.rollback()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_reference_to_nothing_is_refused_on_sqlite(database, source):
    broken = (
        'op.create_table("zebra_b", sa.Column("id", sa.Integer, sa.ForeignKey("zebra_a.id"), primary_key=True));'
        ' op.execute("INSERT INTO zebra_b VALUES (7)")'
    )
    with pytest.raises(RuntimeError, match="a row of zebra_b refers to nothing in zebra_a"):
        upgrade(database, [source("zebra", table("zebra_a"), (broken, "pass"))])
    assert tables(database) == set()


def test_two_that_migrate_at_once_do_not_meet(database):
    failures, results = [], []
    barrier = threading.Barrier(2)

    def run():
        other = Database(database.address)
        try:
            barrier.wait()
            results.append(upgrade(other, [CORE]))
        except BaseException as error:
            failures.append(error)
        finally:
            other.dispose()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(len(result) for result in results) == [0, 1]


PAYMENT = "INSERT INTO sale_payment (sale_id, method, amount, change, reference) VALUES (1, 'cash', 1, 0, '')"


@pytest.mark.parametrize("name", ["sale", "sale_line", "sale_payment", "stock_document", "stock_movement"])
def test_the_books_refuse_update_and_delete(database, name):
    upgrade(database, [CORE])
    with database.connect() as connection:
        if database.is_postgresql:
            triggers = connection.execute(
                text("SELECT tgname FROM pg_trigger WHERE tgrelid = CAST(:name AS regclass) AND NOT tgisinternal"),
                {"name": name},
            ).scalars()
            assert f"{name}_append_only" in set(triggers)
        else:
            triggers = connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name"), {"name": name}
            ).scalars()
            assert {f"{name}_no_update", f"{name}_no_delete"} <= set(triggers)


@pytest.mark.parametrize("statement", ["UPDATE sale_payment SET amount = 2", "DELETE FROM sale_payment"])
def test_a_row_of_the_books_stays(database, statement):
    upgrade(database, [CORE])
    with database.unit_of_work() as session:
        session.execute(text(PAYMENT))
    with pytest.raises(DBAPIError, match="sale_payment is append-only"), database.unit_of_work() as session:
        session.execute(text(statement))
    with database.unit_of_work(write=False) as session:
        assert session.execute(text("SELECT amount FROM sale_payment")).scalar() == 1


def test_the_first_warehouse_is_number_one(database):
    upgrade(database, [CORE])
    with database.unit_of_work() as session:
        session.execute(
            text(
                "INSERT INTO location (kind, name, address, is_active, created_at, updated_at)"
                " VALUES ('warehouse', 'Shop', '', true, :now, :now)"
            ),
            {"now": "2026-01-01T00:00:00.000000Z"},
        )
        assert session.execute(text("SELECT max(id) FROM location")).scalar() == 1


MODELS = """
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, IdMixin, exact_checks, utc_now


class Herd(IdMixin, Base):
    __tablename__ = "zebra_herd"
    __append_only__ = True

    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    weight: Mapped[Decimal]
    extra: Mapped[dict[str, Any]]
    seen_at: Mapped[datetime] = mapped_column(default=utc_now)

    __table_args__ = (
        *exact_checks("weight"),
        Index("ux_zebra_herd_once", text("coalesce(party_id, 0)"), unique=True),
    )
"""
MAKE = """
import sys
from tillhook.cli.main import main

sys.argv[1:] = ["migrations", "make", "herds of zebras", "--plugin", "zebra"]
main()
"""
APPLY = """
import sys
import tillhook.server.building
import tillhook_zebra.models
from sqlalchemy import inspect
from tillhook.db import Database
from tillhook.db.migrate import check, downgrade, upgrade
from tillhook.hooks import MigrationSource
from tillhook.modules import CORE

zebra = MigrationSource(name="zebra", package="tillhook_zebra.migrations", table_prefix="zebra_")
database = Database(sys.argv[1])
upgrade(database, [CORE, zebra])
with database.connect() as connection:
    assert check(connection, [CORE, zebra]) == [], check(connection, [CORE, zebra])
downgrade(database, zebra)
with database.connect() as connection:
    assert not [t for t in inspect(connection).get_table_names() if "zebra" in t]
    if database.is_postgresql:
        functions = connection.exec_driver_sql("SELECT proname FROM pg_proc WHERE proname ~ 'zebra'")
        assert functions.all() == []
upgrade(database, [CORE, zebra])
"""


def test_a_plugins_revision_is_made_from_its_classes(database, tmp_path):
    """In processes of their own: the classes would stay in this one."""
    from tillhook.testing.plugins import write_plugin

    package = write_plugin(tmp_path, "zebra", "", manifest="migrations='tillhook_zebra.migrations'")
    (tmp_path / package / "models.py").write_text(MODELS)
    revisions = tmp_path / package / "migrations"
    revisions.mkdir()
    (revisions / "__init__.py").touch()
    environment = {
        "PYTHONPATH": ":".join([str(tmp_path), *filter(None, sys.path)]),
        "TILLHOOK_DATA_DIR": str(tmp_path / "data"),
    }

    def run(script, *arguments):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    file = Path(run(MAKE).strip())
    assert file == revisions / "0001_herds_of_zebras.py"
    revision = file.read_text()
    ours = {line for line in revision.splitlines() if "tillhook" in line}
    assert ours == {"from tillhook.db import allow_changes, append_only"}
    assert 'postgresql.JSONB(), "postgresql"' in revision
    assert "ux_zebra_herd_once" in revision
    assert '    append_only("zebra_herd")' in revision and '    allow_changes("zebra_herd")' in revision
    run(APPLY, database.address)


def test_who_names_a_package_of_revisions_that_is_not_there_is_named(database):
    source = MigrationSource(name="foal", package="tillhook_foal.migrations", table_prefix="foal_")
    said = "plugin foal: its manifest says migrations='tillhook_foal.migrations', and there is no such package"
    with pytest.raises(StartupError) as refused:
        upgrade(database, [CORE, source])
    assert str(refused.value) == said
