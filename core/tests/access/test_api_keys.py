"""API keys: part of their owner's rights, and no more."""

from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from tillhook.access.models import ApiKey, AuditEntry
from tillhook.runtime import Runtime
from tillhook.testing.client import Client
from tillhook.testing.factories import Factory

SCOPES = ["access:audit:read"]


def make_key(client: Client, as_: Any = "admin", **fields: Any) -> Any:
    return client.post("/api/api-keys", {"name": "Till 2", "scopes": SCOPES, **fields}, as_=as_)


def use(client: Client, key: str, path: str = "/api/auth/me", method: str = "GET", json: Any = None) -> Any:
    return client.request(method, path, json, as_=None, headers={"X-API-Key": key})


def user_id(client: Client, role: str) -> int:
    return client.get("/api/auth/me", as_=role).json["user"]["id"]


def test_a_key_acts_with_its_scopes_only(client: Client, make: Factory) -> None:
    made = make_key(client, warehouses=[make.other], device="pos-02")
    assert made.status_code == 201, made.text
    key = made.json["key"]
    assert key.startswith(made.json["prefix"] + "_")
    me = use(client, key).json
    assert (me["permissions"], me["device"], me["user"]["email"]) == (SCOPES, "pos-02", "admin@test.com")
    assert [warehouse["id"] for warehouse in me["warehouses"]] == [make.other]
    assert not me["all_warehouses"]
    assert use(client, key, "/api/audit").status_code == 200
    assert use(client, key, "/api/users").status_code == 403
    bearer = client.get("/api/audit", as_=None, headers={"Authorization": f"Bearer {key}"})
    assert bearer.status_code == 200


def test_a_key_is_shown_once_and_kept_as_a_digest(client: Client, runtime: Runtime) -> None:
    key = make_key(client).json["key"]
    secret = key.split("_", 2)[2]
    assert secret not in client.get("/api/api-keys").text
    assert secret not in client.get("/api/audit").text
    with runtime.unit_of_work(write=False) as session:
        kept = session.scalars(select(ApiKey)).one()
        assert secret not in (kept.prefix, kept.secret_hash)


@pytest.mark.parametrize("change", ["secret", "prefix"])
def test_another_key_is_no_key(client: Client, change: str) -> None:
    _, prefix, secret = make_key(client).json["key"].split("_", 2)
    if change == "secret":
        secret = ("B" if secret[0] == "A" else "A") + secret[1:]
    else:
        prefix = ("0" if prefix[0] == "1" else "1") + prefix[1:]
    assert use(client, f"th_{prefix}_{secret}").status_code == 401


def test_a_revoked_key_ends_at_once(client: Client) -> None:
    made = make_key(client).json
    assert use(client, made["key"]).status_code == 200
    assert client.delete(f"/api/api-keys/{made['id']}").status_code == 204
    assert use(client, made["key"]).status_code == 401
    assert client.delete(f"/api/api-keys/{made['id']}").status_code == 204
    assert client.delete("/api/api-keys/99999").status_code == 404
    assert client.get("/api/api-keys").json["items"][0]["revoked_at"] is not None


def test_a_key_expires_though_it_is_cached(client: Client) -> None:
    with time_machine.travel("2026-03-01T10:00:00Z", tick=False) as clock:
        assert make_key(client, expires_at="2026-03-01T10:00:00Z").status_code == 422
        key = make_key(client, expires_at="2026-03-01T11:00:00Z").json["key"]
        assert use(client, key).status_code == 200
        clock.shift(3600)
        answer = use(client, key)
        assert (answer.status_code, answer.json["code"]) == (401, "key-expired")


def test_a_key_loses_what_its_owner_loses(client: Client, make: Factory) -> None:
    owner = user_id(client, "accountant")
    key = make_key(client, user=owner, warehouses=[make.main, make.other]).json["key"]
    assert use(client, key, "/api/audit").status_code == 200
    changes = {"roles": ["cashier"], "all_warehouses": False, "warehouses": [make.main]}
    assert client.patch(f"/api/users/{owner}", changes).status_code == 200
    assert use(client, key, "/api/audit").status_code == 403
    assert [warehouse["id"] for warehouse in use(client, key).json["warehouses"]] == [make.main]
    assert client.delete(f"/api/users/{owner}").status_code == 204
    assert use(client, key).status_code == 401


def test_scopes_and_warehouses_are_part_of_the_owners(client: Client, make: Factory) -> None:
    cashier = user_id(client, "cashier")
    lacking = make_key(client, user=cashier)
    assert (lacking.status_code, lacking.json["errors"][0]["field"]) == (422, "scopes.0")
    accountant = user_id(client, "accountant")
    changes = {"all_warehouses": False, "warehouses": [make.main]}
    assert client.patch(f"/api/users/{accountant}", changes).status_code == 200
    foreign = make_key(client, user=accountant, warehouses=[make.main, make.other])
    assert (foreign.status_code, foreign.json["errors"][0]["field"]) == (422, "warehouses.1")
    assert make_key(client, user=99999).json["errors"][0]["field"] == "user"


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["no:such:thing"]}, "scopes.0"),
        ({"warehouses": []}, "warehouses"),
        ({"warehouses": [99999]}, "warehouses.0"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"device": ""}, "device"),
        ({"prefix": "mine"}, "prefix"),
    ],
)
def test_wrong_fields_are_refused(client: Client, fields: dict[str, Any], field: str) -> None:
    answer = make_key(client, **fields)
    assert answer.status_code in (403, 422), answer.text
    assert client.get("/api/api-keys").json["items"] == []
    if answer.status_code == 422:
        assert answer.json["errors"][0]["field"] == field
    else:
        assert answer.json["permissions"] == fields["scopes"]


def test_a_key_makes_no_key_that_can_do_more(client: Client, make: Factory) -> None:
    scopes = ["access:api_key:manage", "access:user:manage"]
    key = make_key(client, scopes=scopes, warehouses=[make.main]).json["key"]

    def make_another(**fields: Any) -> Any:
        return use(client, key, "/api/api-keys", "POST", {"name": "X", "scopes": scopes, **fields})

    assert make_another(scopes=SCOPES, warehouses=[make.main]).status_code == 403
    assert make_another().status_code == 403  # without warehouses: all that the owner sees
    assert make_another(warehouses=[make.other]).status_code == 403
    assert make_another(warehouses=[make.main]).status_code == 201
    me = user_id(client, "admin")
    answer = use(client, key, f"/api/users/{me}", "PATCH", {"password": "mine from now on"})
    assert answer.status_code == 403
    change = {"current_password": "testpass123", "new_password": "mine from now on"}
    assert use(client, key, "/api/auth/password", "POST", change).status_code == 403


def test_the_log_says_which_key_and_device(client: Client, runtime: Runtime) -> None:
    made = make_key(client, scopes=["access:role:manage"], device="pos-02").json
    assert use(client, made["key"], "/api/roles", "POST", {"name": "x"}).status_code == 201
    with runtime.unit_of_work(write=False) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.entity == "role")).one()
        assert (entry.api_key_id, entry.device, entry.actor_name) == (made["id"], "pos-02", "Admin")
        assert entry.request_id
