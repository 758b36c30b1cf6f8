"""What vouchers declare through the hooks."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from tillhook import hookimpl
from tillhook.config import Settings
from tillhook.hooks import EventType, Invariant, Job, PaymentMethod, Permission, Route, SettingDeclaration, within
from tillhook.reporting import Report
from tillhook.sales import PostedSale, SaleDraft
from tillhook_vouchers import permissions, services, tenders
from tillhook_vouchers.books import METHOD, VALID_DAYS
from tillhook_vouchers.liabilities import INVARIANTS, REPORT
from tillhook_vouchers.models import VoucherProduct
from tillhook_vouchers.routes import routes
from tillhook_vouchers.selling import enter_drafts, enter_taken_back

_EVENTS = {
    "issued": "A voucher was issued",
    "redeemed": "Something was paid by voucher",
    "given-back": "Money went back on a voucher",
    "expired": "A voucher expired",
    "reinstated": "What had expired of a voucher is there again",
    "voided": "A voucher was voided",
    "overdrawn": "More was spent offline than a voucher had",
}


@hookimpl
def register_payment_methods() -> tuple[PaymentMethod, ...]:
    return (PaymentMethod(name=METHOD, title="Voucher", takes_refunds=True, check=tenders.check),)


@hookimpl
def register_permissions() -> tuple[Permission, ...]:
    return permissions.PERMISSIONS


@hookimpl
def register_settings() -> tuple[SettingDeclaration, ...]:
    return (
        SettingDeclaration(
            key=VALID_DAYS,
            type=int,
            default=None,
            title="Days for which a new voucher is good; unset for ever",
            check=within(1, 36_500),
        ),
    )


@hookimpl
def register_routes(settings: Settings) -> tuple[Route, ...]:
    return routes.all()


@hookimpl
def register_events() -> tuple[EventType, ...]:
    return tuple(
        EventType(name=f"voucher:{name}", title=title, permission=permissions.LIST) for name, title in _EVENTS.items()
    )


@hookimpl
def register_jobs() -> tuple[Job, ...]:
    return (Job(name="vouchers.expire", at="00:15", run=services.expire),)


@hookimpl
def register_reports() -> tuple[Report, ...]:
    return (REPORT,)


@hookimpl
def register_invariants() -> tuple[Invariant, ...]:
    return INVARIANTS


@hookimpl
def sales_writing(session: Session, drafts: tuple[SaleDraft, ...]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    # Entered here and not in sales_posted, for which every sale would have to be shown.
    enter_drafts(session, drafts)
    return ()


@hookimpl
def sale_returned(session: Session, sale: PostedSale) -> None:
    enter_taken_back(session, sale)


@hookimpl
def sale_cancelled(session: Session, sale: PostedSale) -> None:
    enter_taken_back(session, sale)


@hookimpl
def resolve_product_history(session: Session, product_id: int, variant_id: int | None) -> bool | None:
    return True if session.get(VoucherProduct, product_id) is not None else None
