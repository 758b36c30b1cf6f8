"""Tills as devices: their keys, what these may do, and what nobody may see twice."""

import uuid

import pytest

from tillhook.testing import at_once
from tillhook_pos.models import Till


def register(client, make, name="till-1", as_="admin", **fields):
    return client.post("/api/pos/tills", {"name": name, "warehouse": make.main, **fields}, as_=as_)


def by_key(till):
    return {"as_": None, "headers": {"X-API-Key": till["api_key"]}}


def sale(product, **fields):
    items = [{"product_id": product.id, "quantity": "1", "unit_price": "10.00"}]
    return {"external_id": str(uuid.uuid4()), "items": items, "payment_method": "cash", **fields}


def refused(answer, status, code, field=None):
    problem = answer.json
    fields = [error["field"] for error in problem.get("errors", ())]
    return (answer.status_code, problem["code"]) == (status, code) and (field is None or field in fields)


@pytest.fixture
def cashier(make):
    return make.user("cashier")


@pytest.fixture
def till(client, make, cashier):
    answer = register(client, make, user=cashier.id)
    assert answer.status_code == 201, answer.text
    return answer.json


def test_a_registered_till_has_what_its_device_needs(client, make, cashier, till):
    assert till == {
        "id": till["id"],
        "name": "till-1",
        "warehouse": make.main,
        "user": cashier.id,
        "is_active": True,
        "is_device": True,
        "code_version": 1,
        "created_at": till["created_at"],
        "last_number": 0,
        "next_number": 1,
        "missing": [],
        "api_key": till["api_key"],
        "code_secret": till["code_secret"],
    }
    assert len(bytes.fromhex(till["code_secret"])) == 32
    shown = client.get(f"/api/pos/tills/{till['id']}", as_="cashier").json
    assert shown == {name: value for name, value in till.items() if name not in ("api_key", "code_secret")}
    assert client.get("/api/pos/tills", as_="cashier").json["items"] == [shown]


def test_without_a_user_it_sells_for_who_registers_it(client, make):
    till = register(client, make).json
    assert till["user"] == client.get("/api/auth/me").json["user"]["id"]


def test_the_key_sells_in_the_name_of_its_till_and_nowhere_else(client, make, cashier, till):
    product = make.product(stock={make.main: 5, make.other: 5})
    sold = client.post("/api/sales", sale(product), **by_key(till))
    assert sold.status_code == 201, sold.text
    assert (sold.json["source_device"], sold.json["seller"], sold.json["warehouse"]) == (
        "till-1",
        cashier.id,
        make.main,
    )
    foreign = client.post("/api/sales", sale(product, warehouse=make.other), **by_key(till))
    assert refused(foreign, 403, "foreign-warehouse", "warehouse")
    assert refused(
        client.post("/api/sales", sale(product, source_device="till-2"), **by_key(till)), 403, "foreign-device"
    )
    assert make.stock(product, make.other) == 5


def test_the_key_of_an_administrators_till_is_a_tills_all_the_same(client, make):
    key = by_key(register(client, make).json)
    held = set(client.get("/api/auth/me", **key).json["permissions"])
    assert {"sales:sale:post", "sales:sale:sync", "sales:sale:return", "pos:code:scan"} <= held
    too_much = {"sales:sale:override_price", "sales:sale:read_all", "catalogue:cost:read", "pos:till:manage"}
    too_much |= {"pos:receipt:restore", "access:user:manage", "access:api_key:manage", "pos:session:see_expected"}
    assert not held & too_much
    for method, path in (("GET", "/api/users"), ("POST", "/api/pos/tills"), ("POST", "/api/api-keys")):
        assert client.request(method, path, **key).status_code == 403


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("name", ["web", "WEB", "user:1", "User:x", "", " ", "a\tb", "a\u200bb", "a\u202eb", "x" * 129])
def test_a_name_that_will_not_do(client, make, name):
    answer = register(client, make, name=name)
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "name"
    assert client.get("/api/pos/tills").json["items"] == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("name", ["x" * 128, "Kasse 1 – Süd", "webshop", "users", "१", "a/b?c"])
def test_any_other_name_will_do(client, make, name):
    assert register(client, make, name=name).json["name"] == name


def test_a_name_is_one_tills(client, make, till):
    assert refused(register(client, make), 409, "pos-till-exists", "name")
    assert len(client.get("/api/pos/tills").json["items"]) == 1
    assert client.get("/api/auth/me", **by_key(till)).status_code == 200


def test_a_till_that_a_session_named_gets_its_device(client, make, runtime):
    with runtime.unit_of_work() as session:
        session.add(Till(name="till-1", warehouse_id=make.main))
    named = client.get("/api/pos/tills").json["items"][0]
    assert (named["is_device"], named["user"]) == (False, None)
    assert refused(client.post(f"/api/pos/tills/{named['id']}/rotate-key"), 409, "pos-till-without-device")
    till = register(client, make).json
    assert (till["id"], till["is_device"], till["code_version"]) == (named["id"], True, 1)
    assert client.get("/api/auth/me", **by_key(till)).json["device"] == "till-1"


def test_a_till_out_of_use_can_be_registered_again(client, make, till):
    client.post(f"/api/pos/tills/{till['id']}/deactivate", {"reason": "lost"})
    again = register(client, make).json
    assert (again["id"], again["is_active"], again["code_version"]) == (till["id"], True, 2)
    assert again["code_secret"] != till["code_secret"]
    assert client.get("/api/auth/me", **by_key(till)).status_code == 401
    assert client.get("/api/auth/me", **by_key(again)).status_code == 200


@pytest.mark.parametrize("role", ["accountant", "customer"])
def test_who_may_not_sell_has_no_till(client, make, role):
    assert refused(register(client, make, user=make.user(role).id), 422, "pos-user-cannot-sell", "user")


def test_a_till_is_where_its_user_works(client, make, cashier):
    answer = register(client, make, user=cashier.id, warehouse=make.other)
    assert refused(answer, 422, "foreign-warehouse", "user")
    assert refused(register(client, make, user=999_999), 422, "unknown-user", "user")
    client.delete(f"/api/users/{cashier.id}")
    assert refused(register(client, make, user=cashier.id), 422, "unknown-user", "user")
    assert client.get("/api/pos/tills").json["items"] == []


def test_a_new_key_ends_the_old_one(client, till):
    answer = client.post(f"/api/pos/tills/{till['id']}/rotate-key")
    assert answer.status_code == 200 and answer.json["code_version"] == 2
    assert answer.json["api_key"] != till["api_key"] and answer.json["code_secret"] != till["code_secret"]
    assert refused(client.get("/api/auth/me", **by_key(till)), 401, "key-revoked")
    assert client.get("/api/auth/me", **by_key(answer.json)).json["device"] == "till-1"


def test_a_lost_till_is_out_at_once(client, till):
    path = f"/api/pos/tills/{till['id']}/deactivate"
    assert client.post(path, {}).status_code == 422
    assert client.get("/api/auth/me", **by_key(till)).status_code == 200
    answer = client.post(path, {"reason": "stolen"})
    assert (answer.status_code, answer.json["is_active"], answer.json["is_device"]) == (200, False, False)
    assert refused(client.get("/api/auth/me", **by_key(till)), 401, "key-revoked")
    assert refused(client.post(path, {"reason": "stolen"}), 409, "pos-till-inactive")
    assert refused(client.post(f"/api/pos/tills/{till['id']}/rotate-key"), 409, "pos-till-inactive")
    assert client.get("/api/pos/tills", params={"is_active": "true"}).json["items"] == []


def test_secrets_are_kept_nowhere(client, make, runtime, cashier):
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"name": "till-1", "warehouse": make.main, "user": cashier.id}
    assert refused(client.post("/api/pos/tills", body, headers=headers), 422, "idempotency-key-not-taken")
    till = client.post("/api/pos/tills", body).json
    path = f"/api/pos/tills/{till['id']}/rotate-key"
    assert refused(client.post(path, headers=headers), 422, "idempotency-key-not-taken")
    rotated = client.post(path).json
    # A key is th_<prefix>_<secret>, and its secret may have underscores too.
    keys = [key for each in (till, rotated) for key in (each["api_key"], each["api_key"].split("_", 2)[2])]
    hidden = [*keys, till["code_secret"], rotated["code_secret"]]
    with runtime.database.connect() as connection:
        from sqlalchemy import inspect

        for table in inspect(connection).get_table_names():
            rows = str(connection.exec_driver_sql(f'SELECT * FROM "{table}"').fetchall())
            assert [secret for secret in hidden if secret in rows] == [], table
    told = client.get("/api/audit", params={"entity": "pos_till"}).json["items"]
    assert [entry["action"] for entry in told] == ["rotate-key", "register"]
    assert told[0]["before"]["code_version"] == 1 and told[0]["after"]["code_version"] == 2


def test_missing_numbers_are_shown_with_the_next_one(client, make, till):
    product = make.product(stock=9)
    sales = [sale(product, warehouse=make.main, device_number=number) for number in (1, 2, 5, 9)]
    client.post("/api/sales/sync", {"sales": sales}, **by_key(till))
    shown = client.get(f"/api/pos/tills/{till['id']}").json
    assert (shown["last_number"], shown["next_number"], shown["missing"]) == (9, 10, [[3, 4], [6, 8]])


def test_one_sees_the_tills_of_the_own_warehouses(client, make, till):
    other = register(client, make, name="till-2", warehouse=make.other).json
    names = {
        role: [each["name"] for each in client.get("/api/pos/tills", as_=role).json["items"]]
        for role in ("admin", "cashier")
    }
    assert names == {"admin": ["till-1", "till-2"], "cashier": ["till-1"]}
    assert client.get(f"/api/pos/tills/{other['id']}", as_="cashier").status_code == 404
    assert client.get("/api/pos/tills", params={"search": "ILL-2"}).json["items"][0]["name"] == "till-2"
    answer = client.get("/api/pos/tills", params={"warehouse": make.other}, as_="cashier")
    assert refused(answer, 403, "foreign-warehouse", "warehouse")


def test_only_who_may_manages_tills(client, make, runtime, till):
    for role in ("supplier", "cashier", "accountant"):
        assert register(client, make, name="mine", as_=role).status_code == 403
        for what in ("rotate-key", "deactivate"):
            assert client.post(f"/api/pos/tills/{till['id']}/{what}", {"reason": "x"}, as_=role).status_code == 403
    client.post("/api/roles", {"name": "branch", "permissions": sorted(runtime.registry.permissions)})
    branch = make.user("branch", warehouses=[make.main])
    other = register(client, make, name="till-2", warehouse=make.other).json
    assert client.post(f"/api/pos/tills/{other['id']}/rotate-key", as_=branch).status_code == 404
    assert client.post(f"/api/pos/tills/{other['id']}/deactivate", {"reason": "x"}, as_=branch).status_code == 404
    assert refused(register(client, make, name="till-2", as_=branch), 403, "foreign-warehouse", "name")
    assert client.get("/api/auth/me", **by_key(other)).status_code == 200


def test_of_several_who_register_one_name_at_once_one_does(client, make):
    assert sorted(at_once(*[lambda: register(client, make).status_code] * 4)) == [201, 409, 409, 409]
    assert len([key for key in client.get("/api/api-keys").json["items"] if key["device"] == "till-1"]) == 1


def test_of_several_who_rotate_one_key_at_once_the_last_one_stays(client, till):
    rotated = at_once(*[lambda: client.post(f"/api/pos/tills/{till['id']}/rotate-key").json] * 3)
    assert sorted(each["code_version"] for each in rotated) == [2, 3, 4]
    good = [each["code_version"] for each in rotated if client.get("/api/auth/me", **by_key(each)).status_code == 200]
    assert good == [4]
