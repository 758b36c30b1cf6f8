"""What the sales journal declares through the hooks."""

from decimal import Decimal
from functools import partial
from types import ModuleType

from sqlalchemy.orm import Session

from tillhook import hookimpl
from tillhook.config import Settings
from tillhook.hooks import (
    DocumentType,
    EventType,
    Invariant,
    Job,
    PaymentMethod,
    Permission,
    Route,
    SettingDeclaration,
    within,
)
from tillhook.quantities import round_half_up
from tillhook.sales import hookspecs
from tillhook.sales.documents import facts_of_sales, find_sales
from tillhook.sales.events import EVENTS
from tillhook.sales.invariants import INVARIANTS
from tillhook.sales.methods.routes import routes as methods_routes
from tillhook.sales.offline import post_waiting
from tillhook.sales.offline.routes import routes as offline_routes
from tillhook.sales.rollups import was_sold
from tillhook.sales.rollups.counting import count_sales, fill_periods
from tillhook.sales.rollups.invariants import INVARIANTS as ROLLUPS
from tillhook.sales.routes import routes
from tillhook.sales.sent.variances import routes as variance_routes

_SELLERS = ("manager", "supplier", "cashier")
_BOSSES = ("manager", "supplier")


@hookimpl
def register_hookspecs() -> tuple[ModuleType, ...]:
    return (hookspecs,)


@hookimpl
def register_routes(settings: Settings) -> tuple[Route, ...]:
    return routes.all() + offline_routes.all() + methods_routes.all() + variance_routes.all()


@hookimpl
def register_permissions() -> tuple[Permission, ...]:
    return (
        Permission(name="sales:sale:post", title="Post sales", roles=_SELLERS),
        Permission(name="sales:sale:sync", title="Sync sales made offline", roles=_SELLERS),
        Permission(name="sales:sale:read", title="See own sales", roles=(*_SELLERS, "accountant")),
        Permission(name="sales:sale:read_all", title="See other sellers' sales", roles=("manager", "accountant")),
        Permission(name="sales:sale:cancel", title="Cancel sales", roles=_BOSSES),
        Permission(name="sales:sale:return", title="Take goods back", roles=_SELLERS),
        Permission(name="sales:sale:discount", title="Give discounts up to the limit", roles=_SELLERS),
        Permission(name="sales:sale:override_price", title="Charge any price"),
        Permission(name="sales:sale:open_price", title="Say the price of a product without one", roles=_SELLERS),
        Permission(name="sales:exception:read", title="See refused sales", roles=(*_SELLERS, "accountant")),
        Permission(name="sales:exception:resolve", title="Accept or discard refused sales", roles=_BOSSES),
        Permission(
            name="sales:device:read", title="See devices and their missing sales", roles=(*_SELLERS, "accountant")
        ),
        Permission(name="sales:device:write_off", title="Write missing sales off", roles=_BOSSES),
        Permission(name="sales:method:read", title="See payment methods", roles=(*_SELLERS, "accountant")),
        Permission(name="sales:method:manage", title="Make payment methods, change them, switch them off"),
    )


@hookimpl
def register_document_types() -> tuple[DocumentType, ...]:
    return tuple(
        DocumentType(name=kind, describe=facts_of_sales, find=partial(find_sales, kind))
        for kind in ("sale", "return", "exchange", "cancellation")
    )


@hookimpl
def register_payment_methods() -> tuple[PaymentMethod, ...]:
    return (
        PaymentMethod(name="cash", title="Cash", opens_drawer=True, gives_change=True, counts_as_cash=True),
        PaymentMethod(name="card", title="Card"),
        PaymentMethod(name="bank_transfer", title="Bank transfer"),
        PaymentMethod(name="mobile", title="Mobile payment"),
        PaymentMethod(name="other", title="Other"),
    )


@hookimpl
def register_settings() -> tuple[SettingDeclaration, ...]:
    return (
        SettingDeclaration(
            key="sales.discount_limit",
            type=Decimal,
            default=Decimal("0.2"),
            title="Largest discount that sales:sale:discount allows, as a fraction of the catalogue's price",
            check=within(0, 1),
        ),
        SettingDeclaration(
            key="sales.cash_rounding",
            type=Decimal,
            default=Decimal(0),
            title="Smallest coin to which cash is rounded, such as 0.05; 0 for none",
            check=_check_step,
        ),
        SettingDeclaration(
            key="sales.clock_tolerance",
            type=int,
            default=5,
            title="How far a till's clock may be off before its sales are flagged, in minutes",
            check=within(0, 1440),
        ),
    )


@hookimpl
def register_events() -> tuple[EventType, ...]:
    return EVENTS


@hookimpl
def register_jobs() -> tuple[Job, ...]:
    return (
        Job(name="sales.waiting_returns", every_s=60, run=post_waiting),
        Job(name="sales.rollups", every_s=30, run=count_sales),
        Job(name="sales.rollup_periods", every_s=3600, run=fill_periods),
    )


@hookimpl
def register_invariants() -> tuple[Invariant, ...]:
    return (*INVARIANTS, *ROLLUPS)


@hookimpl
def resolve_product_history(session: Session, product_id: int, variant_id: int | None) -> bool | None:
    return True if was_sold(session, product_id) else None


def _check_step(value: Decimal) -> None:
    within(0, 1000)(value)
    if round_half_up(value, 4) != value:
        raise ValueError("At most 4 digits after the point.")
