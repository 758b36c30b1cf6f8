"""Which lot a label is of: the one that is sold, if the shop has it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from tillhook.errors import Conflict, DomainError, ValidationFailed
from tillhook.ledger import fresh_and_expired, lots_at, policy_for
from tillhook.quantities import ZERO, format_quantity, from_units, to_units
from tillhook.runtime import runtime_of
from tillhook_pos.documents import CHANNEL
from tillhook_pos.scanning.gs1 import ambiguous
from tillhook_pos.scanning.readings import Reading
from tillhook_pos.scanning.resolving import Found, Shelf

#: How many lots a refusal names.
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Lot:
    """A lot here; ``available`` in units of 1/10,000."""

    batch_number: str
    expiry_date: date | None
    available: int

    def shown(self, today: date) -> dict[str, Any]:
        """Return the lot as JSON; what has expired is not available."""
        available, expired = fresh_and_expired(from_units(self.available), ZERO, self.expiry_date, today)
        return {
            "batch_number": self.batch_number,
            "expiry_date": self.expiry_date and self.expiry_date.isoformat(),
            "available": format_quantity(available),
            "expired": format_quantity(expired),
            "is_expired": self.expiry_date is not None and self.expiry_date < today,
        }


def lots_here(session: Session, shelf: Shelf, found: Iterable[Found]) -> dict[int, list[Lot]]:
    """Return the lots of what was found, by variant, first expired first; those without stock here too."""
    variants = {each.item.variant_id for each in found if each.item.tracking == "lot"}
    if not variants:
        return {}
    return {
        variant_id: [Lot(lot.batch_number, lot.expiry_date, to_units(lot.available)) for lot in lots]
        for variant_id, lots in lots_at(session, variants, shelf.warehouse_id).items()
    }


def next_lot(lots: Sequence[Lot], today: date) -> Lot | None:
    """Return the lot that is sold when none is named."""
    return next((lot for lot in lots if lot.available > 0 and not (lot.expiry_date and lot.expiry_date < today)), None)


def scanned_lot(session: Session, found: Found, lots: Sequence[Lot]) -> Lot | None:
    """Return the lot that the label says, ``None`` when it says none, or the product has no lots.

    Raises:
        ValidationFailed: 422 ``pos-ambiguous-code``: a separator was lost and the shop has no lot of the whole text, or
            several lots expire on the only thing said, the day.
        Conflict: 409 ``pos-lot-not-in-stock`` or ``lot-expiry-differs``.
    """
    reading = found.reading
    _refuse_lost_separator(found, lots)
    if found.item.tracking != "lot":
        return None
    days = {day for day in (reading.expiry_date, reading.best_before) if day is not None}
    if reading.batch_number is None:
        return _by_day(found, lots, reading.expiry_date or reading.best_before)
    known = next((lot for lot in lots if lot.batch_number == reading.batch_number), None)
    if known is not None and known.expiry_date is not None and days and known.expiry_date not in days:
        raise _conflict(
            f"The label of lot {known.batch_number} says {min(days).isoformat()},"
            f" and the lot here expires on {known.expiry_date.isoformat()}.",
            "lot-expiry-differs",
            found,
            lots,
        )
    if known is not None and known.available > 0:
        return known
    if _blocks(session, found):
        raise _conflict(f"There is nothing of lot {reading.batch_number} here.", "pos-lot-not-in-stock", found, lots)
    return known or Lot(reading.batch_number, reading.expiry_date or reading.best_before, 0)


def _by_day(found: Found, lots: Sequence[Lot], day: date | None) -> Lot | None:
    if day is None:
        return None
    here = [lot for lot in lots if lot.expiry_date == day and lot.available > 0]
    if len(here) > 1:
        message = f"{len(here)} lots here expire on {day.isoformat()}."
        raise _refused(ValidationFailed(message, code="pos-ambiguous-code", errors=[_at(message)]), found, here)
    if not here:
        raise _conflict(f"No lot here expires on {day.isoformat()}.", "pos-lot-not-in-stock", found, lots)
    return here[0]


def _refuse_lost_separator(found: Found, lots: Sequence[Lot]) -> None:
    """Refuse a message that may have lost a separator, unless the lot that it says as a whole is known here."""
    reading = found.reading
    if found.item.tracking == "lot":
        if reading.batch_number in {lot.batch_number for lot in lots}:
            return
        doubtful = list(reading.others)
    else:
        # Lots and serials change nothing here; a number of pieces in a lot's name is most likely its name.
        doubtful = [other for other in reading.others if _goods(other) != _goods(reading)]
    if doubtful:
        raise _refused(ambiguous([reading, *doubtful]), found, lots)


def _goods(reading: Reading) -> tuple[Any, ...]:
    return reading.gtin, reading.measure, reading.measure_of, reading.price, reading.currency


def _blocks(session: Session, found: Found) -> bool:
    channel = runtime_of(session).registry.channels[CHANNEL]
    policy = policy_for(
        session,
        found.item.product_id,
        found.warehouse_id,
        CHANNEL,
        is_offline=False,
        default=channel.stock_policy,
    )
    return policy == "block"


def _conflict(message: str, code: str, found: Found, lots: Sequence[Lot]) -> DomainError:
    return _refused(Conflict(message, code=code, errors=[_at(message)]), found, lots)


def _refused(error: DomainError, found: Found, lots: Sequence[Lot]) -> DomainError:
    """Return the error with what was understood and the lots that there are."""
    error.extra["understood"] = {"code": found.code} | found.reading.understood()
    error.extra["lots"] = [
        {"batch_number": lot.batch_number, "expiry_date": lot.expiry_date and lot.expiry_date.isoformat()}
        for lot in lots
        if lot.available > 0
    ][:_MOST_NAMED]
    return error


def _at(message: str) -> dict[str, str]:
    return {"field": "code", "message": message}
