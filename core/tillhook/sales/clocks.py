"""When something happened by a device's clock, if that clock can be believed."""

from datetime import datetime, timedelta

#: How far a device's clock may run ahead before its word is not taken for the date of a sale.
_TOLERANCE = timedelta(minutes=5)
#: A clock before this year was never set.
_EARLIEST_YEAR = 2000


def happened_at(stamp: datetime | None, recorded_at: datetime) -> tuple[datetime, bool]:
    """Return when something happened by the client's word, and whether that word is not to be believed.

    A clock that was never set, or runs ahead, says nothing: then it happened when it was recorded.
    """
    if stamp is None:
        return recorded_at, False
    if stamp > recorded_at + _TOLERANCE or stamp.year < _EARLIEST_YEAR:
        return recorded_at, True
    return min(stamp, recorded_at), False
