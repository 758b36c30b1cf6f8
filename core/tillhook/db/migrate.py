"""Migrations of the core and of every plugin: one runner, one environment, a version table for each.

All sources migrate in one transaction, under a lock, so that two servers that start together do not meet
and a failing revision leaves nothing behind, on either engine.
"""

import contextlib
import importlib
import tempfile
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from tillhook.db.base import Base
from tillhook.db.dialects import set_limits, wait_in_line
from tillhook.db.locks import AdvisoryLock, advisory_lock
from tillhook.db.render import complete, render_type
from tillhook.db.session import Database
from tillhook.errors import StartupError

if TYPE_CHECKING:
    from tillhook.hooks import MigrationSource


@dataclass(frozen=True)
class Progress:
    """Where one source stands; ``current`` is ``None`` before its first revision."""

    name: str
    current: str | None
    head: str | None

    @property
    def is_pending(self) -> bool:
        return self.current != self.head


def upgrade(
    database: Database,
    sources: "Sequence[MigrationSource]",
    then: Callable[[Session], None] | None = None,
) -> list[Progress]:
    """Bring every source to its head, in the order given.

    Args:
        then: More work for the same transaction, after the last revision.

    Returns:
        Where each source that had something to do stood before.
    """
    with _exclusive(database) as session:
        connection = session.connection()
        behind = [progress for progress in progress_of(connection, sources) if progress.is_pending]
        pending = {progress.name for progress in behind}
        for source in sources:
            if source.name in pending:
                command.upgrade(_config(source, connection, sources), "head")
        if then is not None:
            then(session)
        _check_references(connection)
    return behind


def one_at_a_time(session: Session) -> None:
    """Let this transaction wait for others that migrate or prepare what follows: several servers may start together."""
    wait_in_line(session.connection())
    advisory_lock(session, AdvisoryLock.MIGRATION)


def downgrade(database: Database, source: "MigrationSource") -> None:
    """Take every table of one source away, with all that is in it."""
    with _exclusive(database) as session:
        connection = session.connection()
        command.downgrade(_config(source, connection, [source]), "base")
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {source.version_table}")
        _check_references(connection)


def progress_of(connection: Connection, sources: "Sequence[MigrationSource]") -> list[Progress]:
    """Return where each source stands; only reads."""
    return [Progress(source.name, _current(connection, source), _head(source)) for source in sources]


def check(connection: Connection, sources: "Sequence[MigrationSource]") -> list[str]:
    """Return each difference between the mapped classes and the tables, in Alembic's words."""
    context = MigrationContext.configure(connection, opts=_options(sources, strict=False))
    with _without_warnings():
        return [_described(difference) for difference in compare_metadata(context, Base.metadata)]


def make(sources: "Sequence[MigrationSource]", name: str, folder: Path | None = None) -> Path:
    """Write the next revision of the last source: what its mapped classes have beyond its revisions.

    The present revisions run on a new SQLite file, so no database is needed.

    Args:
        sources: The one to extend, after those it requires.
        name: A few words; they become the file's name.
        folder: Where to write, if not into the source's package.

    Returns:
        The new file.
    """
    source = sources[-1]
    number = f"{len(list(_scripts(source).walk_revisions())) + 1:04d}"
    with tempfile.TemporaryDirectory() as scratch:
        database = Database(f"sqlite:///{scratch}/scratch.db")
        upgrade(database, sources)
        with database.unit_of_work() as session:
            config = _config(source, session.connection(), [source], strict=True)
            target = str(folder or _folder(source))
            with _without_warnings():
                script = command.revision(config, message=name, autogenerate=True, rev_id=number, version_path=target)
        database.dispose()
    assert isinstance(script, Script)
    path = Path(script.path)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "# ###" not in line), encoding="utf-8")
    return path


@contextlib.contextmanager
def _exclusive(database: Database) -> Iterator[Session]:
    with database.connect() as connection:
        if database.is_postgresql:
            with database.transaction(connection) as session:
                # Waiting for another one that migrates may take as long as it takes.
                set_limits(session.connection(), statement_s=0)
                advisory_lock(session, AdvisoryLock.MIGRATION)
                set_limits(session.connection(), statement_s=0, lock_s=10)
                yield session
        else:
            # A table is altered by making it anew; dropping the old one must not touch what refers to it. The
            # switch has no effect within a transaction.
            raw: Any = connection.connection.driver_connection
            raw.execute("PRAGMA foreign_keys = OFF")
            try:
                with database.transaction(connection) as session:
                    yield session
            finally:
                raw.execute("PRAGMA foreign_keys = ON")


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Hide that SQLite's indexes on expressions cannot be compared; PostgreSQL's are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*expression-based index.*")
        yield


def _check_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise RuntimeError(f"after the migrations a row of {broken[0]} refers to nothing in {broken[2]}")


def _folder(source: "MigrationSource") -> Path:
    try:
        return Path(importlib.import_module(source.package).__path__[0])
    except ModuleNotFoundError as error:
        needs = f"its manifest says migrations={source.package!r}, and there is no such package"
        raise StartupError(f"plugin {source.name}: {needs}") from error


def _config(
    source: "MigrationSource",
    connection: Connection,
    sources: "Sequence[MigrationSource]",
    *,
    strict: bool = False,
) -> Config:
    config = _script_config(source)
    options = {**_options(sources, strict=strict), "version_table": source.version_table}
    config.attributes.update(connection=connection, options=options)
    return config


def _script_config(source: "MigrationSource") -> Config:
    config = Config(cmd_opts=Namespace(quiet=True))
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(_folder(source)).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def _scripts(source: "MigrationSource") -> ScriptDirectory:
    return ScriptDirectory.from_config(_script_config(source))


def _head(source: "MigrationSource") -> str | None:
    return _scripts(source).get_current_head()


def _current(connection: Connection, source: "MigrationSource") -> str | None:
    options = {"version_table": source.version_table}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def _options(sources: "Sequence[MigrationSource]", *, strict: bool) -> dict[str, Any]:
    """Return what both running and comparing need; ``strict`` also sees tables that nobody maps any more."""
    owned = _Ownership(sources, strict=strict)
    return {
        "target_metadata": Base.metadata,
        "transactional_ddl": True,  # Alembic believes that SQLite has none
        "render_as_batch": True,
        "compare_type": True,
        "include_object": owned.include,
        "render_item": render_type,
        "process_revision_directives": complete,
    }


class _Ownership:
    """Which tables belong to some sources, so that the others' are left alone."""

    def __init__(self, sources: "Sequence[MigrationSource]", *, strict: bool) -> None:
        self._prefixes = tuple(source.table_prefix for source in sources if source.table_prefix)
        self._core = {
            mapper.local_table.key  # type: ignore[attr-defined]
            for mapper in Base.registry.mappers
            if mapper.class_.__module__.startswith("tillhook.")
        }
        self._with_core = any(not source.table_prefix for source in sources)
        self._strict = strict

    def include(self, item: Any, name: str | None, kind: str, reflected: bool, _other: Any) -> bool:
        if kind != "table" or name is None:
            return True
        if name.startswith("alembic_version_"):
            return False
        if name.startswith(self._prefixes):
            return True
        return self._with_core and (name in self._core or (reflected and self._strict))


def _described(difference: Any) -> str:
    if isinstance(difference, list):
        return "; ".join(_described(each) for each in difference)
    return " ".join(str(part) for part in difference)
