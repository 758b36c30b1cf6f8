"""Every document of the counter, and no other, is noted with the till that made it."""

import uuid

import pytest
from sqlalchemy import delete

from tillhook_pos.documents import adopt
from tillhook_pos.models import CounterDocument


def notes(runtime):
    with runtime.database.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT s.kind, s.channel, d.till, d.session_id FROM pos_document d"
            " JOIN sale s ON s.id = d.sale_id ORDER BY d.sale_id"
        )
        return [(row[0], row[1], row[2], row[3]) for row in rows]


def test_a_sale_is_noted_with_its_till(make, runtime):
    product = make.product(stock=9)
    make.sale([(product, 1)], channel="pos", source_device="till-1", as_="cashier")
    cashier = make.sale([(product, 1)], channel="pos", as_="cashier").seller
    make.sale([(product, 1)], channel="counter", source_device="till-1")
    assert notes(runtime) == [
        ("sale", "pos", "till-1", None),
        ("sale", "pos", f"user:{cashier}", None),
    ]


@pytest.mark.parametrize("what", ["cancel", "returns"])
def test_what_is_taken_back_is_noted_too(client, make, runtime, what):
    product = make.product(stock=9)
    sale = make.sale([(product, 1)], channel="pos", source_device="till-1")
    body = {"reason": "broken"}
    if what == "returns":
        body["lines"] = [{"line_id": sale["items"][0]["id"], "quantity": "1"}]
    assert client.post(f"/api/sales/{sale.id}/{what}", body, as_="admin").status_code in (200, 201)
    assert [row[0] for row in notes(runtime)] == ["sale", "return" if what == "returns" else "cancellation"]


def test_a_batch_is_noted_sale_by_sale_and_a_refused_one_is_not(client, make, runtime):
    product = make.product(stock=9)
    sales = [
        {
            "external_id": str(uuid.uuid4()),
            "channel": "pos",
            "warehouse": make.main,
            "source_device": f"till-{number}",
            "payment_method": "cash",
            "items": [{"product_id": product.id if number else 999_999, "quantity": "1", "unit_price": "10.00"}],
        }
        for number in range(3)
    ]
    for _ in range(2):
        client.post("/api/sales/sync", {"sales": sales}, as_="admin")
    assert [row[2] for row in notes(runtime)] == ["till-1", "till-2"]


def test_a_sale_that_fails_leaves_no_note(client, make, runtime):
    product = make.product(stock=1)
    body = {"channel": "pos", "warehouse": make.main, "items": [{"product_id": product.id, "quantity": "2"}]}
    assert client.post("/api/sales", body, as_="cashier").status_code == 409
    assert notes(runtime) == []


def test_documents_from_before_the_plugin_are_the_counter_s_too(make, runtime):
    product = make.product(price="3.00", stock=10)
    for who in ("cashier", "admin"):
        make.sale([(product, 1)], channel="pos", as_=who)
    make.sale([(product, 1)], channel="pos", source_device="till-1")
    make.sale([(product, 1)])
    before = notes(runtime)
    with runtime.unit_of_work() as session:
        session.execute(delete(CounterDocument))
    for count in (3, 0):
        with runtime.unit_of_work() as session:
            assert adopt(session) == count
    assert notes(runtime) == before
