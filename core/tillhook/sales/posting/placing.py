"""Before a sale is priced: by which channel and from which warehouse it comes, to whom, and of what goods return."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access import default_warehouse, require_warehouse
from tillhook.errors import ValidationFailed
from tillhook.hooks import Channel, frozen
from tillhook.parties import Party
from tillhook.runtime import runtime_of
from tillhook.sales.posting.entries import Entry, Run, each
from tillhook.sales.posting.tenders import has_check
from tillhook.sales.returns import origin_of


def place(run: Run, entries: list[Entry]) -> None:
    """Find channel, warehouse and customer of the entries, and the sale of which goods come back."""
    each(entries, lambda entry: _find_origin(run, entry))
    customers = _customers(run.session, (entry.command.customer_id for entry in entries if entry.is_open))
    each(entries, lambda entry: _place(run, entry, customers))


def channel_of(session: Session, name: str) -> Channel:
    """Return a channel by its name, the default one for none; 422 for an unknown one."""
    registry = runtime_of(session).registry
    known: Mapping[str, Channel] = registry.channels
    if not name and registry.default_channel is not None:
        return registry.default_channel
    if name not in known:
        names = ", ".join(sorted(known)) or "none, enable a module that brings one"
        raise ValidationFailed.at("channel", f"Unknown; known are {names}.", code="unknown-channel")
    return known[name]


def _find_origin(run: Run, entry: Entry) -> None:
    """Find the sale of which goods come back, and take over what it says."""
    command = entry.command
    if command.returns is None:
        return
    run.actor.require("sales:sale:return")
    origin = origin_of(run.session, command.returns, is_offline=run.is_offline, lock=not run.is_quote)
    sale = origin.sale
    if command.warehouse is None:
        command = replace(command, warehouse=sale.warehouse_id)
    if command.customer_id is None and not command.customer_name:
        command = replace(
            command,
            customer_id=sale.customer_id,
            customer_name=sale.customer_name,
            customer_phone=command.customer_phone or sale.customer_phone,
            customer_email=command.customer_email or sale.customer_email,
        )
    entry.origin, entry.command = origin, command


def _place(run: Run, entry: Entry, customers: Mapping[int, Any]) -> None:
    command = entry.command
    channel = channel_of(run.session, command.channel)
    run.actor.require(channel.permission)
    warehouse_id = command.warehouse
    if warehouse_id is None:
        warehouse_id = default_warehouse(run.session)
    require_warehouse(run.actor, warehouse_id, field="warehouse")
    warehouse = run.snapshot.warehouses.get(warehouse_id)
    if warehouse is None or not warehouse.is_active:
        raise ValidationFailed.at("warehouse", "There is no such active warehouse.", code="unknown-warehouse")
    named = {"channel": channel.name, "warehouse": warehouse_id}
    found: dict[str, Any] = {name: value for name, value in named.items() if getattr(command, name) != value}
    if command.customer_id is not None:
        customer = customers.get(command.customer_id)
        if customer is None:
            raise ValidationFailed.at("customer_id", "There is no such customer.", code="unknown-customer")
        found |= {
            "customer_name": command.customer_name or customer.name or "",
            "customer_phone": command.customer_phone or customer.phone or "",
            "customer_email": command.customer_email or customer.email or "",
        }
    if run.is_watched or has_check(run.session, command):
        # Hooks see the command, but not the body: that could be changed.
        found |= {"payload": frozen({}), "asked": None, "warnings": ()}
        if any(item.product_data is not None for item in command.items):
            found["items"] = tuple(replace(item, product_data=frozen(item.product_data)) for item in command.items)
    if found:
        entry.command = replace(command, **found)


def _customers(session: Session, keys: Iterable[int | None]) -> dict[int, Any]:
    """Read the customers of all sales at once."""
    wanted = sorted({key for key in keys if key is not None})
    if not wanted:
        return {}
    rows = session.execute(select(Party.id, Party.name, Party.phone, Party.email).where(Party.id.in_(wanted)))
    return {row.id: row for row in rows}
