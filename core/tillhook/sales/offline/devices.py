"""Devices that count their sales: which numbers are missing, and which nobody waits for any more."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Select, select, true
from sqlalchemy.orm import Session

from tillhook.access import audit, in_warehouse, sees_all_sales, warehouse_condition
from tillhook.db import among, containing
from tillhook.errors import Conflict, NotFound
from tillhook.http import narrowed, page
from tillhook.runtime import actor_of
from tillhook.sales.models import SaleDevice
from tillhook.sales.offline.gaps import Gap, missing_ranges, read_gaps, replace_gaps, without
from tillhook.sales.offline.numbers import may_count
from tillhook.sales.offline.schemas import DeviceOut, MissingOut


def missing_numbers(session: Session, names: Iterable[str], *, own_only: bool = False) -> list[dict[str, Any]]:
    """Return what is missing of the named devices that count, by name, as ``MissingOut`` says.

    ``last_number`` is the highest seen, by which a device knows of sales at its end that never came.

    Args:
        own_only: Leave out those in whose name the actor may not count.
    """
    statement = select(SaleDevice.name, SaleDevice.last_number).where(
        among(SaleDevice.name, sorted(set(names))), may_count(session) if own_only else true()
    )
    devices = session.execute(statement.order_by(SaleDevice.name)).all()
    ranges = missing_ranges(session, [device.name for device in devices])
    return [MissingOut.of(device, ranges=ranges.get(device.name, [])) for device in devices]


def list_devices(session: Session, query: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return the devices that the actor may see: last seen in an own warehouse, or else by the actor."""
    filters = {
        "warehouse": in_warehouse(session, SaleDevice.warehouse_id),
        "search": lambda text: containing(text, SaleDevice.name),
    }
    statement = narrowed(_visible(session), query, filters)
    ordering = {"id": SaleDevice.id, "name": SaleDevice.name, "last_seen_at": SaleDevice.last_seen_at}
    devices, cursor = page(session, statement, ordering=ordering, query=query)
    ranges = missing_ranges(session, [device.name for device in devices])
    return [DeviceOut.of(device, missing=ranges.get(device.name, [])) for device in devices], cursor


def write_off(session: Session, device_id: int, first: int, last: int, reason: str) -> dict[str, Any]:
    """Stop waiting for missing numbers from ``first`` to ``last``; one that comes all the same is simply taken.

    Returns:
        The device, as the list shows it.

    Raises:
        NotFound: 404 ``unknown-device``: there is none, or not for this actor.
        Conflict: 409 ``nothing-missing``: none of these numbers is missing.
    """
    device = session.scalars(_visible(session).where(SaleDevice.id == device_id).with_for_update()).one_or_none()
    if device is None:
        raise NotFound("There is no such device.", code="unknown-device")
    gaps = [gap for gap in read_gaps(session, device.name, first, last) if gap.written_off is None]
    if not gaps:
        raise Conflict("None of these numbers is missing.", code="nothing-missing")
    new, written = [], []
    for gap in gaps:
        inner = max(first, gap.first), min(last, gap.last)
        written.append(list(inner))
        new += [Gap(*piece) for piece in without((gap.first, gap.last), [inner])]
        new.append(Gap(*inner, written_off=reason))
    replace_gaps(session, device.name, gaps, new)
    audit(session, "write-off", "sale_device", device.name, after={"ranges": written, "reason": reason})
    return DeviceOut.of(device, missing=missing_ranges(session, [device.name]).get(device.name, []))


def _visible(session: Session) -> Select[SaleDevice]:
    actor = actor_of(session)
    statement = select(SaleDevice)
    if not sees_all_sales(actor):
        own = SaleDevice.seller_id == actor.user_id
        return statement.where(own if actor.device is None else own | (SaleDevice.name == actor.device))
    if actor.warehouse_ids is None:
        return statement
    return statement.where(
        warehouse_condition(session, SaleDevice.warehouse_id) | (SaleDevice.seller_id == actor.user_id)
    )
