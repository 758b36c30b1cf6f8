"""The counter as a dishonest cashier, an attacker and an accountant would try it."""

import uuid

import pytest

from tillhook.db import format_instant, utc_now
from tillhook.testing import at_once, clean, differences
from tillhook_pos.documents import adopt

TILL = "pos-01"


@pytest.fixture
def bread(make):
    return make.product(price="10.00", stock=1000, category=make.category("Food").id)


def report(client, session, as_="admin"):
    answer = client.get(f"/api/pos/sessions/{session['id']}/report", as_=as_)
    assert answer.status_code == 200, answer.text
    return answer.json


def sold(make, product, till=TILL, **fields):
    return make.sale([(product, 1)], channel="pos", source_device=till, **fields)


def execute(runtime, statement):
    with runtime.unit_of_work() as session:
        session.connection().exec_driver_sql(statement)


# --- other people's drawers --------------------------------------------------------------------------------


def test_nobody_sells_into_a_colleagues_own_drawer(client, make, runtime, bread):
    honest, other = make.user("cashier"), make.user("cashier")
    drawers = [make.session(None, as_=person) for person in (honest, other)]
    sale = sold(make, bread, f"user:{honest.id}", as_=other)
    lines = [{"position": 0, "quantity": "1"}]
    body = {"lines": lines, "source_device": f"user:{honest.id}"}
    assert client.post(f"/api/sales/{sale.id}/returns", body, as_=other).status_code == 201
    sold(make, bread, f"user:{honest.id}", as_=other)
    assert [report(client, each)["sales"]["count"] for each in drawers] == [0, 2]
    assert [make.closed(each)["expected_cash"] for each in drawers] == ["100.00", "110.00"]
    assert clean(runtime)


def test_what_is_adopted_is_in_the_same_drawer(client, make, runtime, bread):
    honest, other = make.user("cashier"), make.user("cashier")
    sale = sold(make, bread, f"user:{honest.id}", as_=other)
    execute(runtime, "DELETE FROM pos_document")
    with runtime.unit_of_work() as session:
        adopt(session)
    with runtime.database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT sale_id, till FROM pos_document").all()
    assert [tuple(row) for row in rows] == [(sale.id, f"user:{other.id}")]


# --- tills out of use --------------------------------------------------------------------------------------


def test_what_a_till_out_of_use_sold_last_comes_onto_a_z_report(client, make, runtime, bread):
    till = make.till(TILL)
    make.closed(make.session(as_="admin"))
    assert client.post(f"/api/pos/tills/{till['id']}/deactivate", {"reason": "stolen"}).status_code == 200
    late = {
        "channel": "pos",
        "external_id": str(uuid.uuid4()),
        "source_device": TILL,
        "warehouse": make.main,
        "client_timestamp": format_instant(utc_now()),
        "items": [{"product_id": bread.id, "quantity": "1"}],
    }
    result = client.post("/api/sales/sync", {"sales": [late]}).json["results"][0]
    assert result["status"] == "created"
    # A cashier does not open it again; who manages tills does, for its last report.
    answer = client.post("/api/pos/sessions", {"till": TILL}, as_="cashier")
    assert answer.status_code == 422 and answer.json["code"] == "pos-till-inactive"
    last = make.closed(make.session(as_="admin"))
    assert (last["number"], last["late"]["numbers"]) == (2, [result["sale"]["sale_number"]])
    assert client.get(f"/api/pos/tills/{till['id']}").json["is_active"] is False
    assert clean(runtime)


def test_a_report_names_so_many_late_documents_and_counts_all(client, make, runtime, bread, monkeypatch):
    monkeypatch.setattr("tillhook_pos.sessions.report.MOST_NUMBERS", 2)
    make.closed(make.session())
    sales = [sold(make, bread) for _ in range(3)]
    late = make.closed(make.session())["late"]
    assert late["count"] == 3 and late["numbers"] == [sale["sale_number"] for sale in sales[:2]]
    assert late["total"] == "30.00" and clean(runtime)


# --- exchanges and small coins in a session ----------------------------------------------------------------


@pytest.mark.parametrize("step", ["0", "0.05"])
def test_a_z_report_agrees_with_the_journal_on_exchanges_and_small_coins(client, make, runtime, step):
    client.patch("/api/settings", {"sales.cash_rounding": step})
    tax = make.tax("0.1").id
    cheap, dear = (make.product(price=price, stock=99, tax=tax) for price in ("1.02", "2.49"))
    session = make.session(as_="admin", warehouse=make.main)

    def exchange(sale, item, **fields):
        body = {
            "channel": "pos",
            "warehouse": make.main,
            "source_device": TILL,
            "items": [{"product_id": item.id, "quantity": "1"}],
            "returns": {"sale_id": sale["id"], "lines": [{"position": 0, "quantity": "1"}]},
            **fields,
        }
        answer = client.post("/api/sales", body)
        assert answer.status_code == 201, answer.text
        return answer.json

    documents = [sold(make, cheap), sold(make, dear), sold(make, dear, payment_method="card")]
    documents += [exchange(documents[0], dear), exchange(documents[1], cheap)]
    # The exchange of an exchange, and what was got by one goes back.
    documents.append(exchange(documents[3], cheap))
    back = {"lines": [{"position": 0, "quantity": "1"}], "source_device": TILL}
    documents.append(client.post(f"/api/sales/{documents[5]['id']}/returns", back).json)
    cancelled = sold(make, cheap)
    client.post(f"/api/sales/{cancelled.id}/cancel", {"reason": "x", "source_device": TILL})
    made = make.closed(session, "100.00")
    units = {name: sum(cents(each[name]) for each in documents) for name in ("total_amount", "cash_rounding")}
    cash = sum(
        cents(payment["amount"]) - cents(payment["change"])
        for each in documents
        for payment in each["payments"]
        if payment["method"] == "cash"
    )
    assert cents(made["net_total"]) == units["total_amount"]
    assert cents(made["cash_rounding"]) == units["cash_rounding"]
    assert cents(made["expected_cash"]) == 10000 + cash
    assert sum(cents(each["net"]) for each in made["tenders"]) == units["total_amount"] + units["cash_rounding"]
    counts = {name: made[name]["count"] for name in ("sales", "returns", "exchanges", "cancellations")}
    assert counts == {"sales": 4, "returns": 1, "exchanges": 3, "cancellations": 1}
    # All that is left of the money for the first one is none.
    assert clean(runtime)


def cents(amount):
    return int(amount.replace(".", ""))


# --- money and goods from nothing --------------------------------------------------------------------------


def test_goods_come_back_once_by_whichever_routes_at_once(client, make, runtime, bread):
    for _ in range(3):
        sale = sold(make, bread, external_id=str(uuid.uuid4()))
        lines = [{"position": 0, "quantity": "1"}]
        document = {"channel": "pos", "source_device": TILL, "items": []}
        named = {"sale_id": sale.id, "lines": lines}
        offline = document | {"external_id": str(uuid.uuid4()), "returns": {"external_id": sale["external_id"]}}
        offline["returns"]["lines"] = lines
        exchanged = document | {"warehouse": make.main, "returns": named}
        exchanged["items"] = [{"product_id": bread.id, "quantity": "1"}]
        counter = {"sale_number": sale["sale_number"], "lines": [{"line_id": sale["items"][0]["id"], "quantity": "1"}]}
        at_once(
            lambda: client.post(f"/api/sales/{sale.id}/returns", {"lines": lines}),  # noqa: B023
            lambda: client.post("/api/sales", document | {"returns": named}),  # noqa: B023
            lambda: client.post("/api/sales", exchanged),  # noqa: B023
            lambda: client.post("/api/pos/returns", counter),  # noqa: B023
            lambda: client.post("/api/sales/sync", {"sales": [offline]}),  # noqa: B023
            lambda: client.post(f"/api/sales/{sale.id}/cancel", {"reason": "x"}),  # noqa: B023
        )
        shown = client.get(f"/api/sales/{sale.id}").json
        assert shown["is_cancelled"] != (shown["items"][0]["returned_quantity"] == "1")
    exchanges = [each for each in client.get("/api/sales").json["items"] if each["kind"] == "exchange"]
    assert make.stock(bread) == 1000 - len(exchanges)
    assert clean(runtime)


# --- tampering ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        ('"number":1,', '"number":7,'),
        ('"counted_cash":"5.00"', '"counted_cash":"6.00"'),
        ('"opening_float":"100.00"', '"opening_float":"90.00"'),
        ('"tax_total":"0.91"', '"tax_total":"0.90"'),
        ('"returns":{"count":0,', '"returns":{"count":1,'),
        ('"gross":"10.00"', '"gross":"9.00"'),
        ('"cash_rounding":"0.00"', '"cash_rounding":"1.00"'),
        ('"cash_in":{"total":"0.00"', '"cash_in":{"total":"3.00"'),
        ('"over_short":"-105.00"', '"over_short":"0.00"'),
    ],
)
def test_verify_finds_a_z_report_that_was_rewritten(client, make, runtime, change):
    session = make.session(as_="admin", warehouse=make.main)
    sold(make, make.product(price="10.00", stock=9, tax=make.tax("0.1", is_inclusive=True).id))
    make.closed(session, "5.00")
    assert clean(runtime)
    with runtime.unit_of_work() as database:
        connection = database.connection()
        written = connection.exec_driver_sql("SELECT CAST(z_report AS TEXT) FROM pos_session").scalar_one()
        compact = written.replace('": ', '":').replace(', "', ',"')
        assert change[0] in compact, compact
        parameters = (compact.replace(*change),)
        mark = "CAST(%s AS json)" if runtime.database.is_postgresql else "?"
        connection.exec_driver_sql(f"UPDATE pos_session SET z_report = {mark}", parameters)
    assert differences(runtime)


def test_verify_finds_a_sale_of_the_counter_that_no_till_has(make, runtime, bread):
    sold(make, bread)
    assert clean(runtime)
    execute(runtime, "DELETE FROM pos_document")
    assert differences(runtime)
