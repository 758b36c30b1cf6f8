"""The same documents in any order, doubled, and split into any batches, make the same books.

What depends on the order by its nature is kept out. Which lot serves a line that names none: it is picked from what is
there at that moment. Which of two returns that claim more than there is gets the rest, where one restocks and the
other scraps, or where one of them is an exchange: so a line comes back one way, and exchanges take whole lines that
nothing else takes back. To which of two parts of a line the odd cent falls: so both go back by the same tender. By
which tender money goes back when it is asked for by name and an exchange brought some of it: so none is named then, and
an exchange is paid as its sale was. And the price that an open-priced product was last sold at.
"""

import uuid
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tillhook.testing import clean

AMOUNTS = ("subtotal", "tax_amount", "discount_amount", "total_amount", "cash_rounding")
LOTS = ("A", "B")


def tenths(low, high):
    return st.integers(low, high).map(lambda number: str(Decimal(number) / 10))


LINE = st.fixed_dictionaries(
    {
        "product": st.integers(0, 2),
        "quantity": tenths(10, 35),
        "lot": st.sampled_from(LOTS),
        "discount_per_item": st.sampled_from(["0", "0.07"]),
        "restock": st.booleans(),
    }
)
SALE = st.fixed_dictionaries(
    {
        "lines": st.lists(LINE, min_size=1, max_size=3),
        "discount_amount": st.sampled_from(["0", "0.99"]),
        "pay": st.sampled_from(["cash", "card", "split"]),
        "refund": st.sampled_from([None, "cash", "card", "scrip"]),
        "exchange": st.none() | st.lists(LINE, min_size=1, max_size=2),
    }
)
CLAIM = st.fixed_dictionaries(
    {
        "sale": st.integers(0, 10),
        "lines": st.lists(st.tuples(st.integers(0, 10), tenths(1, 30)), min_size=1, max_size=2),
        "is_of_exchange": st.booleans(),
    }
)


class World:
    """A shop of its own: products that nothing else sells, and documents with ids of their own."""

    def __init__(self, client, make, runtime):
        self.client, self.make, self.runtime = client, make, runtime
        self.before = Counter()
        contained, added = make.tax("0.19", is_inclusive=True), make.tax("0.0825")
        self.products = [
            make.product(price="3.33", stock=100, tax=contained["id"]),
            make.product(price="7.99", stock=100, tax=added["id"]),
            make.product(price="5.01", tracking="lot", tax=added["id"]),
        ]
        for lot in LOTS:
            make.receipt(make.main, [{"product_id": self.products[2]["id"], "quantity": "50", "batch_number": lot}])

    def documents(self, sales, claims):
        """Return bodies: the sales, then what is taken back of them."""
        made = [self._sale(sale) for sale in sales]
        back, swapped = [], []
        for sale, body in zip(sales, made, strict=True):
            swap = None
            if sale["exchange"] is not None:
                swap = self._back(body, [(0, sale["lines"][0]["quantity"], sale["lines"][0]["restock"])])
                swap["items"] = [self._item(line) for line in sale["exchange"]]
                swap["payment_method"] = "card" if sale["pay"] == "card" else "cash"
                back.append(swap)
            swapped.append(swap)
        for claim in claims:
            number = claim["sale"] % len(sales)
            sale, body, swap = sales[number], made[number], swapped[number]
            lines, first = sale["lines"], 0
            if swap is not None and claim["is_of_exchange"]:
                lines, body = sale["exchange"], swap
            elif swap is not None:
                first = 1
            lines = [
                (position, quantity, lines[position]["restock"])
                for position, quantity in {which % len(lines): quantity for which, quantity in claim["lines"]}.items()
                if position >= first
            ]
            if lines:
                document = self._back(body, lines)
                if swap is None and sale["refund"] is not None:
                    document["refund"] = sale["refund"]
                back.append(document)
        return made + back

    def sync(self, bodies):
        if bodies:
            answer = self.client.post("/api/sales/sync", {"sales": bodies})
            assert answer.status_code == 200, answer.text

    def books(self, bodies):
        """Return what stock changed by since the last time, sums of amounts, money by tender, and what came back."""
        ids = "','".join(body["external_id"] for body in bodies)
        variants = ",".join(str(product["id"]) for product in self.products)
        with self.runtime.database.connect() as connection:

            def rows(query):
                return [tuple(map(str, row)) for row in connection.exec_driver_sql(query)]

            levels = rows(
                "SELECT v.product_id, COALESCE(t.batch_number, ''), SUM(l.on_hand) FROM stock_level l"
                " JOIN variant v ON v.id = l.variant_id LEFT JOIN lot t ON t.id = l.lot_id"
                f" WHERE v.product_id IN ({variants}) GROUP BY v.product_id, t.batch_number"
            )
            scrap = rows(
                "SELECT product_id, 'scrap', SUM(quantity) FROM stock_movement"
                f" WHERE destination_id = -4 AND product_id IN ({variants}) GROUP BY product_id"
            )
            sums = ", ".join(f"COALESCE(SUM({name}), 0)" for name in AMOUNTS)
            amounts = rows(f"SELECT {sums} FROM sale WHERE external_id IN ('{ids}')")
            money = Counter()
            for method, net in rows(
                "SELECT p.method, SUM(p.amount - p.change) FROM sale_payment p JOIN sale s ON s.id = p.sale_id"
                f" WHERE s.external_id IN ('{ids}') GROUP BY p.method"
            ):
                money[method] += int(Decimal(net))
            back = rows(
                "SELECT o.external_id, f.line_number, SUM(r.quantity) FROM sale_line r"
                " JOIN sale_line f ON f.id = r.origin_line_id JOIN sale o ON o.id = f.sale_id"
                f" WHERE o.external_id IN ('{ids}') GROUP BY o.external_id, f.line_number"
            )
        order = {body["external_id"]: number for number, body in enumerate(bodies)}
        index = {str(product["id"]): number for number, product in enumerate(self.products)}
        stock, self.before = self.before, Counter()
        self.before.update({(index[product], where): int(Decimal(units)) for product, where, units in levels + scrap})
        moved = {key: units - stock[key] for key, units in self.before.items()}
        return {
            "stock": {key: units for key, units in moved.items() if units},
            "amounts": amounts,
            "money": {method: net for method, net in money.items() if net},
            "back": sorted((order[external_id], *rest) for external_id, *rest in back),
        }

    def waiting(self):
        query = "SELECT COUNT(*) FROM sale_exception WHERE status = 'waiting'"
        with self.runtime.database.connect() as connection:
            return connection.exec_driver_sql(query).scalar_one()

    def _sale(self, sale):
        body = self._document([self._item(line) for line in sale["lines"]])
        body["discount_amount"] = sale["discount_amount"]
        if sale["pay"] == "split":
            body["payments"] = [{"method": "card", "amount": "2.00"}, {"method": "cash", "amount": "500"}]
        else:
            body["payment_method"] = sale["pay"]
        return body

    def _item(self, line):
        product = self.products[line["product"]]
        item = {"product_id": product["id"], "quantity": line["quantity"]}
        item["discount_per_item"] = line["discount_per_item"]
        if line["product"] == 2:
            item["batch_number"] = line["lot"]
        return item

    def _back(self, body, lines):
        lines = [
            {"position": position, "quantity": quantity, "restock": restock} for position, quantity, restock in lines
        ]
        return self._document([]) | {"returns": {"external_id": body["external_id"], "lines": lines}}

    def _document(self, items):
        return {"channel": "counter", "warehouse": self.make.main, "external_id": str(uuid.uuid4()), "items": items}


@pytest.fixture
def worlds(client, make, runtime):
    client.patch("/api/settings", {"sales.cash_rounding": "0.05"})
    make.payment_method("scrip", takes_refunds=True)
    return World(client, make, runtime), World(client, make, runtime)


@pytest.mark.slow
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    sales=st.lists(SALE, min_size=1, max_size=3),
    claims=st.lists(CLAIM, max_size=5),
    random=st.randoms(use_true_random=False),
)
def test_any_order_makes_the_same_books(worlds, runtime, sales, claims, random):
    straight, mixed = worlds
    # Everything is drawn before anything is posted: an example that hypothesis breaks off leaves nothing behind.
    first, second = straight.documents(sales, claims), mixed.documents(sales, claims)
    sent = second + random.sample(second, random.randint(0, len(second)))
    random.shuffle(sent)
    batches = []
    while sent:
        size = random.randint(1, len(sent))
        batches.append(sent[:size])
        sent = sent[size:]
    for world in worlds:
        world.books([])
    for body in first:
        straight.sync([body])
    for batch in batches:
        mixed.sync(batch)
    assert mixed.books(second) == straight.books(first)
    assert mixed.waiting() == 0
    assert clean(runtime)
