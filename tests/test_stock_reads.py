"""What ``bin/bench reads`` asks of stock and products, of a small business: the database reads a small part of it.

There are few sales and as many products and receipts as ever: more than 80,000 levels and movements.
"""

import pytest

from bench import filling
from bench.reads import declared
from bench.shops import Shop

#: It puts all products in the order of their sums, however many sales there are, and takes ten seconds to explain.
SORTS_ALL = "low stock by what there is"


@pytest.fixture
def modules():
    return ("pos",)


@pytest.mark.slow
def test_no_request_walks_through_what_grows_with_the_sales(runtime):
    shop = Shop(runtime, filling.LEAST, counted=False)
    walks = [
        f"{read.name}, {read.person}: {reading.rows} rows\n{reading.statement}\n{reading.plan}"
        for read in declared(("stock",))
        if read.name != SORTS_ALL
        for reading in shop.explain(read, as_if_large=True)
        if reading.rows > read.rows
    ]
    assert not walks, "\n\n".join(walks)
