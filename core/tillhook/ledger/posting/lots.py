"""Lots: reading them, making them, and which of them serve a line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from tillhook.db import format_instant, utc_now
from tillhook.errors import ValidationFailed
from tillhook.ledger.models import NO_LOT, Lot, Reservation, StockLevel
from tillhook.ledger.posting.values import IssueLine
from tillhook.quantities import PLACES, ZERO, to_units
from tillhook.runtime import runtime_of

#: Units by lot, in the order of picking.
Parts = list[tuple[int, int]]
_ENSURE = text(
    "INSERT INTO lot (variant_id, batch_number, expiry_date, created_at) VALUES (:variant, :batch, :expiry, :now)"
    " ON CONFLICT (variant_id, batch_number)"
    " DO UPDATE SET expiry_date = COALESCE(lot.expiry_date, excluded.expiry_date)"
    " RETURNING id, expiry_date"
)


@dataclass(frozen=True, slots=True)
class LotLevel:
    """A lot of a variant that is, or was, at a warehouse, and what is available of it, in stock units."""

    lot_id: int
    batch_number: str
    expiry_date: date | None
    available: Decimal

    def is_expired(self, today: date) -> bool:
        return self.expiry_date is not None and self.expiry_date < today


@dataclass(frozen=True, slots=True)
class LotRequest:
    """The question that ``resolve_lots`` is asked: which lots serve this line?

    ``lots`` are first expired first, ``available`` less what documents before this one will take.
    """

    line: IssueLine
    warehouse_id: int
    channel: str | None
    lots: tuple[LotLevel, ...]


def lots_at(session: Session, variant_ids: Iterable[int], warehouse_id: int) -> dict[int, tuple[LotLevel, ...]]:
    """Return every lot of the variants, by variant, with what is available of it at the warehouse.

    First expired first; lots without an expiry date come last. Expired reservations do not count.
    """
    found: dict[int, list[LotLevel]] = {key: [] for key in sorted(set(variant_ids))}
    if not found:
        return {}
    promised = (
        select(func.sum(Reservation.quantity))
        .where(
            Reservation.variant_id == Lot.variant_id,
            Reservation.location_id == warehouse_id,
            Reservation.lot_id == Lot.id,
            Reservation.released_at.is_(None),
            Reservation.expires_at > utc_now(),
        )
        .scalar_subquery()
    )
    here = (StockLevel.variant_id == Lot.variant_id) & (StockLevel.location_id == warehouse_id)
    rows = session.execute(
        select(Lot.variant_id, Lot.id, Lot.batch_number, Lot.expiry_date, StockLevel.on_hand, promised)
        .outerjoin(StockLevel, here & (StockLevel.lot_id == Lot.id))
        .where(Lot.variant_id.in_(found))
        .order_by(Lot.variant_id, Lot.expiry_date.is_(None), Lot.expiry_date, Lot.id)
    )
    for variant_id, lot_id, batch_number, expiry_date, on_hand, reserved in rows:
        available = (on_hand or ZERO) - (reserved or ZERO)
        found[variant_id].append(LotLevel(lot_id, batch_number, expiry_date, available))
    return {variant_id: tuple(lots) for variant_id, lots in found.items()}


def ensure_lot(session: Session, variant_id: int, batch_number: str, expiry_date: date | None) -> LotLevel:
    """Return the lot, made when it is new; nothing is said of what is available.

    A lot that exists without an expiry date takes the one given; one that differs is for the caller to refuse.
    """
    row = session.execute(
        _ENSURE,
        {
            "variant": variant_id,
            "batch": batch_number,
            "expiry": expiry_date and expiry_date.isoformat(),
            "now": format_instant(utc_now()),
        },
    ).one()
    kept = date.fromisoformat(row[1]) if isinstance(row[1], str) else row[1]
    return LotLevel(row[0], batch_number, kept, ZERO)


def lot_of_inbound(
    session: Session, variant_id: int, tracking: str, batch_number: str | None, expiry_date: date | None, field: str
) -> int:
    """Return the lot that goods coming in go to, made when it is new; ``field`` is the path of their line.

    Raises:
        ValidationFailed: 422: a lot-tracked product without a batch number, or the other way about; another expiry
            date than the lot's (``lot-expiry-differs``).
    """
    if tracking != "lot":
        if batch_number or expiry_date:
            raise ValidationFailed.at(f"{field}.batch_number", "This product is not tracked by lot.")
        return NO_LOT
    if not batch_number:
        raise ValidationFailed.at(f"{field}.batch_number", "Required: this product is tracked by lot.")
    lot = ensure_lot(session, variant_id, batch_number, expiry_date)
    if expiry_date is not None and lot.expiry_date != expiry_date:
        message = f"This lot expires on {lot.expiry_date}."
        raise ValidationFailed.at(f"{field}.expiry_date", message, code="lot-expiry-differs")
    return lot.lot_id


def first_expired_first(lots: Sequence[LotLevel], wanted: int, today: date, *, picks_expired: bool) -> Parts:
    """Return the units to take of each lot, together at most ``wanted``; fresh lots before expired ones."""
    fresh = [lot for lot in lots if not lot.is_expired(today)]
    expired = [lot for lot in lots if lot.is_expired(today)] if picks_expired else []
    parts: Parts = []
    for lot in fresh + expired:
        units = min(to_units(lot.available), wanted)
        if units > 0:
            parts.append((lot.lot_id, units))
            wanted -= units
    return parts


def asked_of_plugins(session: Session, request: LotRequest) -> Parts | None:
    """Return what a plugin answers to ``resolve_lots``, ``None`` when none has an opinion.

    Raises:
        HookError: The answer makes no sense.
    """
    hooks = runtime_of(session).hooks
    if not hooks.implemented("resolve_lots"):
        return None

    def check(answer: Sequence[tuple[int, Decimal]]) -> None:
        _check_answer(request, answer)

    answer = hooks.resolve("resolve_lots", check, session=session, request=request)
    return None if answer is None else [(lot_id, to_units(Decimal(quantity))) for lot_id, quantity in answer]


def _check_answer(request: LotRequest, answer: Sequence[tuple[int, Decimal]]) -> None:
    try:
        quantities = {lot_id: Decimal(quantity) for lot_id, quantity in answer}
    except (TypeError, ArithmeticError) as error:
        raise ValueError("not pairs of a lot's id and a quantity") from error
    if not quantities.keys() <= {lot.lot_id for lot in request.lots}:
        raise ValueError("a lot that is not among those of the request")
    if len(quantities) < len(answer):
        raise ValueError("a lot is named twice")
    if not all(quantity > 0 and quantity == round(quantity, PLACES) for quantity in quantities.values()):
        raise ValueError(f"a quantity must be positive, of at most {PLACES} digits after the point")
    if sum(quantities.values()) > request.line.quantity:
        raise ValueError(f"more than the line's {request.line.quantity}")
