"""Several people at one till: each signs in by a PIN, what they do is theirs, and nobody gets further by it."""

import uuid
from datetime import timedelta

import pytest
import time_machine

from tillhook.db import utc_now

PASSWORD, PIN = "testpass123", "840217"


def by_key(till):
    return {"as_": None, "headers": {"X-API-Key": till["api_key"]}}


def by_token(signed_in, **headers):
    return {"as_": None, "headers": {"Authorization": f"Bearer {signed_in['access_token']}", **headers}}


def sale(product, **fields):
    items = [{"product_id": product.id, "quantity": "1"}]
    return {"external_id": str(uuid.uuid4()), "items": items, "payment_method": "cash", **fields}


def register(client, make, name, warehouse=None, user=None):
    body = {"name": name, "warehouse": warehouse or make.main, "user": user or make.user("cashier").id}
    answer = client.post("/api/pos/tills", body)
    assert answer.status_code == 201, answer.text
    return answer.json


def sign_in(client, till, person, pin=PIN, **by):
    body = {"email" if isinstance(person, str) else "user_id": person, "pin": pin}
    return client.post(f"/api/pos/tills/{till['id']}/operators", body, **(by or by_key(till)))


def with_pin(client, make, role="cashier", **fields):
    person = make.user(role, **fields)
    assert client.put(f"/api/users/{person.id}/pin", {"pin": PIN}).status_code == 204
    return person


@pytest.fixture
def till(client, make):
    return register(client, make, "till-1")


@pytest.fixture
def anna(client, make):
    return with_pin(client, make)


@pytest.fixture
def bert(client, make):
    return with_pin(client, make)


def test_the_sale_is_whose_pin_it_was(client, make, till, anna, bert):
    product = make.product(price="10.00", stock=9)
    numbers = {}
    for person in (anna, bert):
        signed_in = sign_in(client, till, person.id)
        assert signed_in.status_code == 201, signed_in.text
        assert signed_in.json["expires_in"] == 43_200
        assert signed_in.json["user"]["id"] == person.id and "pin" not in str(signed_in.json["user"])
        sold = client.post("/api/sales", sale(product), **by_token(signed_in.json))
        assert sold.status_code == 201, sold.text
        assert (sold.json["seller"], sold.json["source_device"]) == (person.id, "till-1")
        mine = client.get("/api/sales", **by_token(signed_in.json)).json["items"]
        assert [each["id"] for each in mine] == [sold.json["id"]]
        numbers[person.id] = sold.json["id"]
    me = client.get("/api/auth/me", **by_token(sign_in(client, till, anna.email).json)).json
    assert (me["user"]["id"], me["device"], [each["id"] for each in me["warehouses"]]) == (
        anna.id,
        "till-1",
        [make.main],
    )
    foreign = client.post(
        "/api/sales", sale(product, source_device="till-2"), **by_token(sign_in(client, till, anna.id).json)
    )
    assert foreign.json["code"] == "foreign-device"


def test_x_and_z_tell_the_people_at_one_till_apart(client, make, till, anna, bert):
    product = make.product(price="10.00", stock=9)
    tokens = [by_token(sign_in(client, till, person.id).json) for person in (anna, bert)]
    opened = client.post(
        "/api/pos/sessions", {"till": "till-1", "warehouse": make.main, "opening_float": "0"}, **tokens[0]
    )
    assert opened.status_code == 201, opened.text
    for token, count in zip(tokens, (1, 2), strict=True):
        for _ in range(count):
            assert client.post("/api/sales", sale(product), **token).status_code == 201
    report = client.get(f"/api/pos/sessions/{opened.json['id']}/report").json
    sellers = {each["seller"]: (each["count"], each["total"]) for each in report["sellers"]}
    assert sellers == {anna.id: (1, "10.00"), bert.id: (2, "20.00")}


def test_who_can_sign_in_is_listed_by_name_only(client, make, till, anna):
    with_pin(client, make, warehouses=[make.other])
    make.user("cashier")
    listed = client.get(f"/api/pos/tills/{till['id']}/operators", **by_key(till))
    assert listed.status_code == 200, listed.text
    assert listed.json["items"] == [{"id": anna.id, "name": listed.json["items"][0]["name"]}]


def test_signing_out_ends_the_token(client, make, till, anna, bert):
    tokens = [by_token(sign_in(client, till, person.id).json) for person in (anna, bert)]
    path = f"/api/pos/tills/{till['id']}/operators/current"
    assert client.delete(path, **tokens[0]).status_code == 204
    assert client.get("/api/auth/me", **tokens[0]).status_code == 401
    assert client.get("/api/auth/me", **tokens[1]).status_code == 200
    assert client.delete(path, **by_key(till)).json["code"] == "pos-not-signed-in"
    assert client.delete(path, as_="admin").json["code"] == "pos-not-signed-in"


def test_the_pin_is_asked_for_again_after_a_shift(client, make, till, anna):
    client.patch("/api/settings", {"pos.operator_minutes": 60})
    token = by_token(sign_in(client, till, anna.id).json)
    with time_machine.travel(utc_now() + timedelta(minutes=55), tick=False):
        assert client.get("/api/auth/me", **token).status_code == 200
    with time_machine.travel(utc_now() + timedelta(minutes=62), tick=False):
        assert client.get("/api/auth/me", **token).json["code"] == "token-expired"


@pytest.mark.parametrize("event", ["password", "own password", "closed", "pin", "no pin", "key", "till", "warehouse"])
def test_what_ends_a_sign_in(client, make, till, anna, event):
    token = by_token(sign_in(client, till, anna.id).json)
    user = f"/api/users/{anna.id}"
    own = {"current_password": PASSWORD, "new_password": "another pass"}
    act = {
        "password": lambda: client.patch(user, {"password": "another pass"}),
        "own password": lambda: client.post("/api/auth/password", own, as_=anna),
        "closed": lambda: client.delete(user),
        "pin": lambda: client.put(f"{user}/pin", {"pin": "730591"}),
        "no pin": lambda: client.delete(f"{user}/pin"),
        "key": lambda: client.post(f"/api/pos/tills/{till['id']}/rotate-key"),
        "till": lambda: client.post(f"/api/pos/tills/{till['id']}/deactivate", {"reason": "stolen"}),
        "warehouse": lambda: client.patch(user, {"warehouses": [make.other]}),
    }[event]
    assert client.get("/api/auth/me", **token).status_code == 200
    assert act().status_code < 300
    ended = client.get("/api/auth/me", **token)
    assert (ended.status_code, ended.json["code"]) == (401, "session-revoked")
    if event in ("closed", "no pin", "pin", "warehouse"):
        assert sign_in(client, till, anna.id).json["code"] == "pos-wrong-pin"


def test_a_till_in_another_shop_is_another_till(client, make, till, anna):
    token = by_token(sign_in(client, till, anna.id).json)
    assert client.post(f"/api/pos/tills/{till['id']}/deactivate", {"reason": "moved"}).status_code == 200
    moved = register(
        client, make, "till-1", warehouse=make.other, user=make.user("cashier", warehouses=[make.other]).id
    )
    assert moved["id"] == till["id"]
    assert client.get("/api/auth/me", **token).status_code == 401
    assert sign_in(client, moved, anna.id).json["code"] == "pos-wrong-pin"


def test_people_of_two_shops_work_in_the_tills_only(client, make, till):
    person = with_pin(client, make, warehouses=[make.main, make.other])
    product = make.product(price="10.00", stock={make.main: 5, make.other: 5})
    token = by_token(sign_in(client, till, person.id).json)
    assert client.post("/api/sales", sale(product, warehouse=make.other), **token).json["code"] == "foreign-warehouse"
    assert client.post("/api/sales", sale(product), **token).json["warehouse"] == make.main


def test_a_key_of_another_till_signs_nobody_in(client, make, till, anna):
    other = register(client, make, "till-2")
    for answer in (
        sign_in(client, till, anna.id, **by_key(other)),
        client.get(f"/api/pos/tills/{till['id']}/operators", **by_key(other)),
    ):
        assert (answer.status_code, answer.json["code"]) == (403, "foreign-device")
    elsewhere = register(
        client, make, "till-3", warehouse=make.other, user=make.user("cashier", warehouses=[make.other]).id
    )
    assert sign_in(client, till, anna.id, **by_key(elsewhere)).status_code == 404
    token = sign_in(client, till, anna.id).json
    assert sign_in(client, other, anna.id, **by_token(token)).json["code"] == "foreign-device"


def test_a_person_who_may_signs_somebody_in(client, make, till, anna):
    assert sign_in(client, till, anna.id, as_="manager").status_code == 201
    assert sign_in(client, till, anna.id, as_="accountant").status_code == 403
    assert sign_in(client, till, anna.id, as_=None).status_code == 401


def test_a_till_without_a_device_signs_nobody_in(client, make, anna):
    opened = client.post("/api/pos/sessions", {"till": "named", "warehouse": make.main, "opening_float": "0"})
    assert opened.status_code == 201, opened.text
    named = next(each for each in client.get("/api/pos/tills").json["items"] if each["name"] == "named")
    assert sign_in(client, named, anna.id, as_="manager").json["code"] == "pos-till-without-device"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"pin": PIN}, "user_id"),
        ({"user_id": 1, "email": "a@b.c", "pin": PIN}, "email"),
        ({"user_id": 1}, "pin"),
        ({"user_id": "1", "pin": PIN}, "user_id"),
        ({"user_id": 1, "pin": 840217}, "pin"),
    ],
)
def test_wrong_bodies(client, till, body, field):
    answer = client.post(f"/api/pos/tills/{till['id']}/operators", body, **by_key(till))
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, field)


def test_nothing_tells_a_wrong_pin_from_nobody(client, make, till, anna):
    without, closed = make.user("cashier"), with_pin(client, make)
    client.delete(f"/api/users/{closed.id}")
    elsewhere = with_pin(client, make, warehouses=[make.other])
    answers = [
        sign_in(client, till, who, pin)
        for who, pin in (
            (anna.id, "111111"),
            (anna.email, "111111"),
            (without.id, PIN),
            (closed.id, PIN),
            (elsewhere.id, PIN),
            (999_999, PIN),
            ("nobody@test.com", PIN),
        )
    ]
    assert {(each.status_code, each.json["code"], each.json["detail"]) for each in answers} == {
        (401, "pos-wrong-pin", "There is no such person here, or it is not their PIN.")
    }


def test_one_person_is_guarded_over_many_tills(client, make, anna):
    tills = [register(client, make, f"till-{number}") for number in range(5)]
    # Five at each are free at that till, twenty of the person everywhere.
    codes = [sign_in(client, till, anna.id, "555555").status_code for till in tills for _ in range(5)]
    assert codes == [401] * 20 + [429] * 5
    assert sign_in(client, tills[4], anna.id).status_code == 429


def test_one_till_is_guarded_over_many_people(client, make, till):
    people = range(900_000, 900_031)
    codes = [sign_in(client, till, person, "555555").status_code for person in people]
    assert codes == [401] * 30 + [429]
    assert client.get("/api/auth/me", **by_key(till)).status_code == 200


def test_a_pin_at_a_till_is_not_enough_for_administration(client, make, till):
    admin = client.get("/api/users?role=admin").json["items"][0]["id"]
    assert client.put(f"/api/users/{admin}/pin", {"pin": PIN}).status_code == 204
    token = by_token(sign_in(client, till, admin).json)
    for method, path in (
        ("GET", "/api/users"),
        ("GET", "/api/api-keys"),
        ("GET", "/api/audit"),
        ("GET", "/api/settings"),
    ):
        assert client.request(method, path, **token).status_code == 403, path
    assert client.post(f"/api/pos/tills/{till['id']}/rotate-key", **token).json["code"] == "needs-log-in"
    assert client.put(f"/api/users/{admin}/pin", {"pin": "730591"}, **token).status_code == 403
    assert client.post(
        "/api/auth/refresh", {"refresh_token": token["headers"]["Authorization"][7:]}, as_=None
    ).status_code in (401, 422)


def test_a_manager_overrides_at_the_till_for_who_is_signed_in(client, make, till, anna):
    manager = with_pin(client, make, role="manager")
    product = make.product(price="10.00", stock=9)
    token = sign_in(client, till, anna.id).json
    body = sale(product, discount_amount="4.00")
    assert client.post("/api/sales", body, **by_token(token)).json["code"] == "discount-limit"
    sold = client.post("/api/sales", body, **by_token(token, **{"X-Override": f"{manager.id}:{PIN}"}))
    assert (sold.status_code, sold.json["seller"], sold.json["source_device"]) == (201, anna.id, "till-1")
    approver = client.get(f"/api/sales/{sold.json['id']}", **by_token(token)).json["approved_by"]
    assert approver["id"] == manager.id
    by_till = client.post(
        f"/api/sales/{sold.json['id']}/cancel",
        {"reason": "x"},
        as_=None,
        headers={"X-API-Key": till["api_key"], "X-Override": f"{manager.id}:{PIN}"},
    )
    assert by_till.status_code == 200, by_till.text
    lent = client.post(
        f"/api/pos/tills/{till['id']}/rotate-key", **by_token(token, **{"X-Override": f"{manager.id}:{PIN}"})
    )
    assert lent.json["code"] == "needs-log-in"


def test_a_colleague_takes_back_by_the_printed_number_in_the_same_shop(client, make):
    product = make.product(price="10.00", stock={make.main: 5, make.other: 5})
    seller, colleague = make.user("cashier"), make.user("cashier")
    elsewhere = make.user("cashier", warehouses=[make.other])
    sold = client.post("/api/sales", sale(product), as_=seller).json
    number, path = sold["sale_number"], f"/api/pos/receipts/{sold['sale_number']}"
    body = {"sale_number": number, "lines": [{"position": 0, "quantity": "1"}]}
    for stranger in (elsewhere, "customer"):
        assert client.get(path, as_=stranger).status_code in (403, 404)
        assert client.post("/api/pos/returns", body, as_=stranger).status_code in (403, 404)
    found = client.get(path, as_=colleague)
    assert (found.status_code, found.json["sale"]["id"]) == (200, sold["id"]), found.text
    back = client.post("/api/pos/returns", body, as_=colleague)
    assert (back.status_code, back.json["seller"], back.json["origin"]) == (201, colleague.id, sold["id"]), back.text
    assert sold["id"] not in [each["id"] for each in client.get("/api/sales", as_=colleague).json["items"]]
    assert client.get(f"/api/sales/{sold['id']}", as_=colleague).status_code == 404
    assert client.get("/api/pos/receipts/NO-SUCH", as_=colleague).status_code == 404


def test_by_the_number_alone_only_who_takes_goods_back_sees_a_colleagues_sale(client, make):
    product = make.product(price="10.00", stock=5)
    role = {"name": "looker", "permissions": ["sales:sale:read", "pos:receipt:verify"]}
    assert client.post("/api/roles", role).status_code == 201
    looker = make.user("looker", roles=["looker"])
    sold = client.post("/api/sales", sale(product), as_="cashier").json
    assert client.get(f"/api/pos/receipts/{sold['sale_number']}", as_=looker).status_code == 404


def test_offline_sales_are_whose_the_till_says(client, make, till, anna):
    product = make.product(price="10.00", stock=9)
    stranger = make.user("cashier", warehouses=[make.other])
    bodies = [sale(product, seller_id=who) for who in (anna.id, stranger.id, 999_999, None)]
    answer = client.post("/api/sales/sync", {"sales": bodies}, **by_key(till))
    results = answer.json["results"]
    assert [each["status"] for each in results] == ["created"] * 4, answer.text
    assert [each["sale"]["seller"] for each in results] == [anna.id, till["user"], till["user"], till["user"]]
    flags = [each["sale"]["items"][0]["flags"] for each in results]
    assert flags == [[], ["unknown-seller"], ["unknown-seller"], []]
    again = client.post("/api/sales/sync", {"sales": bodies}, **by_key(till)).json["results"]
    assert [each["status"] for each in again] == ["duplicate"] * 4
    shown = client.get(f"/api/sales/{results[0]['sale']['id']}", as_=anna)
    assert (shown.status_code, shown.json["source_device"]) == (200, "till-1")
    assert client.get(f"/api/pos/receipts/{shown.json['sale_number']}", as_=anna).status_code == 200


def test_online_a_till_names_people_who_work_there(client, make, till, anna):
    product = make.product(price="10.00", stock=9)
    sold = client.post("/api/sales", sale(product, seller_id=anna.id), **by_key(till))
    assert (sold.status_code, sold.json["seller"]) == (201, anna.id)
    wrong = client.post("/api/sales", sale(product, seller_id=999_999), **by_key(till))
    assert (wrong.status_code, wrong.json["code"], wrong.json["errors"][0]["field"]) == (
        422,
        "unknown-seller",
        "seller_id",
    )


def test_a_person_names_nobody_else(client, make, till, anna, bert):
    product = make.product(price="10.00", stock=9)
    token = sign_in(client, till, anna.id).json
    for by in ({"as_": anna}, by_token(token), {"as_": "admin"}):
        refused = client.post("/api/sales", sale(product, seller_id=bert.id), **by)
        assert (refused.status_code, refused.json["code"]) == (422, "foreign-seller")
        (result,) = client.post("/api/sales/sync", {"sales": [sale(product, seller_id=bert.id)]}, **by).json["results"]
        assert (result["status"], result["error"]["code"]) == ("rejected", "foreign-seller")
    assert client.post("/api/sales", sale(product, seller_id=anna.id), as_=anna).status_code == 201


def test_what_a_person_sent_in_the_name_of_another_is_accepted_as_the_persons(client, make, till, anna, bert):
    product = make.product(price="10.00", stock=9)
    unreadable = sale(product, seller_id=bert.id) | {"notes": 7}
    for body, changes in ((sale(product, seller_id=bert.id), []), (unreadable, ["notes"])):
        (result,) = client.post("/api/sales/sync", {"sales": [body]}, as_=anna).json["results"]
        assert result["status"] == "rejected"
        exception = client.get("/api/sales/exceptions", params={"limit": 1}).json["items"][0]
        path = f"/api/sales/exceptions/{exception['id']}/accept"
        refused = client.post(path, {"reason": "Seen", "ignore": changes})
        assert (refused.status_code, refused.json["code"]) == (422, "foreign-seller"), refused.text
        assert refused.json["errors"][0]["field"] == "seller_id"
        taken = client.post(path, {"reason": "Seen", "ignore": ["seller_id", *changes]})
        assert (taken.status_code, taken.json["sale"]["seller"]) == (200, anna.id), taken.text


def test_what_a_till_sent_in_the_name_of_another_is_accepted_as_that_ones(client, make, till, anna):
    body = sale(make.product(price="10.00", stock=9), seller_id=anna.id) | {"notes": 7}
    (result,) = client.post("/api/sales/sync", {"sales": [body]}, **by_key(till)).json["results"]
    assert result["status"] == "rejected"
    exception = client.get("/api/sales/exceptions", params={"limit": 1}).json["items"][0]
    path = f"/api/sales/exceptions/{exception['id']}/accept"
    taken = client.post(path, {"reason": "Seen", "ignore": ["notes"]})
    assert (taken.status_code, taken.json["sale"]["seller"]) == (200, anna.id), taken.text
