"""What has expired: the goods of a lot whose last day is before the business's day. They are on hand, not available.

A lot of which more was sold than there was has no goods that could expire: what is missing is missing ever after.
"""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Date, and_, literal
from sqlalchemy.orm import Session

from tillhook.ledger.models import Lot
from tillhook.quantities import ZERO
from tillhook.reference import Calendar
from tillhook.runtime import snapshot_of


def today_of(session: Session) -> date:
    """Return the business day that it is."""
    return Calendar.of(snapshot_of(session)).today()


def is_expired(session: Session, quantity: Any) -> ColumnElement[bool]:
    """Return the condition that a quantity of the joined lot has expired; null without a lot, or without an end."""
    return and_(Lot.expiry_date < literal(today_of(session), Date), quantity > 0)


def fresh_and_expired(
    on_hand: Decimal, reserved: Decimal, expiry_date: date | None, today: date
) -> tuple[Decimal, Decimal]:
    """Return what of a level is available, and what is expired."""
    if expiry_date is None or expiry_date >= today:
        return on_hand - reserved, ZERO
    return min(on_hand, ZERO), max(on_hand, ZERO)
