import pytest


@pytest.fixture(scope="session")
def modules():
    return ("telesales",)
