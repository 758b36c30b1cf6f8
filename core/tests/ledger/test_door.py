"""The verbs, as a plugin calls them: a document of anybody's takes goods, gives them back, changes its mind."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from tillhook import ledger
from tillhook.db import utc_now
from tillhook.errors import Conflict
from tillhook.ledger import Document, InsufficientStock, RestockLine, StockLine
from tillhook.testing import clean

RECEIPT = Document("vendors.receipt", 5)
INVOICE, NOTE = Document("invoicing.invoice", 17), Document("invoicing.credit_note", 3)


@pytest.fixture(autouse=True)
def sound(runtime, make):
    yield
    assert clean(runtime)


def lot(product, batch, quantity, expiry="2150-01-01"):
    return StockLine(
        product_id=product["id"], quantity=Decimal(quantity), batch_number=batch, expiry_date=date.fromisoformat(expiry)
    )


def by_lot(client, product):
    levels = client.get("/api/inventory", params={"product": product["id"]}).json["items"]
    return {row["batch_number"]: row["on_hand"] for row in levels}


def test_a_document_of_a_plugin_takes_goods_and_says_which_lots(client, make, door):
    plain, milk = make.product(stock=9), make.product(tracking="lot")
    door.receive(lot(milk, "LATE", 5), lot(milk, "SOON", 2, "2149-01-01"))
    issued = door.issue((plain, 4), (milk, 3))
    assert (make.stock(plain), by_lot(client, milk)) == (5, {"SOON": "0", "LATE": "4"})
    assert [(each.batch_number, each.quantity) for each in issued.lots[1]] == [("SOON", 2), ("LATE", 1)]
    assert issued.document == INVOICE and 0 not in issued.lots
    rows = client.get("/api/inventory/movements", params={"document_type": "invoicing.invoice"}).json["items"]
    assert {(row["document_id"], row["effect"]) for row in rows} == {(17, "issue")}


def test_one_short_document_does_not_hold_up_the_others(make, door, runtime):
    product = make.product(stock=5)
    wanted = [(Document("t.doc", n), quantity) for n, quantity in enumerate((3, 3, 2), 1)]
    asked = []

    def alongside(issued):
        asked.append([each.document.id for each in issued])
        return {}

    with runtime.unit_of_work() as session:
        issues = [door.document([(product, quantity)], document) for document, quantity in wanted]
        results = ledger.issue_many(session, issues, alongside=alongside)
    assert [isinstance(each, InsufficientStock) for each in results] == [False, True, False]
    assert asked == [[1, 3]] and make.stock(product) == 0


def test_the_policy_is_found_by_the_door(client, make, door):
    product = make.product(stock=3)
    with pytest.raises(InsufficientStock):
        door.issue((product, 5))
    client.put("/api/stock-policies", {"policy": "absorb", "product_id": product["id"]})
    door.issue((product, 5))
    assert make.stock(product) == 0
    door.reverse()
    assert make.stock(product) == 3


def test_goods_come_back_into_the_lots_they_were_taken_from(client, make, door):
    milk = make.product(tracking="lot")
    door.receive(lot(milk, "LATE", 5), lot(milk, "SOON", 2, "2149-01-01"))
    door.issue((milk, 4))
    door.restock(0, 3)
    assert by_lot(client, milk) == {"SOON": "2", "LATE": "4"}
    with pytest.raises(Conflict, match="Only 1 of line 0"):
        door.restock(0, 2, by=Document("invoicing.credit_note", 4))
    door.restock(0, 1, by=Document("invoicing.credit_note", 5), scrap=True)
    assert by_lot(client, milk) == {"SOON": "2", "LATE": "4"} and door.moved_by() == {}


def test_a_named_lot_comes_back(client, make, door):
    milk = make.product(tracking="lot")
    door.receive(lot(milk, "LATE", 5), lot(milk, "SOON", 2, "2149-01-01"))
    door.issue((milk, 4))
    door.restock(0, 2, batch_number="SOON")
    assert by_lot(client, milk) == {"SOON": "2", "LATE": "3"}
    with pytest.raises(Conflict):
        door.restock(0, 1, batch_number="SOON", by=Document("invoicing.credit_note", 4))


def test_what_a_service_moved_comes_back_as_nothing(make, door):
    service = make.product(tracking="none")
    door.issue((service, 2))
    assert door.restock(0, 2) == ()


def test_a_document_is_reversed_once(make, door):
    product = make.product(stock=9)
    door.issue((product, 4))
    door.restock(0, 1)
    door.reverse(by=Document("t.void", 1))
    assert make.stock(product) == 9 and door.moved_by() == {}
    with pytest.raises(Conflict) as refused:
        door.reverse(by=Document("t.void", 2))
    assert refused.value.code == "already-reversed" and make.stock(product) == 9
    with pytest.raises(Conflict):
        door.restate((product, 1))
    with pytest.raises(Conflict):
        door.restock(0, 1, by=Document("t.note", 9))


def test_a_reversal_is_reversed(make, door):
    product = make.product(stock=9)
    door.issue((product, 4))
    door.reverse(by=Document("t.void", 1))
    door.reverse(Document("t.void", 1), by=Document("t.void", 2))
    assert make.stock(product) == 5 and door.moved_by() == {(0, "issue"): 4}
    door.reverse(by=Document("t.void", 3))
    assert make.stock(product) == 9


def test_a_return_is_reversed_and_can_be_made_again(make, door):
    product = make.product(stock=9)
    door.issue((product, 4))
    door.restock(0, 4)
    door.reverse(NOTE, by=Document("t.void", 1))
    assert make.stock(product) == 5
    door.restock(0, 3, by=Document("t.note", 9))
    assert make.stock(product) == 8 and door.moved_by() == {(0, "issue"): 1}


def test_a_receipt_is_reversed_though_its_goods_are_sold(make, door):
    product = make.product()
    door.receive(StockLine(product_id=product["id"], quantity=Decimal(5), unit_cost=Decimal("1.20")))
    door.issue((product, 4))
    door.reverse(RECEIPT)
    assert make.stock(product) == -4


def test_restating_moves_the_difference(client, make, door):
    milk, plain = make.product(tracking="lot"), make.product(stock=5)
    door.receive(lot(milk, "LATE", 9), lot(milk, "SOON", 2, "2149-01-01"))
    door.issue((milk, 5), (plain, 1))
    more = door.restate((milk, 8), (plain, 1))
    assert by_lot(client, milk) == {"SOON": "0", "LATE": "3"}
    assert [(m.effect, m.quantity) for m in more.movements] == [("issue.2", 3)]
    door.restate((milk, 1), (plain, 1))
    assert by_lot(client, milk) == {"SOON": "1", "LATE": "9"}
    door.restate((milk, 1))
    assert make.stock(plain) == 5
    assert door.restate((milk, 1)).movements == ()
    door.restate((milk, 4), (plain, 5))
    door.reverse()
    assert (make.stock(plain), by_lot(client, milk)) == (5, {"SOON": "2", "LATE": "9"})


def test_restating_lower_is_as_if_it_had_been_issued_so(make, door):
    product = make.product(stock=3)
    door.issue((product, 5), policy="absorb")
    door.restate((product, 3), policy="absorb")
    assert make.stock(product) == 0 and door.moved_by() == {(0, "issue"): 3}
    door.restate((product, 6), policy="absorb")
    door.restate((product, 2), policy="absorb")
    assert make.stock(product) == 1
    door.reverse()
    assert make.stock(product) == 3


def test_restating_takes_more_by_the_policy(make, door):
    product = make.product(stock=3)
    door.issue((product, 2))
    with pytest.raises(InsufficientStock) as refused:
        door.restate((product, 4))
    assert refused.value.extra["short_lines"][0]["available"] == "1"
    door.restate((product, 4), policy="allow")
    assert make.stock(product) == -1


def test_a_line_that_changes_its_product_gives_the_first_back(make, door):
    one, other = make.product(stock=3), make.product(stock=3)
    door.issue((one, 2))
    door.restate((other, 3))
    assert (make.stock(one), make.stock(other)) == (3, 0)


def test_what_came_back_is_not_given_back_again(make, door):
    product = make.product(stock=9)
    door.issue((product, 8))
    door.restock(0, 6)
    door.restate((product, 7))
    assert make.stock(product) == 8
    with pytest.raises(Conflict) as refused:
        door.restate((product, 5))
    assert refused.value.code == "goods-came-back"
    door.reverse(by=Document("t.void", 1))
    assert make.stock(product) == 9


def test_an_exchange_takes_and_takes_back_in_one_document(make, door):
    old, new = make.product(stock=5), make.product(stock=5)
    door.issue((old, 2))
    back = RestockLine(line=1, origin=INVOICE, origin_line=0, quantity=Decimal(2))
    swap = Document("t.swap", 1)
    door.issue((new, 3), document=swap, returns=(back,))
    assert (make.stock(old), make.stock(new)) == (5, 2)
    door.reverse(swap, by=Document("t.void", 1))
    assert (make.stock(old), make.stock(new)) == (3, 5)


def test_rows_go_in_with_the_movements_or_not_at_all(make, door, runtime):
    product = make.product(stock=1)

    def alongside(issued):
        raise AssertionError("asked for the rows of what cannot be posted")

    with pytest.raises(InsufficientStock), runtime.unit_of_work() as session:
        ledger.issue(session, door.document([(product, 2)]), alongside=alongside)


def test_transfers_and_adjustments_of_anybody(make, door, runtime):
    product = make.product(stock=5)
    line = StockLine(product_id=product["id"], quantity=Decimal(2))
    with runtime.unit_of_work() as session:
        move = Document("t.move", 1)
        ledger.transfer(session, move, make.main, (line,), to_warehouse_id=make.other, occurred_at=utc_now())
        less = StockLine(product_id=product["id"], quantity=Decimal(-1))
        ledger.adjust(session, Document("t.loss", 1), make.main, (less,), occurred_at=utc_now())
    assert (make.stock(product), make.stock(product, make.other)) == (2, 2)
    door.reverse(move)
    assert (make.stock(product), make.stock(product, make.other)) == (4, 0)


def test_what_would_be_short_is_said_and_nothing_moves(client, make, door, runtime):
    short, enough, absorbed = make.product(stock=1), make.product(stock=9), make.product(stock=1)
    client.put("/api/stock-policies", {"policy": "absorb", "product_id": absorbed["id"]})
    with runtime.unit_of_work(write=False) as session:
        asked = door.document([(enough, 2), (short, 1), (short, 2), (absorbed, 3)])
        found = ledger.shortages(session, asked)
    assert [(each.line, each.requested, each.available) for each in found] == [(2, 2, 0)]
    assert make.stock(short) == 1 and door.moved_by() == {}


def test_events_of_the_document_go_with_those_of_the_stock(client, make, door, runtime):
    product = make.product(stock=5)
    event = "product:inventory-updated", {"product": {"_id": product["id"], "inventory": "mine"}}, make.main
    with runtime.unit_of_work() as session:
        ledger.issue(session, door.document([(product, 2)]), events=lambda: [event])
    told = [each["payload"] for each in client.get("/api/events").json["items"] if each["name"] == event[0]]
    assert [payload["product"]["inventory"] for payload in told][-2:] == ["mine", 3]


@pytest.mark.parametrize("verb", ["issue", "restate"])
def test_two_lines_of_one_number_are_a_mistake(make, door, runtime, verb):
    one, lots = make.product(stock=5), make.product(tracking="lot")
    door.receive(lot(lots, "A", 5))
    if verb == "restate":
        door.issue((one, 2))
    wanted = door.document([(one, 2), (lots, 3)])
    twice = replace(wanted, lines=[replace(line, line=0) for line in wanted.lines])
    with pytest.raises(ValueError, match="same number"), runtime.unit_of_work() as session:
        getattr(ledger, verb)(session, twice)
