"""The journal's events: one per document, in its transaction, for those who may see it."""

import uuid

from tillhook.events import read_events, sequence_events

SALES = ["sale:created", "sale:returned", "sale:cancelled"]


def recorded(runtime):
    with runtime.unit_of_work() as session:
        sequence_events(session)
    with runtime.unit_of_work(write=False) as session:
        return read_events(session, 0, 1000, SALES)


def test_each_document_records_its_event(client, make, runtime):
    product = make.product(name="Crate", price="2.50", stock=9, unit="kg")
    sold = make.sale([(product, 3)])
    line = {"line_id": sold["items"][0]["id"], "quantity": "0.5"}
    back = client.post(f"/api/sales/{sold.id}/returns", {"lines": [line]}).json
    other = make.sale([(product, 2)])
    client.post(f"/api/sales/{other.id}/cancel", {"reason": "x"})
    exchange = client.post(
        "/api/sales",
        {
            "channel": "counter",
            "warehouse": make.main,
            "items": [{"product_id": product["id"], "quantity": "1"}],
            "returns": {"sale_id": sold.id, "lines": [line]},
        },
    ).json
    events = recorded(runtime)
    assert [(event.name, event.payload["kind"]) for event in events] == [
        ("sale:created", "sale"),
        ("sale:returned", "return"),
        ("sale:created", "sale"),
        ("sale:cancelled", "cancellation"),
        ("sale:created", "exchange"),
    ]
    assert events[0].warehouse_id == make.main
    assert events[0].payload == {
        "sale_id": sold.id,
        "sale_number": sold.sale_number,
        "kind": "sale",
        "origin_id": None,
        "channel": "counter",
        "warehouse_id": make.main,
        "seller_id": sold["seller"],
        "total_amount": 7.5,
        "currency": sold["currency"],
        "items": [{"product_id": product["id"], "product_name": "Crate", "quantity": 3}],
    }
    returned = events[1].payload
    assert (returned["sale_id"], returned["origin_id"], returned["total_amount"]) == (back["id"], sold.id, -1.25)
    assert returned["items"][0]["quantity"] == -0.5
    assert [line["quantity"] for line in events[4].payload["items"]] == [1, -0.5]
    assert events[4].payload["sale_id"] == exchange["id"]


def test_a_repeat_records_nothing(client, make, runtime):
    product = make.product(stock=9)
    sale = {"channel": "counter", "warehouse": make.main, "external_id": str(uuid.uuid4())}
    sale |= {"items": [{"product_id": product["id"], "quantity": "1"}]}
    assert [client.post("/api/sales", sale).status_code for _ in range(2)] == [201, 200]
    client.post("/api/sales/sync", {"sales": [sale, sale | {"external_id": str(uuid.uuid4())}]})
    assert len(recorded(runtime)) == 2


def test_sellers_read_their_own_sales_events_only(client, make):
    product = make.product(stock=9, price="1.00")
    numbers = {who: make.sale([(product, 1)], as_=who).sale_number for who in ("cashier", "supplier", "admin")}

    def seen(who):
        events = client.get("/api/events", params={"after": 0, "limit": 200}, as_=who).json["items"]
        return {event["payload"]["sale_number"] for event in events if event["name"] in SALES}

    assert seen("supplier") == {numbers["supplier"]}
    assert seen("accountant") == seen("admin") == set(numbers.values())
