"""Roles and the permissions that modules declare."""

from typing import Any

import pytest
from sqlalchemy import delete, select

from tillhook.access import sync_roles
from tillhook.access.models import KnownPermission, Role, RolePermission
from tillhook.access.roles import BUILTIN
from tillhook.runtime import Runtime, snapshot_of
from tillhook.testing.client import Client
from tillhook.testing.people import Person


def roles(client: Client) -> dict[str, Any]:
    return {role["name"]: role for role in client.get("/api/roles").json["items"]}


def test_the_shipped_roles(client: Client, runtime: Runtime) -> None:
    shipped = roles(client)
    assert shipped.keys() == BUILTIN.keys()
    assert all(role["is_builtin"] for role in shipped.values())
    assert set(shipped["admin"]["permissions"]) == set(runtime.registry.permissions)
    assert shipped["customer"]["permissions"] == []
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
