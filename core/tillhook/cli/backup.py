"""``tillhook backup``: a running SQLite shop in one file, which ``tillhook restore`` takes."""

import contextlib
import secrets
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import click
from sqlalchemy import make_url

from tillhook.cli.context import Context, with_context
from tillhook.config import Settings
from tillhook.disk import sync
from tillhook.errors import StartupError

#: Members of the file: the database, and what the data folder has besides.
DATABASE, SECRET, IMAGES = "tillhook.db", "secret", "images"


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_context
def backup(context: Context, file: Path) -> None:
    """Write a running SQLite shop into FILE: the database, the pictures and the secret."""
    settings = context.settings
    database = sqlite_file(
        settings,
        'pg_dump -Fc -f shop.dump "$TILLHOOK_DATABASE_URL" is what backs it up; keep the folder'
        f" {settings.data_dir / IMAGES} and the secret too",
    )
    if not database.exists():
        raise StartupError(f"there is no database {database} yet")
    if file.exists() or not file.parent.is_dir():
        reason = "is there already" if file.exists() else "is in a folder that is not there"
        raise StartupError(f"{file} {reason}")
    with _aside(file) as draft, _aside(file) as copy:
        copy_database(database, copy)
        fault = fault_of(copy)
        if fault:
            raise StartupError(f"{database} is damaged, so there is no backup of it: {fault}")
        with tarfile.open(draft, "w") as archive:
            archive.add(copy, DATABASE)
            _add_data(archive, settings.data_dir)
        sync(draft)
        draft.rename(file)
        sync(file.parent)
    click.echo(f"{file}: {file.stat().st_size / 1e6:,.1f} MB. Whoever has it has the shop: keep it safe.")


def sqlite_file(settings: Settings, advice: str) -> Path:
    """Return the file of the SQLite database.

    Raises:
        StartupError: The database is another one; ``advice`` says what to do there.
    """
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise StartupError(f"this is for SQLite only; with PostgreSQL, {advice}")
    # SQLite, too, keeps the log beside the file itself, wherever a link to it is.
    return Path(url.database).resolve()


def copy_database(source: Path, target: Path) -> None:
    """Copy a SQLite database as it is at one moment, whoever writes to it meanwhile, into one file without a log."""
    with contextlib.closing(_open(source)) as opened, contextlib.closing(_open(target)) as copy:
        opened.backup(copy)
    join_log(target)


def join_log(database: Path) -> None:
    """Make one file of a database that nobody else has open and the log beside it."""
    with contextlib.closing(_open(database)) as opened:
        opened.execute("PRAGMA journal_mode = DELETE")


def fault_of(database: Path) -> str:
    """Say what is wrong with the structure of a SQLite database; nothing when it is sound."""
    try:
        with contextlib.closing(_open(database)) as opened:
            [found] = opened.execute("PRAGMA integrity_check(1)").fetchone()
            strays = opened.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    if found != "ok":
        return str(found)
    return f"a row of {strays[0]} refers to none of {strays[2]}" if strays else ""


def _open(path: Path) -> sqlite3.Connection:
    # Never makes a file that is not there.
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=30, isolation_level=None)


@contextlib.contextmanager
def _aside(file: Path) -> Iterator[Path]:
    """Yield an empty file beside another one, which nobody else may read; it is gone afterwards."""
    path = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    path.touch(0o600, exist_ok=False)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _add_data(archive: tarfile.TarFile, data_dir: Path) -> None:
    if (data_dir / SECRET).exists():
        archive.add(data_dir / SECRET, SECRET)
    # A picture's name is its content's digest: it never changes, and one that is just being written has a dot.
    for path in sorted((data_dir / IMAGES).rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            with contextlib.suppress(FileNotFoundError):
                archive.add(path, str(path.relative_to(data_dir)))
