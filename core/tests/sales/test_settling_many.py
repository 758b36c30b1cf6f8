"""Refused sales accepted and discarded many at a time, each on its own."""

import uuid

import pytest

from tillhook.testing import clean


@pytest.fixture
def product(make):
    return make.product(price="10.00", stock=50)


@pytest.fixture
def refuse(client, make, product):
    """Return what has sales refused because their customer is not there; with the keys of the exceptions."""

    def refused(number=1, as_="cashier", **fields):
        body = {"channel": "counter", "warehouse": make.main, "customer_id": 1000, **fields}
        body["items"] = [{"product_id": product.id, "quantity": "1"}]
        sales = [{**body, "external_id": str(uuid.uuid4())} for _ in range(number)]
        results = client.post("/api/sales/sync", {"sales": sales}, as_=as_).json["results"]
        assert {result["status"] for result in results} == {"rejected"}
        newest = client.get("/api/sales/exceptions", params={"limit": number}).json["items"]
        return sorted(each["id"] for each in newest)

    return refused


def accept(client, as_="admin", **body):
    return client.post("/api/sales/exceptions/accept", {"reason": "Seen", **body}, as_=as_)


def discard(client, as_="admin", **body):
    return client.post("/api/sales/exceptions/discard", {"reason": "A test", **body}, as_=as_)


def outcomes(answer):
    assert answer.status_code == 200, answer.text
    return {each["id"]: each["status"] for each in answer.json["results"]}


def customers_until(make, key):
    while make.customer().id < key:
        pass


def test_those_that_can_be_posted_now_are_and_the_others_stay(client, make, runtime, refuse, product):
    key = make.customer().id + 1
    good, bad = refuse(3, customer_id=key), refuse(2, customer_id=999999)
    customers_until(make, key)
    answer = accept(client, code="unknown-customer")
    assert outcomes(answer) == dict.fromkeys(good, "accepted") | dict.fromkeys(bad, "open")
    by_id = {each["id"]: each for each in answer.json["results"]}
    assert all("error" not in by_id[each] and by_id[each]["sale_id"] for each in good)
    assert all(by_id[each]["error"]["code"] == "unknown-customer" for each in bad)
    assert answer.json["next_after"] is None and make.stock(product) == 47
    sale = client.get(f"/api/sales/{by_id[good[0]]['sale_id']}").json
    assert sale["customer_id"] == key and sale["is_offline"]
    entries = client.get("/api/audit", params={"entity": "sale_exception"}).json["items"]
    assert sorted(int(entry["entity_id"]) for entry in entries) == good
    assert {entry["after"]["reason"] for entry in entries} == {"Seen"}
    assert outcomes(accept(client, code="unknown-customer")) == dict.fromkeys(bad, "open")
    assert outcomes(discard(client, ids=bad)) == dict.fromkeys(bad, "discarded")
    assert outcomes(accept(client, ids=[bad[0], good[0]])) == {bad[0]: "discarded", good[0]: "accepted"}
    assert make.stock(product) == 47 and clean(runtime)


def test_filters_choose_them(client, make, refuse):
    mine, device = refuse(as_="admin"), refuse(source_device="pos-7")
    me = client.get("/api/auth/me").json["user"]["id"]
    assert outcomes(discard(client, date_to="2020-01-01")) == {} == outcomes(discard(client, code="nothing"))
    assert outcomes(discard(client, status="waiting")) == {}
    assert outcomes(discard(client, seller=me, source_device="web")) == dict.fromkeys(mine, "discarded")
    assert outcomes(discard(client, source_device="pos-7", date_from="2020-01-01")) == {device[0]: "discarded"}
    for query in ({"seller": me}, {"date_from": "2020-01-01", "seller": me}):
        listed = client.get("/api/sales/exceptions", params=query).json["items"]
        assert [each["id"] for each in listed] == mine
    assert client.get("/api/sales/exceptions", params={"date_to": "2020-01-01"}).json["items"] == []


def test_a_call_settles_so_many_and_says_where_to_go_on(client, make, refuse):
    keys = refuse(5)
    first = accept(client, code="unknown-customer", limit=2)
    assert list(outcomes(first)) == keys[:2] and first.json["next_after"] == keys[1]
    rest = discard(client, code="unknown-customer", after=keys[1])
    assert list(outcomes(rest)) == keys[2:] and rest.json["next_after"] is None


def test_what_was_refused_for_two_reasons_is_settled_once(client, make, runtime, refuse, product):
    client.put("/api/stock-policies", {"policy": "block", "channel": "counter:offline"})
    body = {"channel": "counter", "warehouse": make.main, "external_id": str(uuid.uuid4())}
    key = make.customer().id + 1
    body |= {"customer_id": key, "items": [{"product_id": product.id, "quantity": "60"}]}
    for _ in range(2):
        client.post("/api/sales/sync", {"sales": [body]}, as_="cashier")
        customers_until(make, key)
    make.receipt(make.main, [(product, 100)])
    answer = accept(client, warehouse=make.main)
    assert set(outcomes(answer).values()) == {"accepted"} and len(answer.json["results"]) == 2
    assert len({each["sale_id"] for each in answer.json["results"]}) == 1 and make.stock(product) == 90
    assert clean(runtime)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "x"}, "ids"),
        ({"reason": "x", "limit": 5, "after": 1}, "ids"),
        ({"reason": "x", "ids": []}, "ids"),
        ({"reason": "x", "ids": list(range(1, 202))}, "ids"),
        ({"reason": "x", "ids": ["1"]}, "ids.0"),
        ({"reason": "x", "status": "accepted"}, "status"),
        ({"reason": "x", "code": "x", "limit": 201}, "limit"),
        ({"reason": "", "code": "x"}, "reason"),
        ({"code": "x"}, "reason"),
        ({"reason": "x", "code": "x", "colour": "x"}, "colour"),
    ],
)
@pytest.mark.parametrize("move", ["accept", "discard"])
def test_what_is_not_said_well_settles_nothing(client, refuse, body, field, move):
    (key,) = refuse()
    answer = client.post(f"/api/sales/exceptions/{move}", body)
    assert answer.status_code == 422 and field in [each["field"] for each in answer.json["errors"]], answer.text
    assert client.get(f"/api/sales/exceptions/{key}").json["status"] == "open"


def test_each_settles_what_he_sees(client, make, refuse, product):
    (here,) = refuse()
    (there,) = refuse(as_="admin", warehouse=make.other)
    assert accept(client, as_="cashier", ids=[here]).status_code == 403
    client.post("/api/roles", {"name": "shop", "permissions": ["sales:sale:read_all", "sales:exception:resolve"]})
    chief = make.user("shop", warehouses=[make.other])
    answer = discard(client, as_=chief, ids=[here, there, 999])
    assert outcomes(answer) == {here: "unknown", there: "discarded", 999: "unknown"}
    assert [each.get("error", {}).get("code") for each in answer.json["results"]] == [
        "unknown-exception",
        None,
        "unknown-exception",
    ]
    assert client.get(f"/api/sales/exceptions/{here}").json["status"] == "open"
    assert discard(client, as_=chief, warehouse=make.main).status_code == 403


def test_an_exception_belongs_where_its_device_is(client, make, runtime, product):
    """Its payload names no warehouse, and there is not just one."""
    item = {"product_id": product.id, "quantity": "1"}
    body = {"channel": "counter", "source_device": "pos-9", "items": [item]}
    client.post("/api/sales/sync", {"sales": [{**body, "warehouse": make.main, "device_number": 1}]})
    key = make.customer().id + 1
    client.post("/api/sales/sync", {"sales": [{**body, "device_number": 2, "customer_id": key}]})
    (exception,) = client.get("/api/sales/exceptions", params={"warehouse": make.main}).json["items"]
    assert exception["warehouse"] == make.main and "warehouse" not in exception["payload"]
    customers_until(make, key)
    accepted = client.post(f"/api/sales/exceptions/{exception['id']}/accept", {"reason": "x"})
    assert accepted.status_code == 200, accepted.text
    assert accepted.json["sale"]["warehouse"] == make.main
    unreadable = {**body, "device_number": 3, "items": []}
    client.post("/api/sales/sync", {"sales": [unreadable]})
    newest = client.get("/api/sales/exceptions", params={"limit": 1}).json["items"][0]
    assert (newest["code"], newest["warehouse"]) == ("validation-failed", make.main)
    assert clean(runtime)
