"""Devices' running numbers: what is missing, in whatever order they come."""

import itertools
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tillhook.testing import many_at_once

_names = itertools.count(1)


@pytest.fixture
def product(make):
    return make.product(stock=1000)


@pytest.fixture
def sale(make, product):
    """Return the body of a sale that a device numbered."""

    def body(number, device="pos-1", **fields):
        return {
            "channel": "counter",
            "warehouse": make.main,
            "external_id": str(uuid.uuid4()),
            "source_device": device,
            "device_number": number,
            "items": [{"product_id": product["id"], "quantity": "1"}],
            **fields,
        }

    return body


def sync(client, *sales, as_="cashier", **options):
    answer = client.post("/api/sales/sync", {"sales": list(sales)}, as_=as_, **options)
    assert answer.status_code == 200, answer.text
    return answer.json


def missing(answer, device="pos-1"):
    (found,) = [each for each in answer["missing"] if each["source_device"] == device]
    return found["last_number"], found["ranges"]


def test_a_gap_is_named_until_its_sale_comes(client, sale):
    assert missing(sync(client, sale(1), sale(2))) == (2, [])
    assert missing(sync(client, sale(6))) == (6, [[3, 5]])
    assert missing(sync(client, sale(4))) == (6, [[3, 3], [5, 5]])
    assert missing(sync(client, sale(5), sale(3))) == (6, [])


def test_the_first_number_that_is_seen_says_what_came_before_it(client, sale):
    assert missing(sync(client, sale(5))) == (5, [[1, 4]])


def test_what_is_missing_is_said_when_nothing_new_comes(client, sale):
    body = sale(3)
    sync(client, body)
    again = sync(client, body)
    assert again["results"][0]["status"] == "duplicate" and missing(again) == (3, [[1, 2]])
    assert missing(sync(client, {**body, "device_number": None, "external_id": None})) == (3, [[1, 2]])
    assert again["reused"] == []


def test_a_device_that_counts_nothing_is_not_listed(client, sale):
    assert sync(client, sale(None))["missing"] == []
    assert sync(client, sale(7, "web"))["missing"] == []


def test_a_refused_sale_has_arrived_readable_or_not(client, sale):
    unknown = sale(2, items=[{"product_id": 999999, "quantity": "1"}])
    unreadable = {"source_device": "pos-1", "device_number": 3, "surprise": 1}
    answer = sync(client, sale(1), unknown, unreadable, sale(4))
    assert [result["status"] for result in answer["results"]] == ["created", "rejected", "rejected", "created"]
    assert missing(answer) == (4, [])


@pytest.mark.parametrize("number", [0, -1, 2**53 + 1, "x", 1.5, True])
def test_a_number_that_is_none_counts_for_nothing(client, sale, number):
    answer = sync(client, sale(number))
    assert answer["results"][0]["error"]["errors"][0]["field"] == "device_number"
    assert answer["missing"] == []


def test_a_jump_of_a_billion_is_one_row(client, sale, runtime):
    assert missing(sync(client, sale(2**53), sale(1))) == (2**53, [[2, 2**53 - 1]])
    assert missing(sync(client, sale(10**9))) == (2**53, [[2, 10**9 - 1], [10**9 + 1, 2**53 - 1]])
    with runtime.database.connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM sale_device_gap").scalar_one() == 2


def test_an_online_sale_counts_too(client, sale):
    assert client.post("/api/sales", sale(3), as_="cashier").status_code == 201
    assert missing(sync(client, sale(1))) == (3, [[2, 2]])


def test_a_sale_refused_online_was_never_there(client, sale):
    short = sale(1, items=[{"product_id": 999999, "quantity": "1"}])
    assert client.post("/api/sales", short, as_="cashier").status_code == 422
    assert missing(sync(client, sale(2))) == (2, [[1, 1]])


def test_a_number_used_twice_keeps_both_sales_and_names_them(client, sale):
    first = sync(client, sale(1))["results"][0]["sale"]
    answer = sync(client, sale(1), sale(2), sale(2))
    one, two, three = (result["sale"]["id"] for result in answer["results"])
    assert answer["reused"] == [
        {"source_device": "pos-1", "number": 1, "sale_id": one, "same_as": first["id"]},
        {"source_device": "pos-1", "number": 2, "sale_id": three, "same_as": two},
    ]
    entries = client.get("/api/audit", params={"action": "reuse"}).json["items"]
    assert [(entry["entity_id"], entry["after"]["number"]) for entry in entries] == [("pos-1", 2), ("pos-1", 1)]


def test_a_sale_that_is_refused_and_comes_again_is_no_second_one(client, make, sale):
    client.put("/api/stock-policies", {"policy": "block", "channel": "counter:offline"})
    product = make.product()
    body = sale(1, items=[{"product_id": product["id"], "quantity": "1"}])
    assert sync(client, body)["results"][0]["status"] == "rejected"
    make.receipt(make.main, [(product, 5)])
    answer = sync(client, body)
    assert answer["results"][0]["status"] == "created" and answer["reused"] == []


@pytest.mark.parametrize("claimed", ["pos-2", "web", None])
def test_a_key_of_a_device_counts_in_its_own_name_only(client, sale, claimed):
    scopes = ["sales:sale:sync", "sales:sale:post"]
    key = client.post("/api/api-keys", {"name": "till", "scopes": scopes, "device": "pos-1"}).json["key"]
    bodies = [sale(2, claimed), {"source_device": claimed, "device_number": 4, "surprise": 1}]
    answer = sync(client, *bodies, as_=None, headers={"X-API-Key": key})
    devices = [each["name"] for each in client.get("/api/sales/devices").json["items"]]
    if claimed == "pos-2":
        assert devices == [] == answer["missing"]
    else:
        assert devices == ["pos-1"] and missing(answer) == (4, [[1, 1], [3, 3]])


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_ranges_are_what_a_plain_set_says(client, data):
    device = f"model-{next(_names)}"
    batches = data.draw(st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=12), min_size=1, max_size=5))
    arrived, written = set(), set()
    for batch in batches:
        bodies = [{"source_device": device, "device_number": number} for number in batch]
        last, ranges = missing(sync(client, *bodies), device)
        arrived.update(batch)
        expected = set(range(1, max(arrived) + 1)) - arrived - written
        assert last == max(arrived)
        assert {number for first, end in ranges for number in range(first, end + 1)} == expected
        assert all(one[1] < other[0] for one, other in itertools.pairwise(ranges))
        if data.draw(st.booleans()):
            first = data.draw(st.integers(1, 30))
            off = {"first": first, "last": data.draw(st.integers(first, 30)), "reason": "lost"}
            answer = client.post(f"/api/sales/devices/{key_of(client, device)}/write-off", off)
            hit = expected & set(range(first, off["last"] + 1))
            assert answer.status_code == (200 if hit else 409)
            written |= hit


def write_off(client, first, last, device="pos-1", **options):
    body = {"first": first, "last": last, "reason": "The till burned down."}
    return client.post(f"/api/sales/devices/{key_of(client, device)}/write-off", body, **options)


def key_of(client, name):
    found = client.get("/api/sales/devices", params={"search": name}).json["items"]
    return next((device["id"] for device in found if device["name"] == name), 999_999)


def test_a_device_of_any_name_can_be_written_off(client, sale):
    sync(client, sale(3, "shop 1/till 2?"))
    assert write_off(client, 1, 2, "shop 1/till 2?").json["missing"] == []


def test_nobody_of_another_shop_counts_in_a_devices_name(client, make, sale, product):
    sync(client, sale(1))
    make.receipt(make.other, [(product, 9)])
    stranger = make.user("cashier", warehouses=[make.other])
    forged = sale(2**53, warehouse=make.other)
    answer = sync(client, forged, {"source_device": "pos-1", "device_number": 2**53 - 1}, as_=stranger)
    assert [result["status"] for result in answer["results"]] == ["created", "rejected"]
    assert answer["missing"] == []
    # The device goes on where it was, and is still where it was.
    assert missing(sync(client, sale(2))) == (2, [])
    (device,) = client.get("/api/sales/devices").json["items"]
    assert device["warehouse"] == make.main
    # By a key of its own it counts wherever it is taken.
    body = {"name": "x", "device": "pos-1", "scopes": ["sales:sale:sync", "sales:sale:post"], "user": stranger.id}
    key = client.post("/api/api-keys", body)
    assert key.status_code == 201, key.text
    moved = sync(client, sale(3, warehouse=make.other), as_=None, headers={"X-API-Key": key.json["key"]})
    assert missing(moved) == (3, [])


def test_what_is_written_off_is_not_waited_for_and_may_come_all_the_same(client, sale):
    sync(client, sale(10))
    answer = write_off(client, 3, 5)
    assert answer.status_code == 200 and answer.json["missing"] == [[1, 2], [6, 9]]
    (entry,) = client.get("/api/audit", params={"entity": "sale_device"}).json["items"]
    assert (entry["action"], entry["entity_id"]) == ("write-off", "pos-1")
    assert entry["after"] == {"ranges": [[3, 5]], "reason": "The till burned down."}
    again = write_off(client, 3, 5)
    assert again.status_code == 409 and again.json["code"] == "nothing-missing"
    came = sync(client, sale(4))
    assert came["results"][0]["status"] == "created" and missing(came) == (10, [[1, 2], [6, 9]])
    assert came["reused"] == []
    assert write_off(client, 1, 2**53).json["missing"] == []


def test_a_wrong_write_off_is_named(client, sale):
    sync(client, sale(10))
    wrong = write_off(client, 5, 3)
    assert wrong.status_code == 422 and wrong.json["errors"][0]["field"] == "last"
    assert write_off(client, 1, 2, "nobody").status_code == 404
    assert write_off(client, 1, 2, as_="cashier").status_code == 403


def test_devices_are_shown_to_those_who_see_their_sales(client, make, sale, product):
    make.receipt(make.other, [(product, 9)])
    sync(client, sale(1), as_="cashier")
    sync(client, sale(2, "pos-2", warehouse=make.other), as_="admin")
    client.post(
        "/api/roles",
        {"name": "chief", "permissions": ["sales:device:read", "sales:device:write_off", "sales:sale:read_all"]},
    )
    chief = make.user("chief", warehouses=[make.main])

    def names(as_, **params):
        answer = client.get("/api/sales/devices", as_=as_, params=params)
        return [device["name"] for device in answer.json["items"]]

    assert names("admin") == names("accountant") == ["pos-1", "pos-2"]
    assert names("cashier") == names(chief) == ["pos-1"]
    assert names(make.user("cashier")) == []
    assert names("admin", warehouse=make.other, ordering="-last_seen_at") == ["pos-2"]
    assert client.get("/api/sales/devices", as_=chief, params={"warehouse": make.other}).status_code == 403
    assert write_off(client, 1, 1, "pos-2", as_=chief).status_code == 404
    shown = client.get("/api/sales/devices", params={"search": "POS-2"}).json["items"][0]
    assert shown["missing"] == [[1, 1]] and shown["warehouse"] == make.other and shown["last_number"] == 2


def test_two_syncs_of_one_device_at_once_lose_no_number(client, sale):
    many_at_once(4, lambda first: [sync(client, sale(number)) for number in range(first + 1, 25, 4)])
    answer = sync(client, sale(26))
    assert missing(answer) == (26, [[25, 25]])
    assert client.get("/api/audit", params={"action": "reuse"}).json["items"] == []
