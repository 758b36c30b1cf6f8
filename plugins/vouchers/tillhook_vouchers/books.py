"""Finding vouchers, and entering what happens to them.

Whoever changes a voucher holds its row's lock: taken by the payment method's check before a document is written, which
is a plugin's place in the lock order, several of them by key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.db import utc_now
from tillhook.errors import Conflict
from tillhook.events import record
from tillhook.quantities import format_money
from tillhook.reference import Calendar
from tillhook.runtime import actor_of, snapshot_of
from tillhook_vouchers.codes import masked, new_code, normal
from tillhook_vouchers.models import Voucher, VoucherEntry

METHOD = "voucher"
VALID_DAYS = "vouchers.valid_days"


@dataclass(frozen=True, slots=True)
class Occasion:
    """The document by which something happens to vouchers, none of the journal without ``id``; its currency."""

    currency: str
    kind: str = ""
    id: int | None = None
    warehouse_id: int | None = None
    customer_id: int | None = None
    is_offline: bool = False
    occurred_at: datetime | None = None
    reason: str = ""


def today(session: Session) -> date:
    """Return the business's day."""
    return Calendar.of(snapshot_of(session)).today()


def find(session: Session, code: str, *, lock: bool = False) -> Voucher | None:
    """Return the voucher of a code, as it is in the database, however the code is typed."""
    statement = select(Voucher).where(Voucher.lookup == normal(code)).execution_options(populate_existing=True)
    return session.scalar(statement.with_for_update() if lock else statement)


def lock_all(session: Session, codes: Iterable[str]) -> dict[str, Voucher]:
    """Lock the vouchers of the codes, by key, and return them by the normal form of their codes."""
    wanted = {normal(code) for code in codes}
    statement = select(Voucher).where(Voucher.lookup.in_(sorted(wanted))).order_by(Voucher.id)
    found = session.scalars(statement.with_for_update().execution_options(populate_existing=True))
    return {voucher.lookup: voucher for voucher in found}


def status_of(voucher: Voucher, day: date) -> str:
    """Return ``voided``, ``overdrawn``, ``expired``, ``used`` or ``active``."""
    if voucher.balance < 0:
        return "overdrawn"
    if voucher.voided_at is not None:
        return "voided"
    if voucher.expires_on is not None and voucher.expires_on < day:
        return "expired"
    return "active" if voucher.balance else "used"


def why_not(session: Session, voucher: Voucher, currency: str) -> Conflict | None:
    """Return why nothing can be paid by the voucher, nor paid back on it."""
    if voucher.voided_at is not None:
        return Conflict("This voucher is void.", code="vouchers-void")
    if voucher.expires_on is not None and voucher.expires_on < today(session):
        return Conflict(
            f"This voucher expired; it was good until {voucher.expires_on}.",
            code="vouchers-expired",
            expires_on=voucher.expires_on.isoformat(),
        )
    if voucher.currency != currency:
        return Conflict(f"This voucher is in {voucher.currency}, not in {currency}.", code="vouchers-other-currency")
    return None


def default_expiry(session: Session) -> date | None:
    """Return until when a voucher is good that is issued today; ``None`` for ever."""
    days = snapshot_of(session).setting(VALID_DAYS)
    return None if days is None else today(session) + timedelta(days=days)


def issue(
    session: Session, kind: str, amount: Decimal, occasion: Occasion, *, entry: str = "issued", **fields: Any
) -> Voucher:
    """Make a voucher with an amount on it, under a new code unless the fields have one."""
    code = fields.pop("code", None) or new_code()
    voucher = Voucher(
        **{
            "code": code,
            "lookup": normal(code),
            "kind": kind,
            "currency": occasion.currency,
            "amount": amount,
            "customer_id": occasion.customer_id,
            "expires_on": default_expiry(session),
            "issued_by": actor_of(session).user_id,
            "issued_at": utc_now(),
            "reason": occasion.reason,
            "sale_id": occasion.id,
            "balance": Decimal(0),
            **fields,
        }
    )
    session.add(voucher)
    session.flush()
    enter(session, voucher, entry, amount, occasion)
    return voucher


def enter(session: Session, voucher: Voucher, kind: str, amount: Decimal, occasion: Occasion) -> None:
    """Enter what happens to a voucher, locked or new, and tell it; the event has the end of its code only."""
    now = utc_now()
    voucher.balance += amount
    entry = VoucherEntry(
        voucher_id=voucher.id,
        kind=kind,
        amount=amount,
        document_type=occasion.kind,
        document_id=occasion.id,
        is_offline=occasion.is_offline,
        reason=occasion.reason,
        occurred_at=occasion.occurred_at or now,
        created_at=now,
        created_by=actor_of(session).user_id,
    )
    session.add(entry)
    session.flush()
    payload = {
        "voucher_id": voucher.id,
        "code": masked(voucher.code),
        "kind": voucher.kind,
        "currency": voucher.currency,
        "amount": format_money(amount),
        "balance": format_money(voucher.balance),
        "document_type": occasion.kind,
        "document_id": occasion.id,
    }
    # A voucher made by a refund is issued too.
    name = "issued" if kind == "refunded" else kind.replace("_", "-")
    record(session, f"voucher:{name}", payload, occasion.warehouse_id)
    if amount < 0 and voucher.balance < 0:
        record(session, "voucher:overdrawn", payload, occasion.warehouse_id)
