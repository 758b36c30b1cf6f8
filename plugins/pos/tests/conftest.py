"""The counter's tests run with it, and the core's own test channel, as a shop would have it."""

import pytest


@pytest.fixture
def modules():
    return ("counter", "pos")
