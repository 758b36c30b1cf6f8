"""Settings that are changed while the server runs, and the cache that they are read from."""

import pytest

from tillhook.errors import ValidationFailed
from tillhook.reference import bump_epoch
from tillhook.runtime import snapshot_of
from tillhook.settings import list_settings, update_settings


def change(runtime, **changes):
    with runtime.unit_of_work() as session:
        update_settings(session, {key.replace("__", "."): value for key, value in changes.items()})


def setting(runtime, key):
    with runtime.unit_of_work(write=False) as session:
        return snapshot_of(session).setting(key)


def test_a_change_is_seen_by_the_next_transaction(runtime):
    assert setting(runtime, "currency") == "EUR"
    change(runtime, currency="USD", low_stock_threshold="2.5", company__name="Zebra & Foal")
    assert setting(runtime, "currency") == "USD"
    assert str(setting(runtime, "low_stock_threshold")) == "2.5"
    assert setting(runtime, "company.name") == "Zebra & Foal"


def test_null_takes_a_setting_back_to_its_default(runtime):
    change(runtime, currency="USD")
    change(runtime, currency=None)
    assert setting(runtime, "currency") == "EUR"


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("currency", "euro"),
        ("currency", 5),
        ("currency_places", True),
        ("currency_places", 5),
        ("currency_places", "2"),
        ("day_cutoff_hour", 24),
        ("day_cutoff_hour", 10**40),
        ("timezone", "Europe/Atlantis"),
        ("timezone", "\ud800"),
        ("tax_rounding", "never"),
        ("low_stock_threshold", -1),
        ("low_stock_threshold", "1e3"),
        ("company.name", "x" * 1001),
        ("company.name", "a\0b"),
        ("company.name", ["x"]),
        ("nonsense", 1),
    ],
)
def test_a_wrong_value_is_refused_and_named_and_nothing_changes(runtime, key, value):
    with pytest.raises(ValidationFailed) as refusal, runtime.unit_of_work() as session:
        update_settings(session, {"company.address": "Elsewhere", key: value})
    assert [error["field"] for error in refusal.value.errors] == [key]
    assert setting(runtime, "company.address") == ""


def test_the_snapshot_is_loaded_again_only_when_the_epoch_moved(runtime):
    with runtime.database.connect() as connection:
        first = runtime.snapshots.current(connection)
        assert runtime.snapshots.current(connection) is first
    with runtime.unit_of_work() as session:
        bump_epoch(session)
    with runtime.database.connect() as connection:
        second = runtime.snapshots.current(connection)
    assert second is not first
    assert second.epoch == first.epoch + 1


def test_a_change_that_is_rolled_back_is_seen_by_nobody(runtime):
    with pytest.raises(ZeroDivisionError), runtime.unit_of_work() as session:
        update_settings(session, {"currency": "USD"})
        1 / 0  # noqa: B018
    assert setting(runtime, "currency") == "EUR"


def test_the_snapshot_holds_warehouses_and_roles(runtime, make):
    with runtime.unit_of_work(write=False) as session:
        snapshot = snapshot_of(session)
    assert set(snapshot.warehouses) >= {make.main}
    assert all(warehouse.kind == "warehouse" for warehouse in snapshot.warehouses.values())
    assert "platform:setting:update" in snapshot.roles["admin"]
    assert "platform:setting:update" not in snapshot.roles["cashier"]


def test_every_declared_setting_is_listed(runtime):
    with runtime.unit_of_work(write=False) as session:
        listed = list_settings(session)
    assert [entry["key"] for entry in listed] == sorted(runtime.registry.settings)
    assert {entry["type"] for entry in listed} <= {"boolean", "integer", "text", "decimal"}


def test_an_admin_reads_and_changes_them_over_http(client):
    answer = client.patch("/api/settings", {"company.name": "Zebra"}, as_="admin")
    assert answer.status_code == 200
    values = {entry["key"]: entry["value"] for entry in client.get("/api/settings", as_="accountant").json["items"]}
    assert values["company.name"] == "Zebra"
    assert values["low_stock_threshold"] == "10"


def test_others_do_not(client):
    assert client.get("/api/settings", as_=None).status_code == 401
    assert client.get("/api/settings", as_="cashier").status_code == 403
    assert client.patch("/api/settings", {"company.name": "Mine"}, as_="accountant").status_code == 403


def test_a_wrong_change_is_a_problem_that_names_the_field(client):
    answer = client.patch("/api/settings", {"currency": "euro", "nonsense": 1}, as_="admin")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["currency", "nonsense"]
