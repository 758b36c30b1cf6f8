"""``tillhook restore``: a backup in the place of a SQLite shop's database.

SQLite plays the log that lies beside a database into it, whatever it belongs to: a backup that is copied over the
database of a crashed shop is broken by that shop's log. So the old files go first, together, and nobody may be there.

What others remember from after the backup must not come true again. Log-ins end. Events go on far above every number
that was given out, so that who reads ``after`` a number misses none. The file of keys stays, so that the key of a sale
that is gone is not given to another one.
"""

import contextlib
import fcntl
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

import click
from sqlalchemy import make_url

from tillhook.cli.backup import DATABASE, IMAGES, SECRET, fault_of, join_log, sqlite_file
from tillhook.cli.context import Context, print_table, with_context
from tillhook.config import Settings
from tillhook.db import format_instant, utc_now
from tillhook.db.folding import register_fold
from tillhook.db.migrate import progress_of
from tillhook.disk import sync
from tillhook.errors import StartupError
from tillhook.events.outbox import RESTORED
from tillhook.server.building import build_runtime
from tillhook.server.verify import verify

#: How far the numbers of events jump: more than any shop has between a backup and its restoring.
JUMP = 1_000_000_000
# What SQLite locks of a database while a connection is open, whether it is used or not: see "The Lock-Byte Page" in
# the description of its file format.
_LOCKED_FROM, _LOCKED = 0x40000000, 512
_LOGS = ("-wal", "-journal")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--discard", is_flag=True, help="Do not keep the present database aside.")
@click.option("--despite-differences", is_flag=True, help="Also when the books in FILE do not add up.")
@with_context
def restore(context: Context, file: Path, yes: bool, discard: bool, despite_differences: bool) -> None:
    """Put FILE, a backup, in the place of the SQLite database, with everything stopped."""
    settings = context.settings
    database = sqlite_file(
        settings,
        "stop everything and run: pg_restore --clean --if-exists --single-transaction"
        ' -d "$TILLHOOK_DATABASE_URL" shop.dump',
    )
    if database.exists() and file.samefile(database):
        raise StartupError(f"{file} is the database itself")
    database.parent.mkdir(parents=True, exist_ok=True)
    with _alone(database), _draft_of(database) as draft:
        _take_database(file, draft)
        if not _adds_up(settings, draft) and not despite_differences:
            raise StartupError(f"the books in {file} do not add up; --despite-differences takes it all the same")
        if not yes:
            click.confirm(f"Put it in the place of {database}? What was posted since is lost.", abort=True)
        _mark(draft)
        _take_data(file, settings.data_dir)
        kept = _swap(draft, database, keep=not discard)
    if kept is not None:
        with contextlib.suppress(sqlite3.DatabaseError):
            join_log(kept)
        click.echo(f"The database that was here is {kept} now.")
    click.echo("Restored. Everybody has to log in again; passwords, users and API keys are those of the backup.")


@contextlib.contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Keep everybody else from opening the database.

    Raises:
        StartupError: Somebody has it open.
    """
    if not database.exists():
        yield
        return
    with database.open("r+b") as opened:
        try:
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCKED, _LOCKED_FROM)
        except OSError as error:
            raise StartupError(f"{database} is in use: stop every server and worker, then restore") from error
        yield


@contextlib.contextmanager
def _draft_of(database: Path) -> Iterator[Path]:
    draft = database.with_name(f"{database.name}.restoring")
    _remove(draft)
    draft.touch(0o600)
    try:
        yield draft
    finally:
        _remove(draft)


def _remove(draft: Path) -> None:
    for path in draft.parent.iterdir():
        if path.name.startswith(draft.name):
            path.unlink()


def _take_database(file: Path, draft: Path) -> None:
    """Write the database of a backup, or of a copy, into ``draft``.

    Raises:
        StartupError: It is none of ours, or damaged, or not whole.
    """
    if tarfile.is_tarfile(file):
        with tarfile.open(file) as archive:
            if DATABASE not in archive.getnames():
                raise StartupError(f"{file} has no {DATABASE}: it was not made by tillhook backup")
            _extract(archive, archive.getmember(DATABASE), draft)
    else:
        for log in _LOGS:
            if Path(f"{file}{log}").exists():
                raise StartupError(
                    f"{file}{log} is there too, so {file} was copied from under a shop and may not be whole."
                    f' If they belong together, sqlite3 {file} ".backup whole.db" joins them'
                )
        shutil.copyfile(file, draft)
    fault = fault_of(draft)
    if fault:
        raise StartupError(f"{file} is damaged, and nothing was changed: {fault}")
    with contextlib.closing(sqlite3.connect(draft)) as opened:
        if not opened.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version_tillhook'").fetchone():
            raise StartupError(f"{file} is no database of Tillhook")


def _take_data(file: Path, data_dir: Path) -> None:
    """Write a backup's secret and pictures into the data folder; what pictures are there stay, for their names say
    their content."""
    if not tarfile.is_tarfile(file):
        return
    with tarfile.open(file) as archive:
        for member in archive:
            if not member.isreg():
                continue
            if member.name == SECRET:
                _extract(archive, member, data_dir / SECRET)
            elif member.name.startswith(f"{IMAGES}/") and not (data_dir / member.name).exists():
                archive.extract(member, data_dir, filter="data")


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    aside = target.with_name(f"{target.name}.restoring.part")
    aside.touch(0o600)
    with aside.open("wb") as written:
        shutil.copyfileobj(cast(IO[bytes], archive.extractfile(member)), written, 1024 * 1024)
    sync(aside)
    aside.replace(target)


def _adds_up(settings: Settings, draft: Path) -> bool:
    """Verify the books in ``draft``, as far as this version can, and print what differs."""
    url = make_url(settings.database_url).set(database=str(draft))
    runtime = build_runtime(replace(settings, database_url=url.render_as_string(hide_password=False)), safe=True)
    try:
        with runtime.database.connect() as connection:
            others = [each.name for each in progress_of(connection, runtime.migrations) if each.is_pending]
        if others:
            click.echo(f"Another version's tables ({', '.join(others)}): run tillhook migrate next, and then verify.")
            return True
        rows = [(name, each.subject, each.expected, each.actual) for name, found in verify(runtime) for each in found]
    finally:
        runtime.dispose()
    if rows:
        print_table(("invariant", "subject", "expected", "actual"), rows)
    return not rows


def _mark(draft: Path) -> None:
    """End all log-ins, and let events go on above every number that was given out since the backup."""
    now = format_instant(utc_now())
    with contextlib.closing(sqlite3.connect(draft)) as opened:
        register_fold(opened)
        opened.execute(
            "UPDATE session_family SET revoked_at = ?, revoked_reason = 'restore' WHERE revoked_at IS NULL", (now,)
        )
        opened.execute(
            "INSERT INTO outbox (seq, name, payload, occurred_at)"
            " SELECT COALESCE(MAX(seq), 0) + ?, ?, '{}', ? FROM outbox",
            (JUMP, RESTORED, now),
        )
        opened.commit()
        opened.execute("PRAGMA journal_mode = DELETE")
    sync(draft)


def _swap(draft: Path, database: Path, *, keep: bool) -> Path | None:
    """Put ``draft`` in the place of the database, whose log goes with it; return where they are kept.

    Killed before its end it leaves the old database without a log, beside the whole of both: to be run again.
    """
    kept = Path(f"{database}.before-restore-{utc_now():%Y%m%dT%H%M%SZ}") if keep and database.exists() else None
    _give_to_owner(draft, database)
    for each in ("", *_LOGS):
        old = Path(f"{database}{each}")
        if kept is not None and old.exists():
            os.link(old, f"{kept}{each}")
    for each in (*_LOGS, "-shm"):
        Path(f"{database}{each}").unlink(missing_ok=True)
    sync(database.parent)
    draft.replace(database)
    sync(database.parent)
    return kept


def _give_to_owner(draft: Path, database: Path) -> None:
    """Let whoever could open the database open the new one, root being who restores, as often as not."""
    if database.exists():
        old = database.stat()
        draft.chmod(old.st_mode & 0o777)
        if os.geteuid() == 0:
            os.chown(draft, old.st_uid, old.st_gid)
