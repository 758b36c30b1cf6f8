"""What clients send and the journal does not use: it stops nothing offline, and is kept."""

import json
import uuid

import pytest

from tillhook.testing import clean


@pytest.fixture
def product(make):
    return make.product(price="10.00", stock=50)


@pytest.fixture
def sale(make, product):
    def body(**fields):
        item = {"product_id": product.id, "quantity": "2", **fields.pop("item", {})}
        items = fields.pop("items", [item])
        return {"channel": "counter", "warehouse": make.main, "items": items, **fields}

    return body


def sync(client, body, as_="cashier"):
    answer = client.post("/api/sales/sync", {"sales": [body]}, as_=as_)
    assert answer.status_code == 200, answer.text
    return answer.json["results"][0]


def told(warnings):
    return {each["field"]: each["value"] for each in warnings}


def test_members_that_nobody_knows_are_kept_and_reported_wherever_they_are(client, make, runtime, sale):
    body = sale(
        external_id=str(uuid.uuid4()),
        app={"version": "1.5", "build": 7, "beta": None},
        ratio=0.25,
        item={"colour": "red", "product_id": None, "product_data": {"name": "Bun", "shelf": [1, 2]}, "unit_price": "3"},
        payments=[{"method": "cash", "amount": "10", "drawer": "left"}],
        returns=None,
    )
    result = sync(client, body, as_="supplier")
    kept = {
        "app": {"version": "1.5", "build": 7, "beta": None},
        "ratio": "0.25",
        "items.0.colour": "red",
        "items.0.product_data.shelf": [1, 2],
        "payments.0.drawer": "left",
    }
    assert (result["status"], told(result["warnings"])) == ("created", kept)
    assert all(warning["detail"] for warning in result["warnings"])
    shown = client.get(f"/api/sales/{result['sale']['id']}").json
    assert shown == result["sale"] and told(shown["warnings"]) == kept
    (listed,) = client.get("/api/sales").json["items"]
    assert listed["warnings"] == shown["warnings"]
    # The same again, letter by letter and otherwise, is the same sale.
    for again in (body, {**body, "app": 2}, {name: body[name] for name in body if name != "app"}):
        repeated = sync(client, again, as_="supplier")
        assert (repeated["status"], repeated["sale"]["id"]) == ("duplicate", shown["id"])
        assert told(repeated["warnings"]) == kept
    assert client.get("/api/sales/exceptions").json["items"] == [] and clean(runtime)


def test_members_of_what_comes_back_are_kept_too(client, make, sale):
    sold = client.post("/api/sales", sale()).json
    line = {"position": 0, "quantity": "1", "mood": "sad"}
    body = {"channel": "counter", "returns": {"sale_id": sold["id"], "lines": [line], "by": "post"}}
    result = sync(client, body, as_="admin")
    assert (result["status"], told(result["warnings"])) == (
        "created",
        {"returns.lines.0.mood": "sad", "returns.by": "post"},
    )


@pytest.mark.parametrize("value", ["\U0001f600", 10**30, "x" * 5000, [[[[]]]], {"a.b": {"": 1}}])
def test_whatever_is_in_them_is_kept(client, runtime, sale, value):
    result = sync(client, sale(odd=value, **{"": value, "items.0.quantity": 1}))
    assert result["status"] == "created"
    assert told(result["warnings"]) == {"odd": value, "": value, "items.0.quantity": 1}
    assert client.get(f"/api/sales/{result['sale']['id']}").json["warnings"] == result["warnings"]
    assert clean(runtime)


def test_a_sale_that_is_refused_says_them_too_and_is_accepted_with_them(client, sale):
    body = sale(external_id=str(uuid.uuid4()), customer_id=999999, colour="red")
    result = sync(client, body)
    assert (result["status"], result["error"]["code"]) == ("rejected", "unknown-customer")
    assert told(result["warnings"]) == {"colour": "red"}
    (refused,) = client.get("/api/sales/exceptions").json["items"]
    assert refused["payload"]["colour"] == "red"
    accepted = client.post(f"/api/sales/exceptions/{refused['id']}/accept", {"reason": "x", "customer_id": None})
    assert accepted.status_code == 200 and told(accepted.json["sale"]["warnings"]) == {"colour": "red"}
    assert sync(client, body)["status"] == "duplicate"


def test_a_fault_beside_them_is_named_alone(client, sale):
    result = sync(client, sale(colour="red", item={"quantity": "-1"}))
    assert [each["field"] for each in result["error"]["errors"]] == ["items.0.quantity"]
    assert told(result["warnings"]) == {"colour": "red"}


@pytest.mark.parametrize("path", ["/api/sales", "/api/sales/quote"])
def test_online_they_are_refused_by_name(client, make, sale, path):
    answer = client.post(path, sale(colour="red", item={"size": 3}), as_="cashier")
    assert answer.status_code == 422
    assert {each["field"] for each in answer.json["errors"]} == {"colour", "items.0.size"}


def test_totals_that_agree_leave_no_trace(client, runtime, sale):
    right = {"subtotal": 20, "tax_amount": "0.00", "total_amount": 20.0}
    for posted in (client.post("/api/sales", sale(**right)).json, sync(client, sale(**right))["sale"]):
        assert posted["warnings"] == [] and posted["total_amount"] == "20.00"
    with runtime.database.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sale_sent").scalar_one() == 0
    assert client.get("/api/sales/variances").json == {"items": [], "next_cursor": None}


def test_totals_that_differ_are_ignored_and_reported(client, make, runtime, sale):
    online = client.post("/api/sales", sale(total_amount="19.99", subtotal="20.00"), as_="cashier")
    assert (online.status_code, online.json["total_amount"], online.json["change_due"]) == (201, "20.00", "0.00")
    assert told(online.json["warnings"]) == {"total_amount": "19.99"}
    offline = sync(client, sale(tax_amount=1.1, total_amount=21.100000000000001, source_device="pos-1"))["sale"]
    assert offline["total_amount"] == "20.00" and told(offline["warnings"]) == {
        "tax_amount": "1.10",
        "total_amount": "21.10",
    }
    last, first = client.get("/api/sales/variances").json["items"]
    names = ("sale", "sale_number", "sent_total_amount", "total_amount", "difference")
    assert [first[name] for name in names] == [
        online.json["id"],
        online.json["sale_number"],
        "19.99",
        "20.00",
        "-0.01",
    ]
    assert (last["sale"], last["sent_tax_amount"], last["sent_subtotal"]) == (offline["id"], "1.10", None)
    assert last["difference"] == "1.10" and last["source_device"] == "pos-1" and last["is_offline"]
    quoted = client.post("/api/sales/quote", sale(total_amount="1"), as_="cashier")
    assert quoted.status_code == 200 and quoted.json["total_amount"] == "20.00"
    assert client.post("/api/sales", sale(total_amount="much")).status_code == 422
    assert clean(runtime)


def test_a_sale_does_not_change_with_its_totals(client, sale):
    body = sale(external_id=str(uuid.uuid4()), total_amount="1")
    first = client.post("/api/sales", body)
    again = client.post("/api/sales", {**body, "total_amount": "2"})
    assert (first.status_code, again.status_code) == (201, 200) and again.json == first.json
    assert sync(client, {**body, "subtotal": "3"}, as_="admin")["status"] == "duplicate"


def test_offline_totals_that_are_none_stop_nothing(client, sale):
    result = sync(client, sale(total_amount="much", subtotal=[1], tax_amount=10**20))
    assert result["status"] == "created"
    assert told(result["warnings"]) == {"total_amount": "much", "subtotal": [1], "tax_amount": 10**20}
    assert client.get("/api/sales/variances").json["items"] == []


def test_variances_are_found_by_place_device_person_and_day(client, make, sale):
    product = make.product(stock={make.main: 9, make.other: 9})
    item = {"product_id": product.id, "quantity": "1"}
    here = sync(client, sale(items=[item], total_amount="1", source_device="pos-1"))["sale"]
    long_ago = sync(client, sale(items=[item], total_amount="1", client_timestamp="2026-01-31T10:00:00Z"))["sale"]
    there = sync(client, sale(items=[item], total_amount="1", warehouse=make.other), as_="admin")["sale"]

    def found(as_="admin", **params):
        answer = client.get("/api/sales/variances", params=params, as_=as_)
        assert answer.status_code == 200, answer.text
        return [each["sale"] for each in answer.json["items"]]

    assert found() == [there["id"], long_ago["id"], here["id"]]
    assert found(warehouse=make.other) == [there["id"]] and found(source_device="pos-1") == [here["id"]]
    assert found(seller=here["seller"]) == [long_ago["id"], here["id"]]
    assert found(date_to="2026-02-01") == found(ordering="sale_date", limit=1) == [long_ago["id"]]
    assert found(date_from="2026-02-01") == [there["id"], here["id"]]
    assert found(search=there["sale_number"]) == [there["id"]]
    first = client.get("/api/sales/variances", params={"limit": 2}).json
    assert found(limit=2, cursor=first["next_cursor"]) == [here["id"]]
    assert client.get("/api/sales/variances", as_="cashier").status_code == 403
    # Who sees all sales of one shop sees its variances.
    client.post("/api/roles", {"name": "shop", "permissions": ["sales:sale:read_all"]})
    chief = make.user("shop", warehouses=[make.other])
    assert found(as_=chief) == [there["id"]]
    assert client.get("/api/sales/variances", params={"warehouse": make.main}, as_=chief).status_code == 403


def test_product_is_another_name_of_product_id(client, make, product, sale):
    other = make.product(stock=5)
    named = {"product": product.id, "quantity": "1"}
    for item in (named, {**named, "product_id": product.id}, {**named, "product_id": None}):
        body = sale(items=[item], external_id=str(uuid.uuid4()))
        posted = client.post("/api/sales", body, as_="cashier")
        assert posted.status_code == 201, posted.text
        assert posted.json["items"][0]["product"] == product.id and posted.json["warnings"] == []
        assert sync(client, {**body, "external_id": str(uuid.uuid4())})["status"] == "created"
        same = sale(items=[{"product_id": product.id, "quantity": 1}], external_id=body["external_id"])
        assert client.post("/api/sales", same, as_="cashier").status_code == 200
        assert client.post("/api/sales/quote", body).json["items"][0]["product"] == product.id
    differing = sale(items=[{**named, "product_id": other.id}])
    answer = client.post("/api/sales", differing)
    assert answer.status_code == 422 and [each["field"] for each in answer.json["errors"]] == ["items.0.product"]
    refused = sync(client, differing)
    assert refused["status"] == "rejected"
    (exception,) = client.get("/api/sales/exceptions").json["items"]
    change = {"reason": "x", "products": [{"position": 0, "product_id": other.id}]}
    accepted = client.post(f"/api/sales/exceptions/{exception['id']}/accept", change)
    assert accepted.json["sale"]["items"][0]["product"] == other.id
    for item in ({"quantity": 1}, {**named, "product_data": {"name": "x"}}):
        assert client.post("/api/sales", sale(items=[item])).status_code == 422


@pytest.mark.parametrize("path", ["/api/sales", "/api/sales/quote", "/api/sales/sync"])
def test_a_product_made_at_the_till_brings_its_price(client, make, runtime, sale, path):
    data = {"name": "Bread by weight", "is_volatile": True, "unit_price": "4.00"}
    items = [
        {"product_data": data, "quantity": "0.5"},
        {"product_data": {**data, "name": "Bun"}, "quantity": 1, "unit_price": "3.00"},
    ]
    body = sale(items=items)
    answer = client.post(path, {"sales": [body]} if path.endswith("sync") else body, as_="supplier")
    sold = answer.json["results"][0]["sale"] if path.endswith("sync") else answer.json
    assert [(item["unit_price"], item["total_price"]) for item in sold["items"]] == [("4.00", "2.00"), ("3.00", "3.00")]
    assert sold["total_amount"] == "5.00"
    if not path.endswith("quote"):
        made = client.get(f"/api/products/{sold['items'][0]['product']}").json
        assert (made["tracking"], made["price_mode"], made["status"]) == ("none", "open", "pending")
        assert made["price"] == "4.00"
    assert clean(runtime)


def test_a_cashier_makes_products_when_the_role_may(client, make, runtime, sale):
    body = sale(items=[{"product_data": {"name": "Bun", "is_volatile": True}, "quantity": 2, "unit_price": "1.50"}])
    for path in ("/api/sales", "/api/sales/quote"):
        refused = client.post(path, body, as_="cashier")
        assert (refused.status_code, refused.json["permission"]) == (403, "catalogue:product:create_inline")
        assert refused.json["errors"][0]["field"] == "items.0.product_data"
        assert "catalogue:product:create_inline" in refused.json["errors"][0]["message"]
    kept = sync(client, body)
    assert (kept["status"], kept["error"]["status"]) == ("rejected", 403)
    allowed = ["sales:sale:post", "sales:sale:read", "sales:sale:sync", "catalogue:product:read"]
    client.post("/api/roles", {"name": "stall", "permissions": [*allowed, "catalogue:product:create_inline"]})
    person, other = make.user("stall"), make.user("cashier")
    sold = client.post("/api/sales", body, as_=person)
    assert sold.status_code == 201 and sold.json["total_amount"] == "3.00"
    key = sold.json["items"][0]["product"]
    assert client.get(f"/api/products/{key}").json["status"] == "pending"
    again = sale(items=[{"product_id": key, "quantity": 1}])
    # Who made it sells it again at the price that was remembered, others once it is approved.
    assert client.post("/api/sales", again, as_=person).json["total_amount"] == "1.50"
    assert client.post("/api/sales", again, as_=other).status_code == 422
    assert client.post(f"/api/products/{key}/approve").status_code == 200
    assert client.post("/api/sales", again, as_=other).status_code == 201
    assert sync(client, body, as_=person)["status"] == "created"
    assert clean(runtime)


def test_a_sale_with_hundreds_of_unknown_members_is_refused_and_kept_whole(client, sale):
    body = sale(external_id=str(uuid.uuid4()), **{f"x{number}": number for number in range(300)})
    result = sync(client, body)
    assert (result["status"], len(result["warnings"])) == ("rejected", 100)
    (kept,) = client.get("/api/sales/exceptions").json["items"]
    assert kept["payload"] == body


@pytest.mark.parametrize(
    ("notes", "kept"),
    [(r'"a\u0000b"', "a\ufffdb"), (r'"\ud83d"', "\ufffd"), ("9" * 500, "9" * 500), ('"x","notes":"y"', "y")],
)
def test_what_no_database_takes_refuses_its_own_sale_only(client, sale, notes, kept):
    good, bad = [sale(external_id=str(uuid.uuid4())) for _ in range(2)]
    body = f'{{"sales":[{json.dumps(good)},{json.dumps(bad)[:-1]},"notes":{notes}}}]}}'
    answer = client.request(
        "POST", "/api/sales/sync", body=body, headers={"Content-Type": "application/json"}, as_="cashier"
    )
    first, second = answer.json["results"]
    assert (first["status"], second["status"]) == ("created", "rejected")
    assert (second["external_id"], second["error"]["code"]) == (bad["external_id"], "unusable-body")
    (exception,) = client.get("/api/sales/exceptions").json["items"]
    assert exception["payload"]["notes"] == kept
    # What is not in a sale spoils the whole.
    answer = client.request(
        "POST", "/api/sales/sync", body=rf'{{"sales":[{json.dumps(good)}],"x":"\u0000"}}', as_="cashier",
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert (answer.status_code, answer.json["code"]) == (422, "unusable-body")
