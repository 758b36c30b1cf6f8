"""When something happened, and whether the clock of who says so can be believed."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from tillhook.runtime import snapshot_of

#: A clock before this year was never set.
_EARLIEST_YEAR = 2000


def tolerance_of(session: Session) -> timedelta:
    """Return how far a device's clock may be off before it is not believed."""
    return timedelta(minutes=snapshot_of(session).setting("sales.clock_tolerance"))


def happened_at(
    stamp: datetime | None, recorded_at: datetime, *, is_offline: bool, tolerance: timedelta
) -> tuple[datetime, bool]:
    """Return when something happened, and whether the client's clock is not to be believed.

    Online it happens now, at the till that is open now, whatever the client says; a clock that is off either way is
    suspect. Offline it happened when the client says: only a clock that was never set, or runs ahead, says nothing.
    """
    if stamp is None:
        return recorded_at, False
    is_ahead = stamp > recorded_at and stamp - recorded_at > tolerance
    if not is_offline:
        return recorded_at, is_ahead or recorded_at - stamp > tolerance
    if is_ahead or stamp.year < _EARLIEST_YEAR:
        return recorded_at, True
    return min(stamp, recorded_at), False
