"""Which lots a sale took: shown by line, taken back by name or in the order of issue, and who bought one."""

import uuid

import pytest

from tillhook.testing import at_once, clean


@pytest.fixture
def milk(make):
    """Return a product with 3 of the lot SOON and 9 of LATE."""
    product = make.product(name="Milk", price="1.50", unit="l", tracking="lot", price_mode="open")
    receive(make, product, ("LATE", "9", "2150-06-30"), ("SOON", "3", "2149-01-01"))
    return product


def receive(make, product, *lots):
    names = ("batch_number", "quantity", "expiry_date")
    make.receipt(make.main, [{"product_id": product["id"], **dict(zip(names, lot, strict=False))} for lot in lots])


def lots(item):
    return [(lot["batch_number"], lot["quantity"], lot["returned_quantity"]) for lot in item["lots"]]


def in_stock(client, product):
    return {row["batch_number"]: row["on_hand"] for row in client.get(f"/api/inventory/{product['id']}").json["items"]}


def give_back(client, sale, *lines, **fields):
    named = [
        {"line_id": sale["items"][0]["id"], "quantity": quantity} | ({"batch_number": batch} if batch else {})
        for quantity, batch in lines
    ]
    return client.post(f"/api/sales/{sale['id']}/returns", {"lines": named, **fields})


def test_a_line_says_which_lots_it_took(client, make, milk):
    sale = make.sale([(milk, 5), (milk, 1), (make.product(stock=9), 1)], customer_name="Anna")
    two, one, none = sale["items"]
    assert two["lots"] == [
        {"batch_number": "SOON", "expiry_date": "2149-01-01", "quantity": "3", "returned_quantity": "0"},
        {"batch_number": "LATE", "expiry_date": "2150-06-30", "quantity": "2", "returned_quantity": "0"},
    ]
    assert (two["batch_number"], two["expiry_date"]) == (None, None)
    assert lots(one) == [("LATE", "1", "0")]
    assert (one["batch_number"], one["expiry_date"]) == ("LATE", "2150-06-30")
    assert (none["batch_number"], none["expiry_date"], none["lots"]) == (None, None, [])
    assert client.get(f"/api/sales/{sale.id}").json == dict(sale) == client.get("/api/sales").json["items"][0]
    client.post(f"/api/sales/{sale.id}/cancel", {"reason": "x"})
    (cancellation,) = client.get("/api/sales", params={"origin": sale.id}).json["items"]
    assert [lots(item) for item in cancellation["items"]] == [
        [("SOON", "-3", "0"), ("LATE", "-2", "0")],
        [("LATE", "-1", "0")],
        [],
    ]
    assert lots(client.get(f"/api/sales/{sale.id}").json["items"][0]) == lots(two)


def test_a_repeated_and_a_synced_sale_say_it_too(client, make, milk):
    item = {"product_id": milk["id"], "quantity": "5"}
    body = {"channel": "counter", "warehouse": make.main, "external_id": str(uuid.uuid4()), "items": [item]}
    first = client.post("/api/sales", body).json
    assert client.post("/api/sales", body).json == first and len(first["items"][0]["lots"]) == 2
    # More than there is: of the rest nobody knows the lot.
    body |= {"external_id": str(uuid.uuid4()), "items": [item | {"quantity": "9"}]}
    for _ in range(2):
        (result,) = client.post("/api/sales/sync", {"sales": [body]}).json["results"]
        assert lots(result["sale"]["items"][0]) == [("LATE", "7", "0")]


def test_goods_come_back_in_the_order_of_issue(client, make, runtime, milk):
    sale = make.sale([(milk, 5)])
    back = give_back(client, sale, ("2", None)).json["items"][0]
    assert lots(back) == [("SOON", "-2", "0")] and back["batch_number"] == "SOON"
    assert lots(give_back(client, sale, ("2", None)).json["items"][0]) == [("SOON", "-1", "0"), ("LATE", "-1", "0")]
    assert lots(give_back(client, sale, ("0.5", None)).json["items"][0]) == [("LATE", "-0.5", "0")]
    assert lots(client.get(f"/api/sales/{sale.id}").json["items"][0]) == [("SOON", "3", "3"), ("LATE", "2", "1.5")]
    assert in_stock(client, milk) == {"SOON": "3", "LATE": "8.5"} and clean(runtime)


def test_a_return_names_the_lot(client, make, runtime, milk):
    sale = make.sale([(milk, 5)])
    back = give_back(client, sale, ("1", None), ("1", "LATE"), external_id=str(uuid.uuid4()))
    assert [lots(item) for item in back.json["items"]] == [[("SOON", "-1", "0")], [("LATE", "-1", "0")]]
    assert [item["batch_number"] for item in back.json["items"]] == ["SOON", "LATE"]
    for lines, field, code in (
        ([("1", "OTHER")], "lines.0.batch_number", "lot-not-sold"),
        ([("3", "SOON")], "lines.0.quantity", "returns-more-than-sold"),
        ([("1", "LATE"), ("1", "LATE")], "lines.1.quantity", "returns-more-than-sold"),
        ([("4", "SOON")], "lines.0.quantity", "returns-more-than-sold"),
    ):
        answer = give_back(client, sale, *lines)
        assert (answer.status_code, answer.json["code"]) == (422, code), answer.text
        assert [each["field"] for each in answer.json["errors"]] == [field]
    assert in_stock(client, milk) == {"SOON": "1", "LATE": "8"}
    # The named lot is found whatever else comes back before it.
    both = give_back(client, sale, ("2", None), ("1", "SOON"))
    assert [lots(item) for item in both.json["items"]] == [
        [("SOON", "-1", "0"), ("LATE", "-1", "0")],
        [("SOON", "-1", "0")],
    ]
    assert give_back(client, sale, ("1", "SOON")).status_code == 422
    assert in_stock(client, milk) == {"SOON": "3", "LATE": "9"} and clean(runtime)


def test_a_lot_comes_back_at_once_no_more_than_it_was_sold(client, make, runtime, milk):
    sale = make.sale([(milk, 5)])
    answers = at_once(*[lambda: give_back(client, sale, ("1", "LATE"))] * 4)
    assert sorted(answer.status_code for answer in answers) == [201, 201, 422, 422]
    assert in_stock(client, milk) == {"SOON": "0", "LATE": "9"} and clean(runtime)


def test_another_lot_is_another_return(client, make, milk):
    sale, external_id = make.sale([(milk, 5)]), str(uuid.uuid4())
    assert give_back(client, sale, ("1", "LATE"), external_id=external_id).status_code == 201
    assert give_back(client, sale, ("1", "LATE"), external_id=external_id).status_code == 200
    assert give_back(client, sale, ("1", "SOON"), external_id=external_id).status_code == 409


def test_what_the_till_noted_of_goods_without_lots_may_come_back_by_it(client, make):
    tea = make.product(stock=9)
    sale = make.sale([{"product_id": tea["id"], "quantity": "2", "batch_number": "NOTED"}])
    assert give_back(client, sale, ("1", "NOTED")).status_code == 201
    assert give_back(client, sale, ("1", "OTHER")).json["errors"][0]["field"] == "lines.0.batch_number"
    assert make.stock(tea) == 8


@pytest.mark.parametrize("kind", ["exchange", "return"])
def test_an_exchange_names_the_lot(client, make, runtime, milk, kind):
    sale = make.sale([(milk, 5)])
    line = {"line_id": sale["items"][0]["id"], "quantity": "1", "batch_number": "LATE"}
    items = [{"product_id": milk["id"], "quantity": "1"}] if kind == "exchange" else []
    body = {"channel": "counter", "warehouse": make.main, "items": items, "returns": {"sale_id": sale.id}}
    refused = client.post(
        "/api/sales", body | {"returns": {"sale_id": sale.id, "lines": [line | {"batch_number": "X"}]}}
    )
    assert refused.status_code == 422 and refused.json["errors"][0]["field"] == "returns.lines.0.batch_number"
    document = make.post("/api/sales", body | {"returns": {"sale_id": sale.id, "lines": [line]}})
    sold = [[("LATE", "1", "0")]] if items else []
    assert [lots(item) for item in document["items"]] == [*sold, [("LATE", "-1", "0")]] and document["kind"] == kind
    assert client.get(f"/api/sales/{document.id}").json == dict(document) and clean(runtime)


def test_a_synced_return_has_happened_whatever_lot_it_names(client, make, runtime, milk):
    sale = make.sale([(milk, 5)])
    returns = [
        {
            "channel": "counter",
            "warehouse": make.main,
            "external_id": str(uuid.uuid4()),
            "returns": {"sale_id": sale.id, "lines": [line]},
        }
        for line in (
            {"position": 0, "quantity": "1", "batch_number": "LATE"},
            {"position": 0, "quantity": "1", "batch_number": "OTHER"},
        )
    ]
    found = [each["sale"]["items"][0] for each in client.post("/api/sales/sync", {"sales": returns}).json["results"]]
    assert [lots(item) for item in found] == [[("LATE", "-1", "0")], [("SOON", "-1", "0")]]
    assert [item["flags"] for item in found] == [[], ["return-lot-differs"]]
    assert client.get("/api/sales", params={"kind": "return"}).json["items"][0]["flags"] == ["return-lot-differs"]
    assert clean(runtime)


def test_who_bought_a_batch(client, make, milk, runtime):
    contact = {"customer_name": "Anna", "customer_phone": "+49 30 1", "customer_email": "anna@example.com"}
    other = make.product(tracking="lot", price="2.00")
    receive(make, other, ("LATE", "5", "2150-01-01"))
    # SOON and LATE; LATE twice; LATE of another product; no lot at all.
    first = make.sale([(milk, 4)], as_="cashier", **contact)
    second = make.sale([(milk, 1), (milk, 2)], as_="cashier", customer_name="Bert")
    third = make.sale([(other, 1)])
    make.sale([(make.product(stock=5), 1)])
    returned = give_back(client, first, ("1", "LATE")).json

    def bought(as_="admin", **query):
        return [each["id"] for each in client.get("/api/sales", as_=as_, params=query).json["items"]]

    assert bought(batch="LATE") == [third.id, second.id, first.id]
    assert bought(batch="LATE", ordering="sale_date", limit=2) == [first.id, second.id]
    assert bought(batch="LATE", product=milk["id"]) == [second.id, first.id] == bought("cashier", batch="LATE")
    assert bought(batch="SOON") == [first.id] == bought(batch="LATE", search="anna")
    assert bought(batch="NONE") == [] == bought("supplier", batch="LATE") == bought(batch="SOON", product=other["id"])
    assert bought(batch="LATE", kind="return") == [returned["id"]]
    assert (
        bought(batch="LATE", date_to="2020-01-01") == [] == bought(batch="LATE", updated_after=returned["updated_at"])
    )
    shown = client.get("/api/sales", params={"batch": "LATE", "product": milk["id"]}).json["items"][1]
    assert {name: shown[name] for name in contact} == contact
    assert lots(shown["items"][0]) == [("SOON", "3", "0"), ("LATE", "1", "1")]
    assert shown["items"][0]["returned_quantity"] == "1"
    pages = client.get("/api/sales", params={"batch": "LATE", "limit": 2}).json
    rest = client.get("/api/sales", params={"batch": "LATE", "limit": 2, "cursor": pages["next_cursor"]}).json
    assert [each["id"] for each in rest["items"]] == [first.id]
    assert clean(runtime)
