"""A whole day at three tills, two of which go offline, against a shopkeeper's own arithmetic.

The oracle knows nothing of Tillhook: it counts goods on shelves and money in drawers as they change hands. At the end
of the day one till's memory is gone, and its sales come back from the receipts that its customers hold.
"""

import base64
import hashlib
import hmac
import itertools
import json
import random
import uuid
import zlib
from collections import Counter, defaultdict
from decimal import ROUND_HALF_UP, Decimal

import pytest

from tillhook.db import format_instant, utc_now
from tillhook.server.verify import verify

CENT, STEP = Decimal("0.01"), Decimal("0.05")
SALES = 2_000
#: Name, price, tax rate, whether the price contains the tax, digits of a quantity.
GOODS = [
    *[(f"Grocery {number}", Decimal(number * 37 + 49) / 100, "0.1", True, 0) for number in range(24)],
    *[(f"Fruit {number}", Decimal(number * 53 + 119) / 100, "0.1", True, 3) for number in range(8)],
    *[(f"Tool {number}", Decimal(number * 211 + 333) / 100, "0.2", False, 0) for number in range(8)],
]


def half_up(amount, step=CENT):
    """Return the multiple of ``step`` nearest to the amount, halves away from zero."""
    return (amount / step).quantize(Decimal(1), ROUND_HALF_UP) * step


class Books:
    """What the shopkeeper would write down: goods on the shelf, money by till and tender, papers by kind."""

    def __init__(self, stock):
        self.stock = dict(stock)
        self.tenders = Counter()
        self.drawers = defaultdict(Decimal)
        self.papers = Counter()
        self.turnover = Decimal(0)

    def money(self, till, method, amount):
        self.tenders[method] += amount
        if method == "cash":
            self.drawers[till] += amount


class Till:
    """A device: it works out prices by itself, numbers its documents, and keeps them until it can send them."""

    def __init__(self, name, made, shop):
        self.name, self.shop = name, shop
        self.id, self.user, self.secret = made["id"], made["user"], made["code_secret"]
        self.headers = {"Authorization": f"Bearer {made['api_key']}"}
        self.is_offline = False
        self.numbers = itertools.count(1)
        self.queue, self.sold, self.answers = [], [], {}

    def send(self, method, path, body=None, as_=None):
        """Send a request with the till's own key, or as somebody else."""
        return self.shop.client.request(method, path, body, as_=as_, headers=None if as_ else self.headers)

    def document(self, **fields):
        return {
            "external_id": str(uuid.UUID(int=self.shop.random.getrandbits(128), version=4)),
            "channel": "pos",
            "warehouse": self.shop.warehouse,
            "source_device": self.name,
            "device_number": next(self.numbers),
            "client_timestamp": format_instant(utc_now()),
            **fields,
        }

    def post(self, body):
        if self.is_offline:
            self.queue.append(body)
            return
        answer = self.send("POST", "/api/sales", body)
        assert answer.status_code == 201, answer.text
        self.answers[body["external_id"]] = answer.json

    def sell(self):
        shop, chance = self.shop, self.shop.random
        items, due = [], Decimal(0)
        for good in chance.sample(shop.goods, chance.randint(1, 4)):
            quantity = Decimal(chance.randint(1, 3)) if not good.places else Decimal(chance.randint(50, 1500)) / 1000
            discount = half_up(good.price / 10) if chance.random() < 0.1 else Decimal(0)
            price = half_up(quantity * (good.price - discount))
            due += price if good.inclusive else price + half_up(price * good.rate)
            items.append(
                {
                    "product_id": good.id,
                    "quantity": str(quantity),
                    "unit_price": str(good.price),
                    "discount_per_item": str(discount),
                }
            )
        body = self.document(items=items)
        method = chance.choice(["cash", "cash", "card", "split"])
        cash_due = half_up(due, STEP)
        if method == "cash":
            body["payments"] = [{"method": "cash", "amount": str(cash_due + chance.choice([0, 0, 5, 20]))}]
            paid = {"cash": cash_due}
        elif method == "card":
            body["payments"] = [{"method": "card", "amount": str(due)}]
            paid = {"card": due}
        else:
            card = half_up(due / 3)
            body["payments"] = [
                {"method": "card", "amount": str(card)},
                {"method": "cash", "amount": str(half_up(due - card, STEP))},
            ]
            paid = {"card": card, "cash": half_up(due - card, STEP)}
        self.post(body)
        self.sold.append((body, items, due, method))
        self.enter("sale", due, paid, {item["product_id"]: -Decimal(item["quantity"]) for item in items})
        return body

    def take_back(self):
        """Take a whole sale back that was paid in one tender; the money goes the way it came."""
        wanted = [sold for sold in self.sold if sold[3] != "split"]
        if not wanted:
            return
        sold = self.shop.random.choice(wanted)
        self.sold.remove(sold)
        body, items, due, method = sold
        lines = [{"position": number, "quantity": item["quantity"]} for number, item in enumerate(items)]
        returned = {"external_id": body["external_id"], "lines": lines, "reason": "did not like it"}
        self.post(self.document(items=[], returns=returned))
        paid = -half_up(due, STEP) if method == "cash" else -due
        goods = {item["product_id"]: Decimal(item["quantity"]) for item in items}
        self.enter("return", -due, {method: paid}, goods)

    def exchange(self):
        """Take a whole cash sale back and hand out dearer goods, the rest paid by card."""
        wanted = [sold for sold in self.sold if sold[3] == "card"]
        if not wanted:
            return
        sold = self.shop.random.choice(wanted)
        self.sold.remove(sold)
        body, items, due, _ = sold
        lines = [{"position": number, "quantity": item["quantity"]} for number, item in enumerate(items)]
        dear = max((good for good in self.shop.goods if good.inclusive and not good.places), key=lambda g: g.price)
        count = (due // dear.price) + 1
        new = [{"product_id": dear.id, "quantity": str(count), "unit_price": str(dear.price)}]
        rest = count * dear.price - due
        self.post(
            self.document(
                items=new,
                returns={"external_id": body["external_id"], "lines": lines, "reason": "too small"},
                payments=[{"method": "card", "amount": str(rest)}],
            )
        )
        goods = Counter({item["product_id"]: Decimal(item["quantity"]) for item in items})
        goods[dear.id] -= count
        self.enter("exchange", rest, {"card": rest}, goods)

    def enter(self, kind, turnover, paid, goods):
        books = self.shop.books
        books.papers[kind] += 1
        books.turnover += turnover
        for method, amount in paid.items():
            books.money(self.name, method, amount)
        for product, quantity in goods.items():
            books.stock[product] += quantity

    def cancel(self):
        """Have a sale of this till cancelled by somebody who may; the money leaves this drawer again."""
        body, items, due, _ = self.sold.pop(self.shop.random.randrange(len(self.sold)))
        sale = self.answers[body["external_id"]]
        answer = self.shop.client.post(
            f"/api/sales/{sale['id']}/cancel", {"reason": "rung up wrongly", "source_device": self.name}
        )
        assert answer.status_code == 200, answer.text
        paid = {
            payment["method"]: -(Decimal(payment["amount"]) - Decimal(payment["change"]))
            for payment in sale["payments"]
        }
        goods = {item["product_id"]: Decimal(item["quantity"]) for item in items}
        self.enter("cancellation", -due, paid, goods)

    def sync(self):
        """Send what waits in a mess: shuffled, in pieces, some pieces twice because the answer got lost."""
        waiting, self.queue = self.queue, []
        self.shop.random.shuffle(waiting)
        while waiting:
            size = self.shop.random.randint(1, 60)
            piece, waiting = waiting[:size], waiting[size:]
            for _ in range(2 if self.shop.random.random() < 0.3 else 1):
                answer = self.send("POST", "/api/sales/sync", {"sales": piece})
                assert answer.status_code == 200, answer.text

    def drop(self, amount):
        answer = self.send(
            "POST",
            f"/api/pos/sessions/{self.session}/cash",
            {"direction": "out", "amount": str(amount), "reason": "to the safe"},
        )
        assert answer.status_code == 201, answer.text
        self.shop.books.drawers[self.name] -= amount

    def open(self, opening_float, **who):
        body = {"till": self.name, "warehouse": self.shop.warehouse, "opening_float": str(opening_float)}
        answer = self.send("POST", "/api/pos/sessions", body, **who)
        assert answer.status_code == 201, answer.text
        self.session = answer.json["id"]

    def close(self, **who):
        """Count what is in the drawer, piece by piece."""
        counted, counts = self.shop.books.drawers[self.name], {}
        left = counted
        for piece in ("50.00", "10.00", "5.00", "1.00", "0.50", "0.05"):
            pieces, left = divmod(left, Decimal(piece))
            counts[piece] = int(pieces)
        assert not left
        answer = self.send("POST", f"/api/pos/sessions/{self.session}/close", {"counts": counts}, **who)
        assert answer.status_code == 200, answer.text
        answer = self.send("GET", f"/api/pos/sessions/{self.session}/report", **who)
        assert answer.status_code == 200, answer.text
        return answer.json

    def next_day(self, **who):
        """Open the till with what is in the drawer, and close it at once."""
        self.open(self.shop.books.drawers[self.name], **who)
        return self.close(**who)


class Good:
    def __init__(self, id, price, rate, inclusive, places):
        self.id, self.price, self.rate, self.inclusive, self.places = id, price, Decimal(rate), inclusive, places


class Shop:
    """The goods on sale, the books, and a source of chance that is the same in every run."""

    def __init__(self, client, make):
        self.client, self.make, self.warehouse = client, make, make.main
        self.random = random.Random(20260302)
        assert client.patch("/api/settings", {"sales.cash_rounding": "0.05"}).status_code == 200
        taxes = {}
        kilo = make.unit("kilo", precision=3)
        self.goods = []
        for name, price, rate, inclusive, places in GOODS:
            if (rate, inclusive) not in taxes:
                taxes[rate, inclusive] = make.tax(rate, is_inclusive=inclusive)
            fields = {"unit": kilo.code} if places else {}
            tax = taxes[rate, inclusive].id
            product = make.product(name=name, price=str(price), tax=tax, stock="5000", **fields)
            self.goods.append(Good(product.id, price, rate, inclusive, places))
        self.books = Books({good.id: Decimal(5000) for good in self.goods})

    def till(self, name):
        user = self.make.user("cashier")
        made = self.client.post("/api/pos/tills", {"name": name, "warehouse": self.warehouse, "user": user.id})
        assert made.status_code == 201, made.text
        return Till(name, made.json, self)


def receipt_code(till, body):
    """Sign a sale as the device does, by docs/receipt-codes.md alone."""
    items = [
        [item["product_id"], item["quantity"], item["unit_price"], None, item.get("discount_per_item")]
        for item in body["items"]
    ]
    tenders = [[tender["method"], tender["amount"]] for tender in body.get("payments", ())]
    more = {"returns": body["returns"]} if "returns" in body else None
    name = uuid.UUID(body["external_id"]).hex
    head = [name, till.user, body["warehouse"], None, body["device_number"], body["client_timestamp"]]
    content = json.dumps([*head, items, tenders or None, None, None, None, None, more])
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content.encode()) + packer.flush()
    begin = f"TH1.{till.id}.1."
    signature = hmac.digest(bytes.fromhex(till.secret), begin.encode() + packed, hashlib.sha256)[:16]
    return begin + base64.b32encode(signature + packed).decode().rstrip("=")


def by_method(reports):
    """Return what all of the reports together say came in by each tender, late documents too."""
    total = Counter()
    for report in reports:
        for tender in (*report["tenders"], *report["late"]["tenders"]):
            total[tender["method"]] += Decimal(tender["net"])
    return total


def everything(runtime, query):
    with runtime.database.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


@pytest.mark.slow
def test_a_day_at_three_tills(client, make, runtime):
    shop = Shop(client, make)
    books, chance = shop.books, shop.random
    front, garden, market = tills = [shop.till(name) for name in ("front", "garden", "market")]
    for till in tills:
        till.open(Decimal(200))
        books.drawers[till.name] = Decimal(200)

    for number in range(SALES):
        part = number / SALES
        garden.is_offline = 0.2 < part < 0.4 or part > 0.6
        market.is_offline = part > 0.3
        if part in (0.4, 0.75):
            (garden if part == 0.4 else market).sync()
        till = chance.choice(tills)
        till.sell()
        if chance.random() < 0.04:
            till.take_back()
        if chance.random() < 0.02:
            till.exchange()
        if chance.random() < 0.01:
            front.cancel()
        if number % 400 == 399:
            till.drop(Decimal(50))

    # The market's till is closed before it has sent everything; the garden's device falls into the pond.
    lost = [(body, receipt_code(garden, body)) for body in garden.queue]
    garden.queue = []
    assert len(lost) > 100 and len(market.queue) > 100
    first = [till.close() for till in (front, market)]
    first.append(garden.close(as_="admin"))
    market.sync()
    numbers = sorted(body["device_number"] for body, _ in lost)
    seen = next(each for each in client.get("/api/sales/devices").json["items"] if each["name"] == "garden")
    assert seen["last_number"] < numbers[0] and seen["missing"] == []
    answer = client.post(f"/api/pos/tills/{garden.id}/rotate-key", {})
    assert answer.status_code in (200, 201), answer.text
    assert garden.send("GET", "/api/pos/sessions").status_code == 401

    # Customers bring their receipts, in no order, some twice.
    codes = [code for _, code in lost] + [code for _, code in chance.sample(lost, 20)]
    chance.shuffle(codes)
    outcomes = Counter()
    for start in range(0, len(codes), 50):
        answer = client.post(
            "/api/pos/receipts/restore", {"codes": codes[start : start + 50], "reason": "the device is lost"}
        )
        assert answer.status_code == 200, answer.text
        outcomes.update(result.get("error", {}).get("code", result["status"]) for result in answer.json["results"])
    # A return whose sale's receipt has yet to come waits for it.
    assert set(outcomes) <= {"created", "duplicate", "sale-not-synced"} and outcomes["created"] > 250, outcomes
    assert client.get("/api/sales/exceptions", params={"status": "open"}).json["items"] == []
    assert client.get("/api/sales/exceptions", params={"status": "waiting"}).json["items"] == []

    # The next morning the late documents are on the next reports.
    second = [market.next_day(), garden.next_day(as_="admin")]
    assert [report["number"] for report in first + second] == [1, 1, 1, 2, 2]
    assert Decimal(first[0]["over_short"]) == 0
    for before, after in ((first[1], second[0]), (first[2], second[1])):
        assert before["over_short"] == after["late"]["cash"]
        assert after["late"]["count"] > 100 and Decimal(after["over_short"]) == 0

    assert by_method(first + second) == books.tenders
    totals = [Decimal(report["net_total"]) + Decimal(report["late"]["total"]) for report in first + second]
    assert sum(totals) == books.turnover
    kinds = dict(everything(runtime, "SELECT kind, COUNT(*) FROM sale GROUP BY kind"))
    assert kinds == books.papers
    on_hand = everything(
        runtime,
        "SELECT v.product_id, SUM(l.on_hand) FROM stock_level l JOIN variant v ON v.id = l.variant_id"
        f" WHERE l.location_id = {make.main} GROUP BY v.product_id",
    )
    assert {product: Decimal(int(units)) / 10_000 for product, units in on_hand} == books.stock
    today = client.get("/api/pos/dashboard").json["today"]
    assert Decimal(today["sales_amount"]) == books.turnover
    assert [(name, found) for name, found in verify(runtime) if found] == []
