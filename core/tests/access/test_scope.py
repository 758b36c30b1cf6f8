"""Which rows an actor sees."""

from collections.abc import Callable

import pytest
from sqlalchemy import column

from tillhook.access import (
    default_warehouse,
    require_warehouse,
    sees_all_sales,
    sees_warehouse,
    visible_warehouses,
    warehouse_condition,
)
from tillhook.actor import ANONYMOUS, SYSTEM, Actor
from tillhook.errors import PermissionDenied, ValidationFailed
from tillhook.runtime import Runtime
from tillhook.testing.client import Client
from tillhook.testing.factories import Factory

SELLER = Actor(user_id=1, warehouse_ids=frozenset({1, 2}), permissions=frozenset({"sales:sale:post"}))


def test_permissions() -> None:
    assert SELLER.can("sales:sale:post") and not SELLER.can("sales:sale:cancel")
    assert SYSTEM.can("anything:at:all") and not ANONYMOUS.can("sales:sale:post")
    SELLER.require("sales:sale:post")
    with pytest.raises(PermissionDenied) as caught:
        SELLER.require("sales:sale:cancel")
    assert caught.value.extra == {"permission": "sales:sale:cancel", "roles": []}


def test_warehouses_of_an_actor() -> None:
    assert visible_warehouses(SELLER) == {1, 2}
    assert visible_warehouses(SYSTEM) is None
    assert visible_warehouses(ANONYMOUS) == frozenset()
    assert sees_warehouse(SELLER, 2) and not sees_warehouse(SELLER, 3) and sees_warehouse(SYSTEM, 3)
    require_warehouse(SELLER, 1)
    with pytest.raises(PermissionDenied) as caught:
        require_warehouse(SELLER, 3, field="from_warehouse")
    assert caught.value.errors[0]["field"] == "from_warehouse"
    with pytest.raises(ValidationFailed):
        require_warehouse(SELLER, None)


def test_condition_on_a_column() -> None:
    warehouse = column("warehouse_id")
    assert str(warehouse_condition(SYSTEM, warehouse)) == "true"
    condition = warehouse_condition(SELLER, warehouse).compile(compile_kwargs={"literal_binds": True})
    assert str(condition) == "warehouse_id IN (1, 2)"


def test_sales_of_others() -> None:
    assert not sees_all_sales(SELLER)
    assert sees_all_sales(Actor(permissions=frozenset({"sales:sale:read_all"})))


def test_a_session_knows_which_warehouses_there_are(
    runtime: Runtime, make: Factory, actor_named: Callable[[str], Actor]
) -> None:
    with runtime.unit_of_work(actor_named("cashier"), write=False) as session:
        assert visible_warehouses(session) == {make.main}
        require_warehouse(session, make.main)
        with pytest.raises(PermissionDenied):
            require_warehouse(session, make.other)
        for unknown in (99_999, -1):
            with pytest.raises(ValidationFailed):
                require_warehouse(session, unknown)
        assert not sees_all_sales(session)


def test_the_warehouse_of_who_names_none(
    runtime: Runtime, client: Client, make: Factory, actor_named: Callable[[str], Actor]
) -> None:
    def meant(name: str) -> int:
        with runtime.unit_of_work(actor_named(name), write=False) as session:
            return default_warehouse(session)

    assert meant("cashier") == make.main
    with pytest.raises(ValidationFailed, match="Name one, or let the setting default_warehouse"):
        meant("admin")
    client.patch("/api/settings", {"default_warehouse": make.other})
    assert (meant("admin"), meant("cashier")) == (make.other, make.main)
    # One that is closed is meant by nobody, whatever the setting says.
    client.patch(f"/api/warehouses/{make.other}", {"is_active": False})
    assert meant("admin") == make.main
