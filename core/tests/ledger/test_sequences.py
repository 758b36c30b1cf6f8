"""Any sequence of documents, whatever the policy: levels are what was moved, and undoing all leaves what came in."""

import itertools
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tillhook.errors import DomainError
from tillhook.ledger import POLICIES, Document, StockLine
from tillhook.testing import clean

QUANTITY = st.integers(1, 80).map(lambda tenths: Decimal(tenths) / 10)
#: Lines of the plain product and of the one in lots, either of which may be left out or there twice.
LINES = st.lists(st.tuples(st.sampled_from(["plain", "lots"]), QUANTITY), min_size=1, max_size=3)
NUMBER = st.integers(1, 3)
STEP = st.one_of(
    st.tuples(st.sampled_from(["issue", "restate"]), NUMBER, LINES, st.sampled_from(POLICIES)),
    st.tuples(st.just("restock"), NUMBER, st.integers(0, 2), QUANTITY, st.booleans()),
    st.tuples(st.just("reverse"), NUMBER),
    st.tuples(st.just("receive"), st.sampled_from(["plain", "A", "B"]), QUANTITY),
)


class Books:
    """A shop's documents on products of their own."""

    numbers = itertools.count(1)

    def __init__(self, door, make):
        self.door, self.make = door, make
        self.products = {"plain": make.product(), "lots": make.product(tracking="lot")}
        self.documents = {n: self.next("t.invoice") for n in range(1, 4)}
        self.posted = set()
        self.received = dict.fromkeys(["plain", "lots"], Decimal(0))
        self.scrapped = dict.fromkeys(["plain", "lots"], Decimal(0))

    def do(self, name, *arguments):
        try:
            getattr(self, name)(*arguments)
        except DomainError:
            return

    def issue(self, number, lines, policy):
        if number not in self.posted:
            self.door.issue(*self._lines(lines), document=self.documents[number], policy=policy)
            self.posted.add(number)

    def restate(self, number, lines, policy):
        self.door.restate(*self._lines(lines), document=self.documents[number], policy=policy)
        self.posted.add(number)

    def restock(self, number, line, quantity, scrap):
        moved = self.door.restock(line, quantity, origin=self.documents[number], by=self.next("t.note"), scrap=scrap)
        for movement in moved if scrap else ():
            name = "plain" if movement.product_id == self.products["plain"]["id"] else "lots"
            self.scrapped[name] += movement.quantity

    def reverse(self, number):
        self.door.reverse(self.documents[number], by=self.next("t.void"))

    def receive(self, what, quantity):
        name = "plain" if what == "plain" else "lots"
        lot = {} if what == "plain" else {"batch_number": what, "expiry_date": date(2150, 1, "AB".index(what) + 1)}
        line = StockLine(product_id=self.products[name]["id"], quantity=quantity, **lot)
        self.door.receive(line, document=self.next("t.receipt"))
        self.received[name] += quantity

    def next(self, kind):
        return Document(kind, next(self.numbers))

    def stock(self):
        return {name: Decimal(self.make.stock(product)) for name, product in self.products.items()}

    def _lines(self, lines):
        return [(self.products[name], quantity) for name, quantity in lines]


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=2, max_size=9))
def test_undoing_all_leaves_what_came_in(make, door, runtime, steps):
    books = Books(door, make)
    for step in steps:
        books.do(*step)
    assert clean(runtime)
    for each in (1, 2, 3):
        books.do("reverse", each)
    assert clean(runtime)
    assert books.stock() == {name: books.received[name] - books.scrapped[name] for name in books.products}
    assert [door.moved_by(document) for document in books.documents.values()] == [{}, {}, {}]
