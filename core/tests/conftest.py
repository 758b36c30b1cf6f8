"""What the tests of several areas need: hooks of a test's own, and somebody who comes between."""

from functools import partial

import pytest

from tillhook.testing import plug


@pytest.fixture
def hooked(runtime):
    """Let functions implement the hooks of their names."""
    return partial(plug, runtime)


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
