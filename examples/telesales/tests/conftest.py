import pytest


@pytest.fixture
def modules():
    """The plugins that these tests run with: this one alone."""
    return ("telesales",)
