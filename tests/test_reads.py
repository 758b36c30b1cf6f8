"""What ``bin/bench reads`` asks for, of a small business: the database reads a small part of it for each answer."""

import pytest

from bench import filling
from bench.reads import declared
from bench.shops import Shop
from tillhook.sales import listing

SALES = 2 * filling.LEAST


@pytest.fixture
def modules():
    return ("pos",)


@pytest.mark.slow
def test_no_request_walks_through_what_grows_with_the_sales(runtime, monkeypatch):
    # As few in proportion to the sales as it is of a million, or nearly.
    monkeypatch.setattr(listing, "_FEW", 40)
    monkeypatch.setattr(listing, "_VERY_FEW", 5)
    shop = Shop(runtime, SALES, counted=False)
    walks = []
    for read in declared(("sales",)):
        for reading in shop.explain(read, as_if_large=True):
            if reading.rows > SALES * 2 / 3:
                walks.append(f"{read.name}, {read.person}: {reading.rows} rows\n{reading.statement}\n{reading.plan}")
    assert not walks, "\n\n".join(walks)
