"""Refused sales: accepted with changes or discarded, once, and known when their device sends them again."""

import uuid

import pytest

from tillhook.testing import at_once, clean

pytestmark = pytest.mark.slow


@pytest.fixture
def product(make):
    return make.product(price="10.00", stock=50)


@pytest.fixture
def sale(make, product):
    """Return the body of a sale of two pieces."""

    def body(**fields):
        item = {"product_id": product["id"], "quantity": "2", **fields.pop("item", {})}
        return {
            "channel": "counter",
            "warehouse": make.main,
            "external_id": str(uuid.uuid4()),
            "source_device": "pos-1",
            "items": [item],
            **fields,
        }

    return body


def send(client, body, as_="cashier", **options):
    answer = client.post("/api/sales/sync", {"sales": [body]}, as_=as_, **options)
    assert answer.status_code == 200, answer.text
    return answer.json["results"][0]


def refuse(client, body, as_="cashier"):
    """Send a sale that is refused, and return the exception."""
    result = send(client, body, as_)
    assert result["status"] == "rejected", result
    newest = client.get("/api/sales/exceptions", params={"limit": 1}).json["items"][0]
    assert newest["code"] == result["error"]["code"]
    return newest


def accept(client, exception, as_="admin", **changes):
    return client.post(f"/api/sales/exceptions/{exception['id']}/accept", {"reason": "Seen", **changes}, as_=as_)


def discard(client, exception, as_="admin"):
    return client.post(f"/api/sales/exceptions/{exception['id']}/discard", {"reason": "A test"}, as_=as_)


def show(client, exception, as_="admin"):
    return client.get(f"/api/sales/exceptions/{exception['id']}", as_=as_)


def test_another_customer_makes_it_a_sale_of_its_seller(client, make, runtime, sale, product):
    body = sale(customer_id=999999, notes="by the door", client_timestamp="2026-01-31T14:30:00Z", device_number=1)
    exception = refuse(client, body)
    assert exception["code"] == "unknown-customer"
    anna = make.customer("Anna")
    answer = accept(client, exception, customer_id=anna.id)
    assert answer.status_code == 200, answer.text
    posted = answer.json["sale"]
    cashier = client.get("/api/auth/me", as_="cashier").json["user"]
    assert posted["seller"] == cashier["id"] and posted["source_device"] == "pos-1" and posted["is_offline"]
    assert posted["external_id"] == body["external_id"] and posted["customer_name"] == "Anna"
    assert posted["notes"] == "by the door" and posted["sale_date"].startswith("2026-01-31T14:30:00")
    assert answer.json["status"] == "accepted" and answer.json["sale_id"] == posted["id"]
    assert answer.json["resolution"] == "Seen" and answer.json["resolved_by"] and answer.json["resolved_at"]
    assert show(client, exception).json == {key: value for key, value in answer.json.items() if key != "sale"}
    assert make.stock(product) == 48 and clean(runtime)


def test_a_remedy_is_audited_in_the_name_of_who_gave_it(client, make, sale):
    exception = refuse(client, sale(customer_id=999999))
    sold = accept(client, exception, customer_id=None, customer_name="Anna").json["sale"]
    (entry,) = client.get("/api/audit", params={"entity": "sale_exception"}).json["items"]
    assert entry["action"] == "accept" and entry["actor_name"] == client.get("/api/auth/me").json["user"]["name"]
    assert entry["before"] == {"customer_id": 999999, "customer_name": None, "status": "open"}
    after = {"customer_id": None, "customer_name": "Anna", "status": "accepted", "reason": "Seen", "sale": sold["id"]}
    assert entry["after"] == after


def test_the_devices_next_attempt_is_a_duplicate(client, make, sale, product):
    body = sale(customer_id=999999, item={"quantity": 2, "unit_price": 9.50})
    exception = refuse(client, body)
    sold = accept(client, exception, customer_id=None, warehouse=make.main).json["sale"]
    again = send(client, body)
    assert again["status"] == "duplicate" and again["sale"]["id"] == sold["id"]
    written = {**body, "items": [{**body["items"][0], "quantity": "2.00", "unit_price": "9.5"}]}
    assert send(client, written)["status"] == "duplicate"
    online = client.post("/api/sales", body, as_="cashier")
    assert online.status_code == 200 and online.json["id"] == sold["id"]
    assert make.stock(product) == 48
    assert client.get("/api/sales/exceptions", params={"status": "open"}).json["items"] == []


def test_each_change_is_made_at_its_place(client, make, sale, product):
    other = make.product(price="3.00", stock=50)
    body = sale(
        item={"product_id": 999999, "quantity": "1000"},
        client_timestamp="yesterday",
        discount_amount="x",
        payments=[{"method": "shells", "amount": "1"}],
        surprise=1,
    )
    body["items"].append({"product_id": product["id"], "quantity": "1"})
    exception = refuse(client, body)
    answer = accept(
        client,
        exception,
        products=[{"position": 0, "product_id": other.id}],
        quantities=[{"position": 0, "quantity": "4"}],
        prices=[{"position": 1, "unit_price": "8.00"}],
        client_timestamp="2026-01-31T14:30:00Z",
        discount_amount="1.00",
        payments=[{"method": "card", "amount": "19.00"}],
        customer_name="Anna",
        ignore=["surprise"],
    )
    assert answer.status_code == 200, answer.text
    sold = answer.json["sale"]
    assert [(item["product"], item["quantity"], item["unit_price"]) for item in sold["items"]] == [
        (other.id, "4", "3.00"),
        (product["id"], "1", "8.00"),
    ]
    assert sold["items"][1]["flags"] == ["price-variance"]
    assert (sold["total_amount"], sold["payment_method"], sold["customer_name"]) == ("19.00", "card", "Anna")
    assert make.stock(other) == 46
    # Though nobody could read it, its device is told that it is there now.
    assert send(client, body)["sale"]["id"] == sold["id"]


def test_what_still_is_no_sale_is_named_and_changes_nothing(client, make, sale, product):
    exception = refuse(client, sale(item={"product_id": 999999}))
    wrong = {
        "items.0.product_id": {},
        "products.0.product_id": {"products": [{"position": 0, "product_id": 888888}]},
        "products.0.position": {"products": [{"position": 5, "product_id": product["id"]}]},
        "customer_id": {"products": [{"position": 0, "product_id": product["id"]}], "customer_id": 777777},
        "warehouse": {"warehouse": 777777},
        "reason": {"reason": ""},
        "payment_method": {"payment_method": "card", "payments": [{"method": "card", "amount": "1"}]},
    }
    for field, changes in wrong.items():
        answer = accept(client, exception, **changes)
        assert answer.status_code == 422, answer.text
        assert answer.json["errors"][0]["field"] == field
    assert show(client, exception).json["status"] == "open" and make.stock(product) == 50
    assert client.get("/api/sales").json["items"] == []


def test_what_is_no_object_can_only_be_discarded(client):
    exception = refuse(client, 5)
    assert accept(client, exception).status_code == 422
    assert accept(client, exception, ignore=["value"]).json["errors"][0]["field"] == "items"
    assert discard(client, exception).json["status"] == "discarded"


@pytest.mark.parametrize("route", ["/api/sales", "/api/sales/sync"])
def test_a_reused_id_is_accepted_under_an_id_of_its_own(client, make, sale, product, route):
    first = sale()
    other = {**first, "notes": "another"}
    assert send(client, first)["status"] == "created"
    assert client.post("/api/sales", other, as_="cashier").status_code == 409
    (exception,) = client.get("/api/sales/exceptions").json["items"]
    sold = accept(client, exception).json["sale"]
    assert sold["external_id"] not in (None, first["external_id"]) and sold["notes"] == "another"
    assert accept(client, exception).status_code == 409
    assert make.stock(product) == 46
    body = other if route == "/api/sales" else {"sales": [other]}
    answer = client.post(route, body, as_="cashier").json
    again = answer if route == "/api/sales" else answer["results"][0]["sale"]
    assert again["id"] == sold["id"]
    assert send(client, first)["status"] == "duplicate"
    assert make.stock(product) == 46


def test_it_is_settled_once(client, sale):
    exception = refuse(client, sale(customer_id=999999))
    accepted = accept(client, exception, customer_id=None).json
    for answer in (accept(client, exception, customer_id=None), discard(client, exception)):
        assert answer.status_code == 409
        assert (answer.json["code"], answer.json["sale_id"]) == ("exception-settled", accepted["sale_id"])
    assert show(client, exception).json["status"] == "accepted"


def test_of_many_at_once_one_settles_it(client, make, runtime, sale, product):
    body = sale(customer_id=999999)
    exception = refuse(client, body)
    accepts = [lambda: accept(client, exception, customer_id=None).status_code] * 4
    *accepted, one, other = at_once(*accepts, *[lambda: send(client, body)["status"]] * 2)
    assert sorted(accepted) == [200, 409, 409, 409] and {one, other} <= {"rejected", "duplicate"}
    assert make.stock(product) == 48 and clean(runtime)
    assert len(client.get("/api/sales").json["items"]) == 1
    assert show(client, exception).json["status"] == "accepted"


def test_a_discarded_sale_stays_out_by_every_route(client, make, sale, product):
    body = sale(customer_id=999999, item={"quantity": 1.50})
    exception = refuse(client, body)
    answer = discard(client, exception)
    assert answer.json["status"] == "discarded" and answer.json["resolution"] == "A test"
    (entry,) = client.get("/api/audit", params={"entity": "sale_exception"}).json["items"]
    assert (entry["action"], entry["before"]["status"], entry["after"]["reason"]) == ("discard", "open", "A test")
    written = {**body, "items": [{**body["items"][0], "quantity": "1.5000"}]}
    for each in (body, written):
        again = send(client, each)
        assert (again["status"], again["error"]["code"]) == ("rejected", "discarded")
        online = client.post("/api/sales", each, as_="cashier")
        assert (online.status_code, online.json["code"]) == (409, "discarded")
    assert make.stock(product) == 50
    assert [item["status"] for item in client.get("/api/sales/exceptions").json["items"]] == ["discarded"]
    # Corrected by the device, it is another sale.
    assert send(client, {**body, "customer_id": None})["status"] == "created"


def test_a_discarded_body_that_nobody_can_read_stays_out(client, sale):
    body = sale(discount_amount="x", surprise=1)
    discard(client, refuse(client, body))
    assert send(client, body)["error"]["code"] == "discarded"
    assert [item["status"] for item in client.get("/api/sales/exceptions").json["items"]] == ["discarded"]


@pytest.mark.parametrize("settle", [accept, discard])
def test_what_was_refused_for_two_reasons_is_settled_as_one(client, make, sale, settle):
    client.put("/api/stock-policies", {"policy": "block", "channel": "counter:offline"})
    product = make.product()
    body = sale(item={"product_id": product.id}, customer_id=make.customer().id + 1)
    one = refuse(client, body)
    make.customer()
    two = refuse(client, body)
    assert one["code"] == "unknown-customer" and two["code"] != one["code"]
    make.receipt(make.main, [(product, 5)])
    assert settle(client, one).status_code == 200
    assert show(client, two).json["status"] == show(client, one).json["status"] != "open"
    assert settle(client, two).status_code == 409


def test_a_sale_that_is_posted_when_it_comes_again_leaves_no_exception(client, make, sale):
    client.put("/api/stock-policies", {"policy": "block", "channel": "counter:offline"})
    product = make.product()
    body = sale(item={"product_id": product.id})
    exception = refuse(client, body)
    make.receipt(make.main, [(product, 5)])
    sold = send(client, body)["sale"]
    now = show(client, exception).json
    assert (now["status"], now["sale_id"]) == ("accepted", sold["id"]) and now["resolution"]
    assert accept(client, exception).status_code == 409


def test_who_may_settle_what(client, make, sale):
    make.user("cashier")
    exception = refuse(client, sale(customer_id=999999))
    assert accept(client, exception, as_="cashier").status_code == 403
    assert discard(client, exception, as_="accountant").status_code == 403
    # A supplier sees the own sales only.
    assert accept(client, exception, as_="supplier").status_code == 404
    assert show(client, exception, as_="supplier").status_code == 404
    assert show(client, exception, as_="cashier").status_code == 200
    own = refuse(client, sale(customer_id=999999), as_="supplier")
    assert accept(client, own, as_="supplier", customer_id=None).status_code == 200
    assert client.get("/api/sales/exceptions/987654").status_code == 404


@pytest.fixture
def chief(client, make):
    """Settles the refused sales of everybody in the main warehouse."""
    permissions = ["sales:exception:read", "sales:exception:resolve", "sales:sale:read_all"]
    assert client.post("/api/roles", {"name": "chief", "permissions": permissions}).status_code == 201
    return make.user("chief", warehouses=[make.main])


def test_a_chief_settles_what_belongs_to_the_own_warehouse(client, make, chief, sale):
    here = refuse(client, sale(customer_id=999999))
    there = refuse(client, sale(customer_id=999999, warehouse=make.other), as_="admin")
    without = refuse(client, sale(customer_id=999999, warehouse=999999))
    foreign = refuse(client, sale(warehouse=make.other))
    assert foreign["code"] == "foreign-warehouse"
    seen = {item["id"] for item in client.get("/api/sales/exceptions", as_=chief).json["items"]}
    assert seen == {here["id"], without["id"], foreign["id"]}
    assert accept(client, there, as_=chief).status_code == 404
    moved = accept(client, here, as_=chief, customer_id=None, warehouse=make.other)
    assert moved.status_code == 403 and moved.json["errors"][0]["field"] == "warehouse"
    assert accept(client, foreign, as_=chief).status_code == 403
    assert accept(client, foreign, as_=chief, warehouse=make.main).status_code == 200
    assert accept(client, here, as_=chief, customer_id=None).status_code == 200


def test_a_seller_who_has_left_still_sold_it(client, make, sale):
    seller = make.user("cashier")
    exception = refuse(client, sale(customer_id=999999), as_=seller)
    client.patch(f"/api/users/{seller.id}", {"roles": ["customer"], "warehouses": []})
    client.delete(f"/api/users/{seller.id}")
    sold = accept(client, exception, customer_id=None)
    assert sold.status_code == 200, sold.text
    assert sold.json["sale"]["seller"] == seller.id


def test_the_list_is_filtered(client, make, sale):
    one = refuse(client, sale(customer_id=999999))
    two = refuse(client, sale(source_device="pos-2", item={"product_id": 999999}))
    three = refuse(client, sale(customer_id=999999, warehouse=make.other), as_="admin")
    discard(client, one)

    def ids(**params):
        return [item["id"] for item in client.get("/api/sales/exceptions", params=params).json["items"]]

    assert ids() == [three["id"], two["id"], one["id"]]
    assert ids(source_device="pos-2") == [two["id"]]
    assert ids(code="unknown-customer") == [three["id"], one["id"]]
    assert ids(warehouse=make.other) == [three["id"]]
    assert ids(status="discarded", warehouse=make.main) == [one["id"]]
    assert client.get("/api/sales/exceptions", params={"status": "lost"}).status_code == 422


def test_a_long_or_odd_id_stops_nobody(client, sale):
    odd = [sale(external_id="".join(str(uuid.uuid4()) for _ in range(500))), sale(external_id="X"), sale()]
    odd.append({"source_device": "x" * 5000, "external_id": str(uuid.uuid4()).upper()})
    answer = client.post("/api/sales/sync", {"sales": odd}, as_="cashier").json
    statuses = [result["status"] for result in answer["results"]]
    assert statuses == ["rejected", "rejected", "created", "rejected"]


def test_a_return_with_a_reused_id_is_accepted_too(client, make, sale, product):
    sold = send(client, sale())["sale"]
    lines = [{"line_id": sold["items"][0]["id"], "quantity": "1"}]
    body = {"external_id": sold["external_id"], "lines": lines, "reason": "too small"}
    assert client.post(f"/api/sales/{sold['id']}/returns", body, as_="cashier").status_code == 409
    (exception,) = client.get("/api/sales/exceptions").json["items"]
    answer = accept(client, exception)
    assert answer.status_code == 200, answer.text
    back = answer.json["sale"]
    assert (back["kind"], back["origin"], back["reason"]) == ("return", sold["id"], "too small")
    assert back["total_amount"] == "-10.00" and make.stock(product) == 49


def test_a_return_that_waits_can_be_given_up(client, make, sale, product):
    sold = sale()
    returns = {"external_id": sold["external_id"], "lines": [{"position": 0, "quantity": "1"}]}
    back = {name: sold[name] for name in ("channel", "warehouse", "source_device")}
    back |= {"external_id": str(uuid.uuid4()), "returns": returns}
    exception = refuse(client, back)
    assert exception["status"] == "waiting"
    assert accept(client, exception).json["code"] == "sale-not-synced"
    assert discard(client, exception).status_code == 200
    assert send(client, sold)["status"] == "created" and make.stock(product) == 48
    assert send(client, back)["error"]["code"] == "discarded"


def test_a_return_that_waits_can_be_accepted_when_its_sale_is_there(client, make, sale, product):
    sold = sale()
    returns = {"external_id": sold["external_id"], "lines": [{"position": 0, "quantity": "1"}]}
    back = {name: sold[name] for name in ("channel", "warehouse", "source_device")}
    back |= {"external_id": str(uuid.uuid4()), "returns": returns, "refund": "shells"}
    exception = refuse(client, back)
    assert send(client, sold)["status"] == "created"
    now = show(client, exception).json
    assert (now["status"], now["code"]) == ("open", "unknown-payment-method")
    answer = accept(client, exception, ignore=["refund"])
    assert answer.status_code == 200, answer.text
    assert answer.json["sale"]["kind"] == "return" and make.stock(product) == 49
    assert send(client, back)["status"] == "duplicate"


def test_what_was_posted_in_part_is_not_posted_once_more(client, make, runtime, product):
    other = make.product(price="3.00", stock=50)
    sold = make.sale([(product, 2), (other, 9)], external_id=str(uuid.uuid4()))
    lines = [{"position": 0, "quantity": "3"}, {"position": 1, "quantity": "1"}]
    # Without an id of its own, nothing but its exception says that it is posted.
    body = {"channel": "counter", "source_device": "pos-1", "returns": {"sale_id": sold.id, "lines": lines}}
    assert send(client, body, as_="admin")["status"] == "created"
    (exception,) = client.get("/api/sales/exceptions").json["items"]
    assert exception["code"] == "return-capped"
    answer = accept(client, exception)
    assert answer.status_code == 409 and answer.json["code"] == "sale-already-posted"
    assert answer.json["sale_id"] == exception["sale_id"] and make.stock(other) == 42
    assert discard(client, exception).json["sale_id"] == exception["sale_id"]
