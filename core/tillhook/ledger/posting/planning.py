"""From the lines of a document to movements: policy, lots, and what is missing."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from tillhook.errors import Conflict, ValidationFailed
from tillhook.ledger.models import ADJUSTMENT, NO_LOT
from tillhook.ledger.posting.book import Draft, Wanted, add_movement
from tillhook.ledger.posting.locks import Level
from tillhook.ledger.posting.lots import (
    LotLevel,
    LotRequest,
    Parts,
    asked_of_plugins,
    ensure_lot,
    first_expired_first,
)
from tillhook.ledger.posting.values import InsufficientStock, IssueLine, LevelKey, Movement, ShortLine, TakenLot
from tillhook.quantities import from_units, to_units
from tillhook.reference import Calendar
from tillhook.runtime import snapshot_of


class NeedsLock(Exception):
    """What was read without a lock does not suffice; read again with locks."""


def plan_lines(draft: Draft, lines: Iterable[Wanted]) -> None:
    """Add the movements that take the lines out of the warehouse.

    Raises:
        InsufficientStock: 409, naming every short line.
        ValidationFailed: 422: a line names a lot that has expired, or is not there.
        Conflict: 409 ``lot-expiry-differs``: the goods do not expire on the day that a line says.
        NeedsLock: The plan depends on levels that were read without a lock.
    """
    for _, key, units in draft.promised:
        draft.change[key] = draft.change.get(key, 0) + units
    for wanted in lines:
        if wanted.item.tracking == "lot":
            _take(draft, wanted, _pick(draft, wanted))
        else:
            _take(draft, wanted, [(NO_LOT, to_units(wanted.line.quantity))])
    for _, key, units in draft.promised:
        draft.change[key] -= units
    if draft.short:
        raise InsufficientStock(draft.short, draft.issue.field)


def _take(draft: Draft, wanted: Wanted, parts: Parts) -> None:
    """Take the parts out of the warehouse, as the line's policy says."""
    line, place = wanted.line, draft.issue.warehouse_id
    short = _shortfall(draft, wanted, parts)
    if short:
        if not draft.book.is_locked and _may_be_stale(draft, wanted, parts):
            raise NeedsLock
        if wanted.policy == "block":
            available = sum(units for _, units in parts) - sum(short.values())
            draft.short.append(_short_line(draft, wanted, available))
            return
        draft.mark(line, "oversold" if wanted.policy == "allow" else "absorbed")
    if wanted.policy == "absorb":
        for lot_id, units in short.items():
            _move(draft, wanted, lot_id, units, "absorb", ADJUSTMENT, place)
    for lot_id, units in parts:
        # What is not marked as oversold must not be, should somebody else come between.
        if wanted.policy != "allow" or lot_id not in short:
            key = _key(draft, wanted, lot_id)
            draft.at_least[key] = draft.at_least.get(key, 0) + units
        _move(draft, wanted, lot_id, units, "issue", place, draft.issue.destination_id)
    if wanted.item.tracking == "lot":
        taken = _names(draft, wanted, parts)
        draft.lots[line.line] = (*draft.lots.get(line.line, ()), *taken)
        if any(lot.expiry_date is not None and lot.expiry_date < _day(draft) for lot in taken):
            draft.mark(line, "expired-lot")


def _pick(draft: Draft, wanted: Wanted) -> Parts:
    """Return the lots that serve a lot-tracked line; what no lot can serve comes last, of no lot."""
    line, issue = wanted.line, draft.issue
    if line.batch_number:
        return [(_named_lot(draft, wanted), to_units(line.quantity))]
    known = draft.book.lots.get((wanted.item.variant_id, issue.warehouse_id), ())
    lots = tuple(
        replace(lot, available=from_units(_left(draft, _key(draft, wanted, lot.lot_id))))
        for lot in _of_the_day(draft, line, known)
    )
    parts = asked_of_plugins(draft.session, LotRequest(line, issue.warehouse_id, issue.channel, lots))
    if parts is None:
        wants = to_units(line.quantity)
        parts = first_expired_first(lots, wants, _day(draft), picks_expired=issue.picks_expired)
    rest = to_units(line.quantity) - sum(units for _, units in parts)
    # Sold short: the remainder is on record without a lot, for nobody knows which.
    return [*parts, (NO_LOT, rest)] if rest else parts


def _named_lot(draft: Draft, wanted: Wanted) -> int:
    line, place = wanted.line, (wanted.item.variant_id, draft.issue.warehouse_id)
    assert line.batch_number
    where = f"{draft.issue.field}.{line.line}.batch_number"
    for lot in draft.book.lots.get(place, ()):
        if lot.batch_number == line.batch_number:
            if lot.is_expired(_day(draft)) and not draft.issue.may_sell_expired:
                raise ValidationFailed.at(where, "This lot has expired.", code="lot-expired")
            if lot.lot_id in draft.book.made:
                draft.mark(line, "unknown-lot")
            _check_expiry(draft, line, [lot])
            return lot.lot_id
    if wanted.policy == "block":
        raise ValidationFailed.at(where, "There is no such lot of this product.", code="unknown-lot")
    made = ensure_lot(draft.session, wanted.item.variant_id, line.batch_number, line.expiry_date)
    draft.book.lots[place] = (*draft.book.lots.get(place, ()), made)
    draft.book.made.add(made.lot_id)
    draft.mark(line, "unknown-lot")
    return made.lot_id


def _of_the_day(draft: Draft, line: IssueLine, lots: tuple[LotLevel, ...]) -> tuple[LotLevel, ...]:
    """Return the lots that expire on the day that the line says, else those without one; all when it says none."""
    if line.expiry_date is None or not lots:
        return lots
    here = tuple(lot for lot in lots if lot.expiry_date == line.expiry_date)
    here = here or tuple(lot for lot in lots if lot.expiry_date is None)
    if not here:
        _check_expiry(draft, line, lots)
    return here or lots


def _check_expiry(draft: Draft, line: IssueLine, lots: Sequence[LotLevel]) -> None:
    """Refuse a day on which none of the lots expires; what is sold already is marked. A lot without a day is any."""
    days = {lot.expiry_date for lot in lots}
    if line.expiry_date is None or line.expiry_date in days or None in days:
        return
    if draft.issue.is_offline:
        draft.mark(line, "wrong-expiry")
        return
    known = ", ".join(sorted(day.isoformat() for day in days if day is not None))
    raise Conflict(
        f"Not {line.expiry_date.isoformat()}: it expires on {known}.",
        code="lot-expiry-differs",
        errors=[
            {"field": f"{draft.issue.field}.{line.line}.expiry_date", "message": f"The goods here expire on {known}."}
        ],
    )


def _names(draft: Draft, wanted: Wanted, parts: Parts) -> list[TakenLot]:
    known = {lot.lot_id: lot for lot in draft.book.lots.get((wanted.item.variant_id, draft.issue.warehouse_id), ())}
    return [
        TakenLot(lot_id, known[lot_id].batch_number, known[lot_id].expiry_date, from_units(units))
        for lot_id, units in parts
        if lot_id
    ]


def _key(draft: Draft, wanted: Wanted, lot_id: int) -> LevelKey:
    return LevelKey(wanted.item.variant_id, draft.issue.warehouse_id, lot_id)


def _left(draft: Draft, key: LevelKey) -> int:
    level = draft.book.levels.get(key) or Level()
    return level.available + draft.change.get(key, 0)


def _shortfall(draft: Draft, wanted: Wanted, parts: Parts) -> dict[int, int]:
    """Return the missing units by lot."""
    missing = {}
    for lot_id, units in parts:
        gap = units - max(_left(draft, _key(draft, wanted, lot_id)), 0)
        if gap > 0:
            missing[lot_id] = gap
    return missing


def _may_be_stale(draft: Draft, wanted: Wanted, parts: Parts) -> bool:
    """Whether a lock could change the answer: an adjustment to size, or reservations that may have expired."""
    if wanted.policy == "absorb":
        return True
    keys = [_key(draft, wanted, lot_id) for lot_id, _ in parts]
    return any(key in draft.book.levels and draft.book.levels[key].reserved for key in keys)


def _day(draft: Draft) -> date:
    """Return the day that says what has expired."""
    return draft.issue.today or Calendar.of(snapshot_of(draft.session)).day_of(draft.issue.occurred_at)


def _expired(draft: Draft, wanted: Wanted) -> int:
    """Return the units that the line could have only by naming their lot."""
    if wanted.item.tracking != "lot" or wanted.line.batch_number or draft.issue.picks_expired:
        return 0
    lots, day = draft.book.lots.get((wanted.item.variant_id, draft.issue.warehouse_id), ()), _day(draft)
    return sum(max(_left(draft, _key(draft, wanted, lot.lot_id)), 0) for lot in lots if lot.is_expired(day))


def _short_line(draft: Draft, wanted: Wanted, available: int) -> ShortLine:
    item = wanted.item
    return ShortLine(
        wanted.line.line,
        item.product_id,
        None if item.is_default else item.variant_id,
        item.product_name,
        wanted.line.quantity,
        from_units(available),
        from_units(_expired(draft, wanted)),
    )


def _move(
    draft: Draft, wanted: Wanted, lot_id: int, units: int, effect: str, source_id: int, destination_id: int
) -> None:
    issue, cost = draft.issue, wanted.item.cost_price
    movement = Movement(
        product_id=wanted.item.product_id,
        variant_id=wanted.item.variant_id,
        lot_id=lot_id,
        quantity=from_units(units),
        source_id=source_id,
        destination_id=destination_id,
        document_type=issue.document.type,
        document_id=issue.document.id,
        document_line=wanted.line.line,
        effect=effect + draft.suffix,
        occurred_at=issue.occurred_at,
        unit_cost=None if cost is None else from_units(cost),
        channel=issue.channel,
    )
    add_movement(draft, movement)
