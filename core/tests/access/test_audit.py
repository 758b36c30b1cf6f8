"""The audit log."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from tillhook.access import audit, audit_changes
from tillhook.access.models import AuditEntry
from tillhook.runtime import Runtime
from tillhook.testing.client import Client


def latest(runtime: Runtime) -> AuditEntry:
    with runtime.unit_of_work(write=False) as session:
        return session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()


def test_values_become_json_and_secrets_are_hidden(runtime: Runtime) -> None:
    with runtime.unit_of_work(request_id="request-1") as session:
        audit(
            session,
            "update",
            "thing",
            7,
            before={"price": Decimal("2.50"), "password": "before", "api_token": None},
            after={
                "on": date(2026, 1, 31),
                "at": datetime(2026, 1, 31, 12, tzinfo=UTC),
                "ids": frozenset({2, 1}),
                "nested": {"secret_hash": "x", "list": (Decimal(1),)},
            },
        )
    entry = latest(runtime)
    assert (entry.actor_name, entry.request_id, entry.entity_id) == ("system", "request-1", "7")
    assert entry.before == {"price": "2.50", "password": "(hidden)", "api_token": None}
    assert entry.after == {
        "on": "2026-01-31",
        "at": "2026-01-31T12:00:00.000000Z",
        "ids": [1, 2],
        "nested": {"secret_hash": "(hidden)", "list": ["1"]},
    }


def test_only_what_differs_is_written(runtime: Runtime) -> None:
    with runtime.unit_of_work() as session:
        assert not audit_changes(session, "thing", 1, {"a": 1, "b": 2}, {"a": 1, "b": 2})
        assert audit_changes(session, "thing", 1, {"a": 1, "b": 2}, {"a": 1, "b": 3})
    entry = latest(runtime)
    assert (entry.before, entry.after) == ({"b": 2}, {"b": 3})


def test_nothing_before_is_null_in_the_database(runtime: Runtime) -> None:
    with runtime.unit_of_work() as session:
        audit(session, "create", "thing", 1, after={"a": 1})
        nulls = text("SELECT count(*) FROM audit_entry WHERE entity = 'thing' AND before IS NULL")
        assert session.scalar(nulls) == 1


@pytest.mark.parametrize("statement", [update(AuditEntry).values(action="x"), delete(AuditEntry)])
def test_the_log_cannot_be_rewritten(runtime: Runtime, statement: object) -> None:
    with runtime.unit_of_work() as session:
        audit(session, "create", "thing", 1)
    with pytest.raises(DBAPIError):
        with runtime.unit_of_work() as session:
            session.execute(statement)  # type: ignore[call-overload]


def test_a_write_that_fails_leaves_no_entry(client: Client, runtime: Runtime) -> None:
    def count() -> int:
        with runtime.unit_of_work(write=False) as session:
            return session.scalar(select(func.count()).select_from(AuditEntry)) or 0

    before = count()
    assert client.post("/api/roles", {"name": "admin"}).status_code == 409
    assert count() == before


def test_the_log_is_listed_and_filtered(client: Client) -> None:
    made = client.post("/api/roles", {"name": "one"}).json
    client.post("/api/roles", {"name": "two"})
    client.patch(f"/api/roles/{made['id']}", {"title": "Uno"})
    items = client.get("/api/audit?entity=role").json["items"]
    assert [item["action"] for item in items] == ["update", "create", "create"]
    assert items[0].keys() >= {"actor", "actor_name", "device", "before", "after", "created_at", "request_id"}
    assert (items[0]["before"], items[0]["after"]) == ({"title": "one"}, {"title": "Uno"})
    one = client.get(f"/api/audit?entity=role&entity_id={made['id']}&action=create").json["items"]
    assert [item["after"]["name"] for item in one] == ["one"]
    assert len(client.get(f"/api/audit?entity=role&actor={items[0]['actor']}").json["items"]) == 3
    assert client.get("/api/audit?entity=role&actor=99999").json["items"] == []
    assert client.get("/api/audit?entity=role&date_to=2020-01-01T00:00:00Z").json["items"] == []
    wrong = client.get("/api/audit?date_from=2026-02-01T00:00:00Z&date_to=2026-01-01T00:00:00Z")
    assert (wrong.status_code, wrong.json["errors"][0]["field"]) == (422, "date_to")
    page = client.get("/api/audit?entity=role&limit=2").json
    rest = client.get(f"/api/audit?entity=role&limit=2&cursor={page['next_cursor']}").json
    assert [item["id"] for item in page["items"] + rest["items"]] == [item["id"] for item in items]


def test_who_may_read_the_log(client: Client) -> None:
    assert client.get("/api/audit", as_="accountant").status_code == 200
    for role in ("supplier", "cashier", "customer"):
        assert client.get("/api/audit", as_=role).status_code == 403
    assert client.get("/api/audit", as_=None).status_code == 401
