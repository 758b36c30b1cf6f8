"""Which rows an actor sees: the one place that says so."""

from collections.abc import Callable
from typing import Any, cast

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import Session

from tillhook.actor import Actor
from tillhook.errors import PermissionDenied, ValidationFailed
from tillhook.reference import WarehouseRef
from tillhook.runtime import actor_of, snapshot_of


def visible_warehouses(who: Session | Actor) -> frozenset[int] | None:
    """Return the warehouses whose stock and sales the actor sees; ``None`` means all of them."""
    return _actor(who).warehouse_ids


def sees_warehouse(who: Session | Actor, warehouse_id: int) -> bool:
    """Say whether the actor sees a warehouse."""
    visible = visible_warehouses(who)
    return visible is None or warehouse_id in visible


def require_warehouse(who: Session | Actor, warehouse_id: int | None, field: str = "warehouse") -> None:
    """Refuse a warehouse that the actor must not touch.

    Args:
        who: Given a session, a warehouse that does not exist is refused too.
        field: Where in the body or the query the warehouse was named.

    Raises:
        ValidationFailed: There is no such warehouse, or none was named (422, ``field`` named).
        PermissionDenied: It is somebody else's (403 ``foreign-warehouse``, ``field`` named).
    """
    if warehouse_id is None:
        raise ValidationFailed.at(field, "A warehouse is needed.")
    if isinstance(who, Session) and warehouse_id not in snapshot_of(who).warehouses:
        raise ValidationFailed.at(field, "There is no such warehouse.", code="unknown-warehouse")
    if not sees_warehouse(who, warehouse_id):
        message = "Not one of your warehouses."
        raise PermissionDenied(
            f"{field}: {message}", code="foreign-warehouse", errors=[{"field": field, "message": message}]
        )


def warehouse_condition(who: Session | Actor, column: Any) -> ColumnElement[bool]:
    """Return the condition that ``column``, a warehouse's id, is one that the actor sees."""
    visible = visible_warehouses(who)
    return true() if visible is None else column.in_(sorted(visible))


def in_warehouse(who: Session | Actor, column: Any) -> Callable[[int], ColumnElement[bool]]:
    """Return what makes the condition that ``column`` is a warehouse; it refuses one as ``require_warehouse`` does."""

    def condition(warehouse_id: int) -> ColumnElement[bool]:
        require_warehouse(who, warehouse_id)
        return cast("ColumnElement[bool]", column == warehouse_id)

    return condition


def active_warehouses(session: Session) -> dict[int, WarehouseRef]:
    """Return the warehouses in use that the session's actor sees, by key."""
    return {
        key: warehouse
        for key, warehouse in snapshot_of(session).warehouses.items()
        if warehouse.is_active and sees_warehouse(session, key)
    }


def default_warehouse(session: Session) -> int:
    """Return the warehouse of a document that names none: the setting's, else the actor's only one.

    Raises:
        ValidationFailed: 422 naming ``warehouse``: there is none, or more than one.
    """
    active = active_warehouses(session)
    default = snapshot_of(session).setting("default_warehouse")
    if default in active:
        return int(default)
    if len(active) == 1:
        return next(iter(active))
    raise ValidationFailed.at("warehouse", which_warehouse(len(active)))


def which_warehouse(count: int) -> str:
    """Return the message to somebody who names no warehouse and has ``count``, not just one."""
    if not count:
        return "Required: there is no warehouse of yours."
    return f"Required: you have {count} warehouses. Name one, or let the setting default_warehouse name it."


def sees_all_sales(who: Session | Actor) -> bool:
    """Say whether the actor sees other sellers' sales, within the own warehouses."""
    return _actor(who).can("sales:sale:read_all")


def _actor(who: Session | Actor) -> Actor:
    return who if isinstance(who, Actor) else actor_of(who)
