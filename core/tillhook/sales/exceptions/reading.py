"""The exceptions that an actor may see."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, and_, exists, or_, select
from sqlalchemy.orm import Session

from tillhook.access import in_warehouse, sees_all_sales, warehouse_condition
from tillhook.access.models import UserWarehouse
from tillhook.db import among
from tillhook.errors import NotFound
from tillhook.http import narrowed, page
from tillhook.reference import Calendar
from tillhook.runtime import actor_of, snapshot_of
from tillhook.sales.models import SaleException


def list_exceptions(session: Session, query: Mapping[str, Any]) -> tuple[list[SaleException], str | None]:
    """Return a page of the exceptions that the actor may see, and the cursor of the next."""
    columns = (SaleException.id, SaleException.created_at, SaleException.last_seen_at)
    return page(session, _matching(session, query), ordering={column.key: column for column in columns}, query=query)


def lock_exceptions(session: Session, query: Mapping[str, Any], limit: int) -> list[SaleException]:
    """Return the first exceptions that match the filters, and ``ids`` and ``after``, by key, their rows locked."""
    statement = _matching(session, query).order_by(SaleException.id).limit(limit)
    return list(session.scalars(statement.with_for_update()))


def get_exception(session: Session, exception_id: int) -> SaleException:
    """Return one exception.

    Raises:
        NotFound: 404 ``unknown-exception``: there is none, or not for this actor.
    """
    return _one(session, _visible(session).where(SaleException.id == exception_id))


def lock_exception(session: Session, exception_id: int) -> SaleException:
    """Return one exception as it is now, its row locked; errors as :func:`get_exception`."""
    return _one(session, _visible(session).where(SaleException.id == exception_id).with_for_update())


def _matching(session: Session, query: Mapping[str, Any]) -> Select[SaleException]:
    calendar = Calendar.of(snapshot_of(session))
    filters = {
        "warehouse": in_warehouse(session, SaleException.warehouse_id),
        "status": SaleException.status,
        "source_device": SaleException.source_device,
        "seller": SaleException.seller_id,
        "code": SaleException.code,
        "date_from": lambda day: SaleException.created_at >= calendar.start(day),
        "date_to": lambda day: SaleException.created_at < calendar.end(day),
        "ids": lambda keys: among(SaleException.id, keys),
        "after": lambda key: SaleException.id > key,
    }
    statement: Select[SaleException] = narrowed(_visible(session), query, filters)
    return statement


def _one(session: Session, statement: Select[SaleException]) -> SaleException:
    exception: SaleException | None = session.scalars(statement).one_or_none()
    if exception is None:
        raise NotFound("There is no such refused sale.", code="unknown-exception")
    return exception


def _visible(session: Session) -> Select[SaleException]:
    """Return the query of what the actor may see: the own ones; with all sales, those of the own warehouses.

    A sale that names no warehouse, or one that was not its seller's to name, belongs where its seller works.
    """
    actor = actor_of(session)
    statement = select(SaleException)
    own = SaleException.seller_id == actor.user_id
    if not sees_all_sales(actor):
        return statement.where(own)
    if actor.warehouse_ids is None:
        return statement
    misplaced = or_(
        SaleException.warehouse_id.is_(None), SaleException.code.in_(("foreign-warehouse", "unknown-warehouse"))
    )
    colleague = exists().where(
        UserWarehouse.user_id == SaleException.seller_id,
        UserWarehouse.location_id.in_(sorted(actor.warehouse_ids)),
    )
    placed = and_(~misplaced, warehouse_condition(session, SaleException.warehouse_id))
    return statement.where(or_(own, placed, and_(misplaced, colleague)))
