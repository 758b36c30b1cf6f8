"""Roles and the permissions that modules declare."""

from typing import Any

import pytest
from sqlalchemy import delete, select

from tillhook.access import sync_roles
from tillhook.access.models import KnownPermission, Role, RolePermission
from tillhook.runtime import Runtime, snapshot_of
from tillhook.testing.client import Client
from tillhook.testing.people import Person


def roles(client: Client) -> dict[str, Any]:
    return {role["name"]: role for role in client.get("/api/roles").json["items"]}


def test_the_shipped_roles(client: Client, runtime: Runtime) -> None:
    shipped = roles(client)
    assert set(shipped) == {"admin", "manager", "supplier", "cashier", "accountant", "customer"}
    assert all(role["is_builtin"] for role in shipped.values())
    assert set(shipped["admin"]["permissions"]) == set(runtime.registry.permissions)
    assert shipped["customer"]["permissions"] == []
    assert shipped["manager"]["discount_limit"] == "0.5"
    assert not [name for name in shipped["manager"]["permissions"] if name.startswith(("access:role", "platform:"))]
    for name, permission in runtime.registry.permissions.items():
        holders = {role for role, described in shipped.items() if name in described["permissions"]}
        assert holders == {*permission.roles, "admin"}


def test_a_role_is_made_changed_and_deleted(client: Client) -> None:
    body = {"name": "auditor", "title": "Auditor", "permissions": ["access:audit:read"]}
    made = client.post("/api/roles", body)
    assert made.status_code == 201, made.text
    path = f"/api/roles/{made.json['id']}"
    assert client.get(path).json == made.json
    assert client.post("/api/roles", body).json["code"] == "role-exists"
    user = {"email": "a@example.com", "name": "A", "password": "apassword", "roles": ["auditor"]}
    user_id = client.post("/api/users", user).json["id"]
    auditor = Person(user_id, "a@example.com", "auditor")
    assert client.get("/api/audit", as_=auditor).status_code == 200
    changed = client.patch(path, {"permissions": [], "title": "Nothing"})
    assert (changed.status_code, changed.json["permissions"], changed.json["title"]) == (200, [], "Nothing")
    assert client.get("/api/audit", as_=auditor).status_code == 403
    assert client.delete(path).json["code"] == "role-in-use"
    assert client.patch(f"/api/users/{user_id}", {"roles": []}).status_code == 200
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def test_shipped_roles_stay(client: Client) -> None:
    shipped = roles(client)
    for role in shipped.values():
        assert client.delete(f"/api/roles/{role['id']}").json["code"] == "builtin-role"
    assert client.patch(f"/api/roles/{shipped['cashier']['id']}", {"name": "till"}).status_code == 422
    admin = f"/api/roles/{shipped['admin']['id']}"
    assert client.patch(admin, {"permissions": []}).json["code"] == "builtin-role"
    assert client.patch(admin, {"title": "Boss"}).status_code == 200


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"permissions": ["no:such:thing"]}, "permissions.0"),
        ({"permissions": ["access:audit:read", "x"]}, "permissions.1"),
        ({"permissions": [1]}, "permissions.0"),
        ({"name": "Upper Case"}, "name"),
        ({"name": ""}, "name"),
        ({"is_builtin": True}, "is_builtin"),
    ],
)
def test_wrong_fields_are_named(client: Client, fields: dict[str, Any], field: str) -> None:
    answer = client.post("/api/roles", {"name": "auditor", **fields})
    assert answer.status_code == 422, answer.text
    assert answer.json["errors"][0]["field"] == field
    assert "auditor" not in roles(client)


def test_nobody_gives_or_takes_a_permission_that_they_lack(client: Client) -> None:
    made = client.post("/api/roles", {"name": "keeper", "permissions": ["access:role:manage"]})
    user = {"email": "k@example.com", "name": "K", "password": "kpassword", "roles": ["keeper"]}
    keeper = Person(client.post("/api/users", user).json["id"], "k@example.com", "keeper")
    own = f"/api/roles/{made.json['id']}"
    more = ["access:role:manage", "access:user:manage"]
    answer = client.patch(own, {"permissions": more}, as_=keeper)
    assert (answer.status_code, answer.json["permissions"]) == (403, ["access:user:manage"])
    assert client.post("/api/roles", {"name": "x", "permissions": more}, as_=keeper).status_code == 403
    accountant = f"/api/roles/{roles(client)['accountant']['id']}"
    assert client.patch(accountant, {"permissions": []}, as_=keeper).status_code == 403
    assert client.post("/api/roles", {"name": "x", "permissions": more[:1]}, as_=keeper).status_code == 201


def test_permissions_are_listed(client: Client, runtime: Runtime) -> None:
    items = client.get("/api/permissions").json["items"]
    assert [item["name"] for item in items] == sorted(runtime.registry.permissions)
    assert all(item["title"] for item in items)


def test_what_an_admin_took_away_stays_away(runtime: Runtime) -> None:
    name = "access:audit:read"
    with runtime.unit_of_work() as session:
        session.execute(delete(RolePermission).where(RolePermission.permission == name))
        sync_roles(session)
        assert holders(session, name) == ["admin"]  # but the administrator always has all
        session.execute(delete(KnownPermission).where(KnownPermission.name == name))
        sync_roles(session)
        assert holders(session, name) == ["accountant", "admin"]


def test_doing_it_again_changes_nothing(runtime: Runtime) -> None:
    with runtime.unit_of_work() as session:
        before = snapshot_of(session).epoch
        sync_roles(session)
    with runtime.unit_of_work(write=False) as session:
        assert snapshot_of(session).epoch == before


def holders(session: Any, permission: str) -> list[str]:
    statement = select(Role.name).join(RolePermission, RolePermission.role_id == Role.id)
    return list(session.scalars(statement.where(RolePermission.permission == permission).order_by(Role.name)))


@pytest.fixture
def discounts(client: Client, make: Any) -> Any:
    """Sell one piece of 10.00 at a discount, as somebody of the roles given; return the status."""
    product = make.product(price="10.00", price_mode="bounded", stock=100)
    rights = ["sales:sale:post", "sales:sale:discount"]

    def role(name: str, limit: str | None, permissions: list[str] = rights) -> str:
        body = {"name": name, "discount_limit": limit, "permissions": permissions}
        assert client.post("/api/roles", body).status_code == 201
        return name

    def sell(roles: list[str], off: str, *, per_item: bool = False) -> int:
        body: dict[str, Any] = {"product_id": product.id, "quantity": "1"}
        fields = {"discount_per_item": off} if per_item else {}
        sale = {"channel": "counter", "warehouse": make.main, "items": [body | fields]}
        person = make.user(roles[0], roles=roles)
        answer = client.post("/api/sales", sale if per_item else sale | {"discount_amount": off}, as_=person)
        assert answer.status_code in (201, 403), answer.text
        if answer.status_code == 403:
            assert answer.json["code"] == "discount-limit"
            assert answer.json["errors"][0]["field"].rpartition(".")[2].startswith("discount_")
        return answer.status_code

    return role, sell


@pytest.mark.parametrize("per_item", [True, False])
def test_a_role_has_a_discount_limit_of_its_own(discounts: Any, per_item: bool) -> None:
    role, sell = discounts
    trainee, boss = role("trainee", "0.05"), role("boss", "0.5")
    assert sell([trainee], "0.50", per_item=per_item) == 201
    assert sell([trainee], "0.51", per_item=per_item) == 403
    assert sell([boss], "5.00", per_item=per_item) == 201
    assert sell([boss], "5.01", per_item=per_item) == 403
    assert sell([trainee, boss], "5.00", per_item=per_item) == 201
    assert sell([role("none", "0")], "0.01", per_item=per_item) == 403


def test_a_role_without_a_limit_has_the_settings(client: Client, discounts: Any) -> None:
    role, sell = discounts
    trainee, general = role("trainee", "0.05"), role("general", None)
    assert sell([general], "2.00") == 201
    assert sell([general], "2.01") == 403
    assert sell([trainee, general], "2.00") == 201
    # A role that allows no discount raises no limit.
    assert sell([trainee, role("reader", None, ["sales:sale:read"])], "0.51") == 403
    client.patch("/api/settings", {"sales.discount_limit": "0.3"})
    assert sell([trainee, general], "3.00") == 201
    assert sell([trainee], "0.51") == 403


@pytest.mark.parametrize("price_mode", ["list", "bounded", "open"])
def test_a_discount_on_a_line_has_its_limit_whatever_the_price_mode(client: Client, make: Any, price_mode: str) -> None:
    product = make.product(price="10.00", price_mode=price_mode, stock=9)

    def sell(off: str) -> int:
        item = {"product_id": product.id, "quantity": "1", "discount_per_item": off}
        sale = {"channel": "counter", "warehouse": make.main, "items": [item]}
        return client.post("/api/sales", sale, as_="cashier").status_code

    assert (sell("2.00"), sell("2.01")) == (201, 403)


def test_a_discount_limit_is_shown_changed_and_audited(client: Client) -> None:
    made = client.post("/api/roles", {"name": "clerk", "discount_limit": "0.10"}).json
    assert made["discount_limit"] == "0.1"
    path = f"/api/roles/{made['id']}"
    assert client.patch(path, {"discount_limit": None}).json["discount_limit"] is None
    (entry,) = client.get("/api/audit", params={"entity": "role", "action": "update"}).json["items"]
    assert (entry["before"], entry["after"]) == ({"discount_limit": "0.1"}, {"discount_limit": None})
    for wrong in ("1.01", "-0.1", "x", True):
        answer = client.patch(path, {"discount_limit": wrong})
        assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "discount_limit"


def test_nobody_gives_a_larger_discount_than_their_own(client: Client, make: Any) -> None:
    rights = ["access:role:manage", "sales:sale:discount"]
    mine = client.post("/api/roles", {"name": "keeper", "discount_limit": "0.1", "permissions": rights}).json
    keeper = make.user("keeper")
    for limit in ("0.11", None):
        answer = client.patch(f"/api/roles/{mine['id']}", {"discount_limit": limit}, as_=keeper)
        assert (answer.status_code, answer.json["code"]) == (403, "cannot-grant")
        assert answer.json["errors"][0]["field"] == "discount_limit"
    assert client.post("/api/roles", {"name": "more", "discount_limit": "1"}, as_=keeper).status_code == 403
    assert client.post("/api/roles", {"name": "less", "discount_limit": "0.1"}, as_=keeper).status_code == 201
