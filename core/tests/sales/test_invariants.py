"""``verify`` computes the journal's amounts again: it names each kind of damage, and no document that is right."""

import uuid
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tillhook.sales.invariants import documents, lines
from tillhook.testing import clean, damage, differences


def found(runtime):
    return {difference.invariant for difference in differences(runtime)}


@pytest.fixture
def products(make):
    taxes = [make.tax("0.1")["id"], make.tax("0.21", is_inclusive=True)["id"], None]
    return [make.product(price="7.77", stock=1_000_000, price_mode="open", tax=tax, unit="kg") for tax in taxes]


@pytest.fixture
def books(client, make, products):
    """A plain sale, one with an order discount, one returned in part, one cancelled, one exchanged."""
    one, two, three = products
    make.sale([(one, "3"), (two, "1.5")], payments=[{"method": "cash", "amount": "100"}])
    make.sale([(one, 1), (two, 2), (three, 3)], discount_amount="5.55", payment_method="card")
    returned = make.sale([(one, 3)], payment_method="card")
    lines = [{"position": 0, "quantity": "2"}]
    assert client.post(f"/api/sales/{returned.id}/returns", {"lines": lines}).status_code == 201
    cancelled = make.sale([(two, 2)], payment_method="card")
    assert client.post(f"/api/sales/{cancelled.id}/cancel", {"reason": "x"}).status_code == 200
    exchanged = make.sale([(three, 2)])
    make.sale([(one, 5)], returns={"sale_id": exchanged.id, "lines": lines}, payment_method="card")


#: Documents of ``books``.
PLAIN = "(SELECT MIN(id) FROM sale)"
SHARED = "(SELECT MIN(id) FROM sale WHERE discount_amount > 0)"
BACK = "(SELECT id FROM sale WHERE kind = 'return')"
RETURNED = "(SELECT origin_id FROM sale WHERE kind = 'return')"
CANCELLATION = "(SELECT id FROM sale WHERE kind = 'cancellation')"
CANCELLED = "(SELECT origin_id FROM sale WHERE kind = 'cancellation')"
EXCHANGE = "(SELECT id FROM sale WHERE kind = 'exchange')"


@pytest.mark.parametrize(
    ("invariants", "statements"),
    [
        # What a hook could do: the price on the line is not the one that was charged.
        ({"sale lines"}, [f"UPDATE sale_line SET unit_price = 10000 WHERE sale_id = {PLAIN}"]),
        ({"sale lines"}, [f"UPDATE sale_line SET discount_per_item = 100 WHERE sale_id = {PLAIN}"]),
        ({"sale lines"}, [f"UPDATE sale_line SET unit_price = 10000 WHERE sale_id = {EXCHANGE} AND quantity > 0"]),
        # Far more than 64 bits hold.
        (
            {"sale lines"},
            [f"UPDATE sale_line SET unit_price = 999999999999999, quantity = 999999999999999 WHERE sale_id = {SHARED}"],
        ),
        ({"sale lines"}, [f"UPDATE sale_line SET tax_rate = 2200 WHERE tax_inclusive AND sale_id = {PLAIN}"]),
        ({"sale lines"}, [f"UPDATE sale_line SET tax_inclusive = NOT tax_inclusive WHERE sale_id = {PLAIN}"]),
        # A cent of tax from one line to another.
        (
            {"sale lines"},
            [
                "UPDATE sale_line SET tax_amount = tax_amount + CASE line_number WHEN 0 THEN 100 ELSE -100 END"
                f" WHERE sale_id = {PLAIN}"
            ],
        ),
        # The order's discount spread otherwise.
        (
            {"sale lines"},
            [
                "UPDATE sale_line SET discount_share = discount_share + CASE line_number WHEN 1 THEN 100 ELSE -100 END"
                f" WHERE sale_id = {SHARED} AND line_number > 0"
            ],
        ),
        ({"sale lines"}, [f"UPDATE sale_line SET discount_share = -100 WHERE sale_id = {SHARED}"]),
        ({"sale lines"}, [f"UPDATE sale SET tax_rounding = 'line', currency_places = 0 WHERE id = {PLAIN}"]),
        ({"returned lines"}, [f"UPDATE sale_line SET tax_amount = tax_amount + 100 WHERE sale_id = {BACK}"]),
        ({"returned lines"}, [f"UPDATE sale_line SET total_price = total_price + 100 WHERE sale_id = {BACK}"]),
        ({"lines as sold"}, [f"UPDATE sale_line SET unit_price = 10000 WHERE sale_id = {BACK}"]),
        ({"lines as sold"}, [f"UPDATE sale_line SET quantity = -quantity WHERE sale_id = {BACK}"]),
        ({"lines as sold"}, [f"UPDATE sale_line SET tax_amount = 0 WHERE sale_id = {CANCELLATION}"]),
        ({"lines as sold"}, [f"UPDATE sale_line SET origin_line_id = NULL WHERE sale_id = {BACK}"]),
        (
            {"lines as sold"},
            [f"UPDATE sale_line SET quantity = -quantity, origin_line_id = id WHERE sale_id = {PLAIN}"],
        ),
        (
            {"lines as sold"},
            [f"UPDATE sale_line SET quantity = -quantity, origin_line_id = NULL WHERE sale_id = {BACK}"],
        ),
        ({"tenders"}, [f"UPDATE sale_payment SET method = 'card' WHERE sale_id = {PLAIN}"]),
        (
            {"tenders"},
            [
                f"UPDATE sale_payment SET amount = -amount WHERE sale_id = {BACK}",
            ],
        ),
        (
            {"tenders"},
            [f"UPDATE sale_payment SET change = change - 100, amount = amount - 100 WHERE sale_id = {SHARED}"],
        ),
        ({"tenders"}, [f"UPDATE sale_payment SET amount = -amount WHERE sale_id = {SHARED}"]),
        ({"tenders"}, [f"UPDATE sale_payment SET change = amount + 100 WHERE sale_id = {PLAIN}"]),
        # Paid by card, given back in cash; all sums as they were.
        ({"refunds"}, [f"UPDATE sale_payment SET method = 'cash' WHERE sale_id = {BACK}"]),
        ({"refunds"}, [f"UPDATE sale_payment SET method = 'other' WHERE sale_id = {CANCELLATION}"]),
    ],
)
def test_damage_is_named(runtime, books, invariants, statements):
    assert found(runtime) == set()
    damage(runtime, *statements)
    assert invariants <= found(runtime)


def test_a_voucher_may_take_more_than_came_in_by_it(runtime, client, make, products):
    make.payment_method("scrip", takes_refunds=True)
    sale = make.sale([(products[0], 3)], payment_method="card")
    body = {"lines": [{"position": 0, "quantity": "2"}], "refund": "scrip"}
    assert client.post(f"/api/sales/{sale.id}/returns", body).status_code == 201
    assert found(runtime) == set()


def test_a_currency_may_change_between_a_sale_and_its_returns(runtime, client, make, products):
    sale = make.sale([(products[1], "3")])
    lines = {"lines": [{"position": 0, "quantity": "1"}]}
    for places in (0, 3, 2):
        assert client.patch("/api/settings", {"currency": "XTS", "currency_places": places}).status_code == 200
        assert client.post(f"/api/sales/{sale.id}/returns", lines).status_code == 201
        assert found(runtime) == set()


ITEM = st.fixed_dictionaries(
    {
        "product": st.integers(0, 2),
        "quantity": st.integers(1, 90_000).map(lambda units: str(Decimal(units) / 1000)),
        "unit_price": st.integers(0, 30_000).map(lambda cents: str(Decimal(cents) / 100)),
    }
)
DOCUMENT = st.fixed_dictionaries(
    {
        "items": st.lists(ITEM, min_size=1, max_size=4),
        "off_item": st.integers(0, 200),
        "off_order": st.integers(0, 300),
        "method": st.sampled_from(["cash", "card"]),
        "then": st.sampled_from(["nothing", "return", "cancel", "exchange", "offline"]),
        "share": st.integers(1, 12),
    }
)


def _post(client, make, products, document, **fields):
    items = [
        {
            "product_id": products[item["product"]]["id"],
            "quantity": item["quantity"],
            "unit_price": item["unit_price"],
            "discount_per_item": str(min(Decimal(item["unit_price"]), Decimal(document["off_item"]) / 100)),
        }
        for item in document["items"]
    ]
    off = str(Decimal(document["off_order"]) / 100)
    body = {"channel": "counter", "warehouse": make.main, "items": items, "discount_amount": off}
    return client.post("/api/sales", body | {"payment_method": document["method"]} | fields)


def _follow(client, make, products, document, sale):
    """Take something of the sale back, in one way or another."""
    lines = [
        {"position": number, "quantity": str(round(Decimal(item["quantity"]) * document["share"] / 10, 3))}
        for number, item in enumerate(sale["items"])
    ]
    if document["then"] == "return":
        client.post(f"/api/sales/{sale['id']}/returns", {"lines": lines})
        client.post(f"/api/sales/{sale['id']}/returns", {"lines": lines[:1], "refund": "scrip"})
    elif document["then"] == "cancel":
        assert client.post(f"/api/sales/{sale['id']}/cancel", {"reason": "x"}).status_code == 200
    elif document["then"] == "exchange":
        small = document | {"items": document["items"][:1]}
        _post(client, make, products, small, returns={"sale_id": sale["id"], "lines": lines})
    elif document["then"] == "offline":
        # More than was sold: what is left comes back.
        back = {"channel": "counter", "source_device": "till", "external_id": str(uuid.uuid4())}
        back |= {"returns": {"sale_id": sale["id"], "lines": lines}, "refund": "card"}
        client.post("/api/sales/sync", {"sales": [back, {**back, "external_id": str(uuid.uuid4())}]})


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rounding=st.sampled_from(["line", "document"]),
    step=st.sampled_from(["0", "0.05"]),
    posted=st.lists(DOCUMENT, min_size=1, max_size=5),
)
def test_nothing_that_the_journal_posts_is_named(runtime, client, make, products, rounding, step, posted):
    changes = {"tax_rounding": rounding, "sales.cash_rounding": step}
    assert client.patch("/api/settings", changes).status_code == 200
    client.post("/api/payment-methods", {"name": "scrip", "title": "Scrip", "takes_refunds": True})
    for document in posted:
        answer = _post(client, make, products, document)
        if answer.status_code != 201:
            assert answer.json["errors"][0]["field"] == "discount_amount", answer.text
        else:
            _follow(client, make, products, document, answer.json)
    assert clean(runtime)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rounding=st.sampled_from(["line", "document"]),
    document=DOCUMENT,
    column=st.sampled_from(["total_price", "discount_share", "tax_amount"]),
    cents=st.integers(-3, 3).filter(bool),
)
def test_any_other_amount_is_named(runtime, client, make, products, rounding, document, column, cents):
    assert client.patch("/api/settings", {"tax_rounding": rounding}).status_code == 200
    answer = _post(client, make, products, document)
    if answer.status_code != 201:
        return
    damage(runtime)
    line = answer.json["items"][-1]["id"]
    with runtime.unit_of_work() as session:
        connection = session.connection()
        change = f"UPDATE sale_line SET {column} = {column} + {cents * 100} WHERE id = {line}"
        connection.exec_driver_sql(change)
        named = [each.subject for each in (*documents.totals(connection), *lines.sold_lines(connection))]
        session.rollback()
    assert named and all(subject.startswith(f"sale {answer.json['sale_number']}") for subject in named)
