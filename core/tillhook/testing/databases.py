"""A fresh, migrated database for every test: a copy of a template that is made once per session."""

import contextlib
import fcntl
import hashlib
import itertools
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tillhook.testing.postgres import PostgresServer

ENGINES = ("sqlite", "postgresql")

#: Signs the tokens of tests; the same everywhere, so that a token fits each copy of the template.
SECRET = "a secret of the tests, which guards nothing at all"


class Databases:
    """The template databases of a session and their copies.

    Args:
        folder: For SQLite's files; shared by the processes of one session.
        postgres: Started when the first test needs it.
        fill: Migrates the database of a URL and writes what every test expects in it.
    """

    def __init__(self, folder: Path, postgres: PostgresServer, fill: Callable[[str, tuple[str, ...]], None]) -> None:
        self._folder = folder
        self._postgres = postgres
        self._fill = fill
        self._templates: dict[tuple[str, tuple[str, ...]], str] = {}
        self._numbers = itertools.count(1)
        self._connection: Any = None

    def close(self) -> None:
        """Let go of the server."""
        if self._connection is not None:
            self._connection.close()

    @contextlib.contextmanager
    def copy(self, engine: str, modules: tuple[str, ...]) -> Iterator[str]:
        """Yield the URL of a database of its own, which is gone afterwards."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        if engine == "sqlite":
            with self._sqlite_copy(self.template(engine, modules), name) as url:
                yield url
        else:
            with self._postgresql_copy(self.template(engine, modules), name) as url:
                yield url

    def template(self, engine: str, modules: tuple[str, ...]) -> str:
        """Return the file or the name of the template, made first if this is the first test that needs it."""
        key = (engine, modules)
        if key not in self._templates:
            name = "template_" + hashlib.sha256(",".join(modules).encode()).hexdigest()[:12]
            make = self._sqlite_template if engine == "sqlite" else self._postgresql_template
            with self._lock(f"{engine}_{name}") as made_before:
                self._templates[key] = make(name, modules, made_before)
        return self._templates[key]

    @contextlib.contextmanager
    def empty(self, engine: str) -> Iterator[str]:
        """Yield the URL of an empty database, for the tests of migrations."""
        name = f"empty_{os.getpid()}_{next(self._numbers)}"
        if engine == "sqlite":
            try:
                yield f"sqlite:///{self._folder / name}.db"
            finally:
                self._remove_files(name)
        else:
            self._postgres.start()
            with self._postgresql_copy("template1", name) as url:
                yield url

    def _sqlite_template(self, name: str, modules: tuple[str, ...], made_before: bool) -> str:
        path = self._folder / f"{name}.db"
        if not made_before:
            self._remove_files(name)  # what a failed attempt left
            self._fill(f"sqlite:///{path}", modules)
            with contextlib.closing(sqlite3.connect(path)) as connection:
                # Everything into the one file that is copied.
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return str(path)

    def _postgresql_template(self, name: str, modules: tuple[str, ...], made_before: bool) -> str:
        self._postgres.start()
        if not made_before:
            self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            self._execute(f'CREATE DATABASE "{name}"')
            self._fill(self._postgres.url(name), modules)
        return name

    @contextlib.contextmanager
    def _sqlite_copy(self, template: str, name: str) -> Iterator[str]:
        path = self._folder / f"{name}.db"
        shutil.copyfile(template, path)
        try:
            yield f"sqlite:///{path}"
        finally:
            self._remove_files(name)

    @contextlib.contextmanager
    def _postgresql_copy(self, template: str, name: str) -> Iterator[str]:
        # Copying files is the quicker strategy for a small template: no block of it goes through the log.
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        try:
            yield self._postgres.url(name)
        finally:
            self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        import psycopg

        if self._connection is None:
            self._connection = psycopg.connect(self._postgres.url(), autocommit=True)
        self._connection.execute(statement)

    def _remove_files(self, name: str) -> None:
        for file in self._folder.glob(f"{name}.db*"):
            file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[bool]:
        """Hold the making of one template between processes; yields whether another process made it."""
        with (self._folder / f"{name}.lock").open("a+b") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            handle.seek(0)
            yield bool(handle.read())
            handle.write(b"made")
