"""Applications that serve test after test: making one takes longer than most tests do."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tillhook.server.app import create_app

if TYPE_CHECKING:
    from tillhook.runtime import Runtime


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
        settings = asdict(runtime.settings)
        for place in ("data_dir", "database_url"):
            del settings[place]
        # Routes are told apart by what they are, so that a plugin that a test writes anew has its own.
        key = (repr(sorted(settings.items())), tuple(runtime.registry.routes))
        if key not in self._made:
            seat = _Seat()
            seat.runtime = runtime
            self._made[key] = (seat, create_app(seat))  # type: ignore[arg-type]
        seat, app = self._made[key]
        seat.runtime = runtime
        return app
