"""Users: making and changing them, and the rights that nobody can pass on or take."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tillhook.access import NewRole, create_role, update_user
from tillhook.actor import Actor
from tillhook.errors import Conflict
from tillhook.runtime import Runtime
from tillhook.testing.client import Client
from tillhook.testing.factories import Factory
from tillhook.testing.people import Person

LogIn = Callable[..., Any]


def new_user(**fields: Any) -> dict[str, Any]:
    return {"email": "new@example.com", "name": "New", "password": "newspassword", **fields}


@pytest.fixture
def manager(runtime: Runtime, make: Factory, client: Client) -> Person:
    """Somebody who manages users of the main shop and is no administrator."""
    with runtime.unit_of_work() as session:
        permissions = ("access:user:manage", "access:role:manage", "access:api_key:manage")
        create_role(session, NewRole(name="boss", title="Boss", permissions=permissions))
        create_role(session, NewRole(name="keeper", title="Keeper", permissions=permissions[:1]))
    made = client.post("/api/users", new_user(email="m@example.com", roles=["boss"], warehouses=[make.main]))
    assert made.status_code == 201, made.text
    return Person(made.json["id"], "m@example.com", "boss")


def person(client: Client, role: str) -> dict[str, Any]:
    return client.get("/api/auth/me", as_=role).json["user"]


def test_a_user_is_made_listed_changed_and_closed(client: Client, make: Factory, log_in: LogIn) -> None:
    made = client.post("/api/users", new_user(roles=["cashier", "supplier"], warehouses=[make.main, make.other]))
    assert made.status_code == 201, made.text
    user = made.json
    assert user["roles"] == ["cashier", "supplier"]
    assert user["warehouses"] == sorted([make.main, make.other])
    assert user["is_active"] and not user["all_warehouses"]
    assert "password" not in made.text and "argon" not in made.text
    assert log_in("new@example.com", "newspassword").status_code == 200
    path = f"/api/users/{user['id']}"
    assert client.get(path).json == user
    changed = client.patch(path, {"name": "Newer", "roles": ["cashier"], "warehouses": [], "email": "N@Example.com"})
    assert changed.status_code == 200, changed.text
    assert (changed.json["name"], changed.json["email"]) == ("Newer", "n@example.com")
    assert (changed.json["roles"], changed.json["warehouses"]) == (["cashier"], [])
    assert client.delete(path).status_code == 204
    assert client.get(path).json["is_active"] is False
    assert log_in("n@example.com", "newspassword").status_code == 401
    assert client.patch(path, {"is_active": True, "password": "newestpassword"}).status_code == 200
    assert log_in("n@example.com", "newestpassword").status_code == 200


def test_the_list_is_filtered_and_paged(client: Client) -> None:
    everybody = client.get("/api/users?ordering=email").json["items"]
    assert [user["email"].partition("@")[0] for user in everybody] == [
        "accountant",
        "admin",
        "cashier",
        "customer",
        "manager",
        "supplier",
    ]
    assert [user["roles"] for user in client.get("/api/users?role=cashier").json["items"]] == [["cashier"]]
    assert len(client.get("/api/users?search=SUPP").json["items"]) == 1
    assert client.get("/api/users?search=%25").json["items"] == []
    assert client.get("/api/users?is_active=false").json["items"] == []
    first = client.get("/api/users?limit=4").json
    rest = client.get(f"/api/users?limit=4&cursor={first['next_cursor']}").json
    assert len({user["id"] for user in first["items"] + rest["items"]}) == 6
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"email": None}, "email"),
        ({"name": ""}, "name"),
        ({"password": "short"}, "password"),
        ({"password": "new@example.com"}, "password"),
        ({"roles": ["nobody"]}, "roles.0"),
        ({"roles": "admin"}, "roles"),
        ({"warehouses": [99999]}, "warehouses.0"),
        ({"warehouses": [-1]}, "warehouses.0"),
        ({"warehouses": ["1"]}, "warehouses.0"),
        ({"is_system": True}, "is_system"),
        ({"permissions": ["access:user:manage"]}, "permissions"),
    ],
)
def test_wrong_fields_are_named_and_nothing_is_made(client: Client, fields: dict[str, Any], field: str) -> None:
    answer = client.post("/api/users", new_user(**fields))
    assert answer.status_code == 422, answer.text
    assert answer.json["errors"][0]["field"] == field
    assert len(client.get("/api/users").json["items"]) == 6


def test_all_that_is_wrong_is_said_at_once(client: Client) -> None:
    body = {
        "email": "cashier@test.com",
        "password": "cashier@test.com",
        "roles": ["cashier", "boss"],
        "warehouses": [99],
    }
    answer = client.post("/api/users", {**body, "shoe_size": 42})
    assert answer.status_code == 422
    fields = {error["field"]: error["message"] for error in answer.json["errors"]}
    assert sorted(fields) == ["email", "name", "password", "roles.1", "shoe_size", "warehouses.0"]
    assert fields["email"] == "There is an account with this address."
    formed = client.post("/api/users", {**body, "name": "X"})
    assert [error["field"] for error in formed.json["errors"]] == ["email", "password", "roles.1", "warehouses.0"]
    odd = {"email": 5, "name": [], "password": None, "roles": [1, "boss", {}], "warehouses": ["x", 99, 10**30]}
    fields = {error["field"] for error in client.post("/api/users", odd).json["errors"]}
    assert {"email", "name", "password", "roles.0", "roles.1", "roles.2", "warehouses.0"} <= fields
    assert client.post("/api/users", [1]).status_code == 422
    assert len(client.get("/api/users").json["items"]) == 6


def test_a_refusal_says_which_roles_may(client: Client, make: Factory) -> None:
    refused = client.get("/api/users", as_="cashier").json
    assert (refused["permission"], refused["roles"]) == ("access:user:manage", ["admin"])
    assert refused["detail"] == "This needs the permission access:user:manage; these roles may: admin."
    inline = {"product_data": {"name": "Bread"}, "quantity": "1", "unit_price": "2.00"}
    sale = {"channel": "counter", "warehouse": make.main, "items": [inline]}
    refused = client.post("/api/sales", sale, as_="cashier").json
    assert refused["roles"] == ["admin", "manager", "supplier"] and "admin, manager, supplier" in refused["detail"]
    (result,) = client.post("/api/sales/sync", {"sales": [sale]}, as_="cashier").json["results"]
    assert result["error"]["roles"] == ["admin", "manager", "supplier"]


def test_one_address_is_one_account(client: Client) -> None:
    answer = client.post("/api/users", new_user(email="CASHIER@test.com"))
    assert (answer.status_code, answer.json["code"]) == (409, "email-taken")
    user = person(client, "supplier")
    assert client.patch(f"/api/users/{user['id']}", {"email": "cashier@TEST.com"}).status_code == 409
    assert client.patch(f"/api/users/{user['id']}", {"email": "Supplier@test.com"}).status_code == 200


def test_unknown_users(client: Client) -> None:
    assert client.get("/api/users/99999").status_code == 404
    assert client.patch("/api/users/99999", {"name": "X"}).status_code == 404
    assert client.delete("/api/users/99999").status_code == 404


@pytest.mark.parametrize("role", ["supplier", "cashier", "accountant", "customer"])
def test_only_who_may_manages_users(client: Client, role: str) -> None:
    assert client.get("/api/users", as_=role).status_code == 403
    assert client.post("/api/users", new_user(), as_=role).status_code == 403
    assert client.get("/api/users", as_=None).status_code == 401


def test_nobody_gives_what_they_lack(client: Client, manager: Person, make: Factory) -> None:
    def refused(**fields: Any) -> Any:
        answer = client.post("/api/users", new_user(**fields), as_=manager)
        assert answer.status_code == 403, answer.text
        return answer.json["code"]

    assert refused(roles=["admin"]) == "cannot-grant"
    assert refused(roles=["keeper", "accountant"]) == "cannot-grant"
    assert refused(roles=["keeper"], warehouses=[make.other]) == "foreign-warehouse"
    assert refused(roles=["keeper"], all_warehouses=True) == "foreign-warehouse"
    made = client.post("/api/users", new_user(roles=["keeper"], warehouses=[make.main]), as_=manager)
    assert made.status_code == 201, made.text
    path = f"/api/users/{made.json['id']}"
    assert client.patch(path, {"roles": ["admin"]}, as_=manager).status_code == 403
    assert client.patch(path, {"warehouses": [make.other]}, as_=manager).status_code == 403
    assert client.patch(path, {"all_warehouses": True}, as_=manager).status_code == 403
    assert client.patch(f"/api/users/{manager.id}", {"roles": ["admin"]}, as_=manager).status_code == 403
    assert client.patch(path, {"name": "Kay"}, as_=manager).status_code == 200


def test_nobody_touches_who_has_more(client: Client, manager: Person, make: Factory) -> None:
    admin = person(client, "admin")
    for changes in ({"password": "mine from now on"}, {"email": "mine@example.com"}, {"is_active": False}):
        assert client.patch(f"/api/users/{admin['id']}", changes, as_=manager).status_code == 403
    assert client.delete(f"/api/users/{admin['id']}", as_=manager).status_code == 403
    elsewhere = client.post("/api/users", new_user(roles=["keeper"], warehouses=[make.other])).json
    answer = client.patch(f"/api/users/{elsewhere['id']}", {"password": "mine from now on"}, as_=manager)
    assert (answer.status_code, answer.json["code"]) == (403, "foreign-warehouse")


def test_the_last_administrator_stays(client: Client, runtime: Runtime) -> None:
    path = f"/api/users/{person(client, 'admin')['id']}"
    for answer in (
        client.delete(path),
        client.patch(path, {"is_active": False}),
        client.patch(path, {"roles": ["cashier"]}),
        client.patch(path, {"roles": []}),
    ):
        assert (answer.status_code, answer.json["code"]) == (409, "last-admin")
    assert client.get(path).json["roles"] == ["admin"]
    second = client.post("/api/users", new_user(roles=["admin"], all_warehouses=True)).json
    assert client.delete(f"/api/users/{second['id']}").status_code == 204
    assert client.delete(path).status_code == 409  # one who is closed does not count
    assert client.patch(f"/api/users/{second['id']}", {"is_active": True}).status_code == 200
    assert client.delete(path).status_code == 204


def test_two_administrators_cannot_remove_each_other_at_once(
    client: Client, runtime: Runtime, actor_named: Callable[[str], Actor]
) -> None:
    first = person(client, "admin")["id"]
    second = client.post("/api/users", new_user(roles=["admin"], all_warehouses=True)).json["id"]
    admin = actor_named("admin")

    def demote(user_id: int) -> str:
        try:
            with runtime.unit_of_work(admin) as session:
                update_user(session, user_id, {"roles": ["cashier"]})
        except Conflict as error:
            return error.code
        return "done"

    for _ in range(5):
        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(demote, [first, second])) == ["done", "last-admin"]
        with runtime.unit_of_work() as session:
            for user_id in (first, second):
                update_user(session, user_id, {"roles": ["admin"]})


def test_an_administrators_new_password_for_somebody_ends_their_sessions(client: Client, log_in: LogIn) -> None:
    tokens = log_in("cashier").json
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    path = f"/api/users/{tokens['user']['id']}"
    assert client.patch(path, {"password": "given by admin"}).status_code == 200
    assert client.get("/api/auth/me", as_=None, headers=headers).status_code == 401
    assert log_in("cashier", "given by admin").status_code == 200


def test_new_warehouses_show_at_once(client: Client, make: Factory) -> None:
    user = person(client, "cashier")
    path = f"/api/users/{user['id']}"
    assert client.patch(path, {"warehouses": [make.other]}).status_code == 200
    seen = client.get("/api/auth/me", as_="cashier").json["warehouses"]
    assert [warehouse["name"] for warehouse in seen] == ["Other shop"]


@pytest.mark.parametrize("written", ["özil", "ÖZIL", "O\N{COMBINING DIAERESIS}zil"])
def test_a_search_finds_a_name_however_it_is_written(client: Client, make: Factory, written: str) -> None:
    user = make.user("admin", name="Mesut Özil")
    client.post("/api/api-keys", {"name": "Till of Özil", "scopes": ["sales:sale:post"]}, as_=user)
    client.post("/api/parties", {"name": "Özil & Söhne"})
    for path, name in (
        ("users", "Mesut Özil"),
        ("api-keys", "Till of Özil"),
        ("parties", "Özil & Söhne"),
        ("audit", "Mesut Özil"),
    ):
        items = client.get(f"/api/{path}", params={"search": written}).json["items"]
        assert {each.get("actor_name") or each["name"] for each in items} == {name}, path
