"""Runtimes and applications that serve test after test: making them takes longer than most tests do."""

import copy
from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tillhook.reference import SnapshotCache
from tillhook.server.app import create_app
from tillhook.server.building import build_runtime

if TYPE_CHECKING:
    from tillhook.config import Settings
    from tillhook.db import Database
    from tillhook.runtime import Runtime


class Runtimes:
    """The hooks and declarations of each set of settings, found once; what a test changes of a runtime is its own.

    Args:
        installed: Plugins that stay as they are. With others, which tests write, everything is made anew.
    """

    def __init__(self, installed: Collection[str]) -> None:
        self._installed = frozenset(installed)
        self._made: dict[str, Runtime] = {}

    def of(self, settings: "Settings", database: "Database") -> "Runtime":
        """Return a runtime of the settings, as ``build_runtime`` does."""
        if settings.modules is None or not self._installed.issuperset(settings.modules):
            return build_runtime(settings, database=database)
        key = _without_places(settings)
        if key not in self._made:
            self._made[key] = build_runtime(settings, database=database)
        runtime = copy.copy(self._made[key])
        runtime.settings, runtime.database = settings, database
        runtime.registry = copy.copy(runtime.registry)
        for name, declared in vars(runtime.registry).items():
            setattr(runtime.registry, name, copy.copy(declared) if isinstance(declared, dict) else declared)
        runtime.snapshots = SnapshotCache(runtime.registry)
        return runtime


def _without_places(settings: "Settings") -> str:
    """Return what is set, but for where the data is."""
    values = asdict(settings)
    for place in ("data_dir", "database_url"):
        del values[place]
    return repr(sorted(values.items()))


class _Seat:
    """Stands for the runtime of the test that runs: an application asks it for everything anew."""

    def __init__(self) -> None:
        self.runtime: Runtime | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.runtime, name)


class Applications:
    """One application for each set of routes and settings, given to one runtime after the other."""

    def __init__(self) -> None:
        self._made: dict[Any, tuple[_Seat, Any]] = {}

    def of(self, runtime: "Runtime") -> Any:
        """Return an application for the runtime, which no other uses any more."""
        # Routes are told apart by what they are, so that a plugin that a test writes anew has its own.
        key = (_without_places(runtime.settings), tuple(runtime.registry.routes))
        if key not in self._made:
            seat = _Seat()
            seat.runtime = runtime
            self._made[key] = (seat, create_app(seat))  # type: ignore[arg-type]
        seat, app = self._made[key]
        seat.runtime = runtime
        return app
