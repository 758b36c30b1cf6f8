"""What the catalogue declares through the hooks."""

from decimal import Decimal
from types import ModuleType

from tillhook import hookimpl
from tillhook.catalogue import hookspecs, routes, setup_routes
from tillhook.catalogue.demo import DEMO_DATA
from tillhook.catalogue.pictures import collect_pictures
from tillhook.catalogue.terms import OWNER_PRICE_CHANGE
from tillhook.config import Settings
from tillhook.hooks import DemoData, EventType, Job, Permission, Route, SettingDeclaration, within
from tillhook.ledger import own_inventory
from tillhook.products import hides

_STAFF = ("manager", "supplier", "cashier", "accountant")
_BOSSES = ("manager", "supplier")


@hookimpl
def register_hookspecs() -> tuple[ModuleType, ...]:
    return (hookspecs,)


@hookimpl
def register_routes(settings: Settings) -> tuple[Route, ...]:
    return routes.routes.all() + setup_routes.routes.all()


@hookimpl
def register_permissions() -> tuple[Permission, ...]:
    product = "catalogue:product"
    return (
        Permission(name=f"{product}:read", title="See published products and the own", roles=_STAFF),
        Permission(name=f"{product}:read_all", title="See every product", roles=("manager", "accountant")),
        Permission(name=f"{product}:create", title="Create products", roles=_BOSSES),
        Permission(name=f"{product}:update", title="Change the own products", roles=_BOSSES),
        Permission(name=f"{product}:archive", title="Archive and delete products"),
        Permission(name=f"{product}:approve", title="Approve, reject and change any product"),
        Permission(name=f"{product}:import", title="Import products from a file"),
        Permission(name=f"{product}:create_inline", title="Make a product while selling it", roles=_BOSSES),
        Permission(name="catalogue:cost:read", title="See costs", roles=("manager", "accountant")),
        Permission(name="catalogue:setup:manage", title="Manage categories, units and taxes"),
    )


@hookimpl
def register_events() -> tuple[EventType, ...]:
    return (
        EventType(
            name="product:created",
            title="A product was created",
            permission="catalogue:product:read",
            hides=hides,
            show=own_inventory,
        ),
        EventType(
            name="product:updated",
            title="A product was changed",
            permission="catalogue:product:read",
            hides=hides,
            show=own_inventory,
        ),
    )


@hookimpl
def register_settings() -> tuple[SettingDeclaration, ...]:
    return (
        SettingDeclaration(
            key=OWNER_PRICE_CHANGE,
            type=Decimal,
            default=Decimal("0.2"),
            title="How far an owner may change an approved price before it needs approval again, as a fraction of it",
            check=within(0, 1000),
        ),
    )


@hookimpl
def register_jobs() -> tuple[Job, ...]:
    return (Job(name="catalogue.pictures", run=collect_pictures, at="04:30"),)


@hookimpl
def register_demo_data() -> tuple[DemoData, ...]:
    return (DEMO_DATA,)
