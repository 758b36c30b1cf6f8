"""What the ledger declares through the hooks."""

from collections.abc import Set
from functools import partial
from types import ModuleType

from sqlalchemy.orm import Session

from tillhook import hookimpl
from tillhook.config import Settings
from tillhook.hooks import DemoData, DocumentType, EventType, Invariant, Job, Permission, Route
from tillhook.ledger import hookspecs
from tillhook.ledger.expiring import tell_expired
from tillhook.ledger.figures import own_inventory
from tillhook.ledger.invariants import INVARIANTS
from tillhook.ledger.listing import facts_of_kind, find_of_kind
from tillhook.ledger.models import KINDS
from tillhook.ledger.repairs import review_alerts
from tillhook.ledger.reservations import sweep_expired
from tillhook.ledger.routes import routes
from tillhook.ledger.warehouses import create_warehouse, list_warehouses
from tillhook.products import hides

_SELLERS = ("manager", "supplier", "cashier")
_BOSSES = ("manager", "supplier")


@hookimpl
def register_hookspecs() -> tuple[ModuleType, ...]:
    return (hookspecs,)


@hookimpl
def register_routes(settings: Settings) -> tuple[Route, ...]:
    return routes.all()


@hookimpl
def register_permissions() -> tuple[Permission, ...]:
    return (
        Permission(name="stock:warehouse:read", title="See warehouses", roles=(*_SELLERS, "accountant")),
        Permission(name="stock:warehouse:manage", title="Make and close warehouses"),
        Permission(name="stock:level:read", title="See stock", roles=(*_SELLERS, "accountant")),
        Permission(name="stock:movement:read", title="See stock movements", roles=(*_BOSSES, "accountant")),
        Permission(name="stock:receipt:post", title="Receive goods", roles=_BOSSES),
        Permission(name="stock:adjustment:post", title="Adjust stock", roles=_BOSSES),
        Permission(name="stock:transfer:post", title="Move goods between warehouses", roles=_BOSSES),
        Permission(name="stock:inventory:set", title="Set a counted inventory", roles=_BOSSES),
        Permission(
            name="stock:level:change_all",
            title="Receive, adjust and count products that others own",
            roles=("manager",),
        ),
        Permission(name="stock:policy:manage", title="Say what happens when stock is short"),
        Permission(name="stock:alert:read", title="See low-stock alerts", roles=(*_SELLERS, "accountant")),
        Permission(name="stock:lot:sell_expired", title="Sell goods past their expiry date", roles=("manager",)),
    )


@hookimpl
def register_document_types() -> tuple[DocumentType, ...]:
    return tuple(
        DocumentType(name=kind, describe=partial(facts_of_kind, kind), find=partial(find_of_kind, kind))
        for kind in KINDS
    )


@hookimpl
def register_events() -> tuple[EventType, ...]:
    return (
        EventType(
            name="product:inventory-updated",
            title="A product's stock changed",
            permission="stock:level:read",
            hides=hides,
            show=own_inventory,
        ),
        EventType(
            name="inventory:low-stock-alert",
            title="Stock fell below its threshold",
            permission="stock:alert:read",
            hides=hides,
        ),
    )


@hookimpl
def register_invariants() -> tuple[Invariant, ...]:
    return INVARIANTS


@hookimpl
def register_jobs() -> tuple[Job, ...]:
    return (
        Job(name="stock.sweep_reservations", every_s=60, run=_sweep),
        Job(name="stock.tell_expired", every_s=600, run=tell_expired),
    )


@hookimpl
def register_demo_data() -> tuple[DemoData, ...]:
    return (DemoData(name="stock.warehouse", create=_demo),)


@hookimpl
def settings_changed(session: Session, keys: Set[str]) -> None:
    if "low_stock_threshold" in keys:
        review_alerts(session)


def _sweep(session: Session) -> None:
    sweep_expired(session)


def _demo(session: Session) -> None:
    if not list_warehouses(session):
        create_warehouse(session, "Main shop", "MAIN", "1 Market Street")
