"""What the tests of several areas need: hooks of a test's own, and somebody who comes between."""

from types import SimpleNamespace

import pytest

from tillhook import hookimpl
from tillhook.hooks import HookManager
from tillhook.server.building import AREAS


@pytest.fixture
def hooked(runtime):
    """Let functions implement the hooks of their names."""

    def hook(**functions):
        plugins = [(plugin.name, plugin.hooks) for plugin in runtime.plugins]
        extra = SimpleNamespace(**{name: hookimpl(function) for name, function in functions.items()})
        runtime.hooks = HookManager(AREAS, [*plugins, ("extra", extra)])

    return hook


@pytest.fixture
def come_between(hooked):
    """Have somebody do something after the next document was planned and before it is written."""

    def come(action):
        waiting = [action]

        def validate_movements(session, movements):
            if waiting:
                waiting.pop()()

        hooked(validate_movements=validate_movements)

    return come
