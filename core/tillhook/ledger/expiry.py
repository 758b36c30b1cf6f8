"""What has expired: the goods of a lot whose last day is before the business's day. They are on hand, not available."""

from datetime import date

from sqlalchemy import ColumnElement, Date, literal
from sqlalchemy.orm import Session

from tillhook.ledger.models import Lot
from tillhook.reference import Calendar
from tillhook.runtime import snapshot_of


def today_of(session: Session) -> date:
    """Return the business day that it is."""
    return Calendar.of(snapshot_of(session)).today()


def is_expired(session: Session) -> ColumnElement[bool]:
    """Return the condition that the joined lot has expired; null of goods without a lot, or without an end."""
    return Lot.expiry_date < literal(today_of(session), Date)
