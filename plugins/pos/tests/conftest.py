"""The counter's tests run with it, and the core's own test channel, as a shop would have it."""

import pytest

from tillhook.testing import Factory, Made, key_of


class PosFactory(Factory):
    """What the counter's tests need besides products and sales."""

    def till(self, name: str = "till-1", *, as_="admin", **fields) -> Made:
        """Register a till in the main warehouse."""
        return self.post("/api/pos/tills", {"name": name, "warehouse": self.main, **fields}, as_=as_)

    def session(self, till: str = "pos-01", *, as_="cashier", **fields) -> Made:
        """Open a session with 100.00 in the drawer."""
        return self.post("/api/pos/sessions", {"opening_float": "100.00", "till": till, **fields}, as_=as_)

    def closed(self, session, counted="0", *, as_="admin") -> Made:
        """Close a session; returns its report as anybody then reads it."""
        path = f"/api/pos/sessions/{key_of(session)}"
        self.post(f"{path}/close", {"counted_cash": counted}, as_=as_)
        return Made(self.client.get(f"{path}/report").json)


@pytest.fixture
def modules():
    return ("counter", "pos")


@pytest.fixture
def make_class():
    return PosFactory
