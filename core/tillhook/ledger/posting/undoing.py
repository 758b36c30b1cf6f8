"""Movements that undo others, wholly or in part: goods that come back, a document that is reversed or restated."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.errors import Conflict
from tillhook.ledger.models import SCRAP, Lot
from tillhook.ledger.posting.book import Draft, add_movement
from tillhook.ledger.posting.history import History, Past
from tillhook.ledger.posting.values import Document, IssueLine, Movement, RestockLine
from tillhook.quantities import from_units, to_units


def plan_returns(draft: Draft, history: History) -> None:
    """Add the movements by which goods come back: of each line the lot taken first comes first, a named one before.

    A line of which the origin moved nothing, such as a service, moves nothing here either.

    Raises:
        Conflict: 409 ``restocks-more-than-issued``.
    """
    # What names a lot finds it, whatever else comes back of the same line.
    for line in sorted(draft.issue.returns, key=lambda each: each.batch_number is None):
        went = [past for past in history.of(line.origin) if past.is_issue]
        went = [past for past in went if past.movement.document_line == line.origin_line]
        if not went:
            continue
        lot_ids = _lots_named(draft.session, line, went)
        wanted = to_units(line.quantity)
        for past in went:
            units = min(_left(draft, past), wanted) if past.movement.lot_id in lot_ids else 0
            if units > 0:
                add_movement(draft, _coming_back(draft, past, units, line))
                draft.undone[past.id] = draft.undone.get(past.id, 0) + units
                wanted -= units
        if wanted:
            left = from_units(to_units(line.quantity) - wanted)
            message = f"Only {left.normalize():f} of line {line.origin_line} can come back."
            errors = [{"field": f"lines.{line.line}.quantity", "message": message}]
            raise Conflict(message, code="restocks-more-than-issued", errors=errors)


def reversal(history: History, document: Document, by: Document, occurred_at: datetime) -> list[Movement]:
    """Return the movements that undo what is left of a document."""
    return [
        _undoing(past, past.left, by, past.movement.document_line, f"reverse-{past.movement.effect}", occurred_at)
        for past in history.of(document)
        if past.left
    ]


def give_back(draft: Draft, history: History, kept: Iterable[tuple[IssueLine, int, int]]) -> dict[int, int]:
    """Add the movements that give back what a restated document no longer takes.

    What it had absorbed itself goes first, then the lot taken last.

    Args:
        kept: The lines that are to be, with their variant and units.

    Returns:
        By number of the line, the units that it takes already.

    Raises:
        Conflict: 409 ``goods-came-back``: more of a line has come back than would be left.
    """
    mine = history.of(draft.issue.document)
    went = [past for past in mine if past.is_issue and past.own]
    absorbed = [past for past in mine if past.is_absorbed and past.left]
    held: dict[int, int] = {}
    for line, variant_id, units in kept:
        serving = [past for past in went if _serves(draft, past, line, variant_id)]
        went = [past for past in went if past not in serving]
        taken = sum(past.own for past in serving)
        held[line.line] = min(taken, units)
        _mark(draft, serving, absorbed, taken - held[line.line])
    _mark(draft, went, absorbed, sum(past.own for past in went))
    for past in mine:
        units = draft.undone.get(past.id, 0)
        if units:
            effect = f"undo-{past.movement.effect}{draft.suffix}"
            issue, moved = draft.issue, past.movement
            add_movement(
                draft,
                _undoing(past, units, issue.document, moved.document_line, effect, issue.occurred_at),
            )
    return held


def _mark(draft: Draft, went: Sequence[Past], absorbed: Sequence[Past], units: int) -> None:
    """Note ``units`` of these movements as undone, and as much of what was absorbed for them."""
    for only_absorbed in (True, False):
        for past in reversed(went):
            made_up = [each for each in absorbed if _same_place(each.movement, past.movement)]
            most = sum(_left(draft, each) for each in made_up) if only_absorbed else units
            part = min(_left(draft, past), units, most)
            if part <= 0:
                continue
            draft.undone[past.id] = draft.undone.get(past.id, 0) + part
            units -= part
            for each in reversed(made_up):
                gone = min(_left(draft, each), part)
                draft.undone[each.id] = draft.undone.get(each.id, 0) + gone
                part -= gone
    if units:
        raise Conflict("More of this has come back than would be left.", code="goods-came-back")


def _serves(draft: Draft, past: Past, line: IssueLine, variant_id: int) -> bool:
    """Whether what was moved is still wanted: the line's goods, from the warehouse and of the lot that it names."""
    moved = past.movement
    if (moved.document_line, moved.variant_id) != (line.line, variant_id):
        return False
    if moved.source_id != draft.issue.warehouse_id:
        return False
    if not line.batch_number:
        return True
    lots = draft.book.lots.get((variant_id, moved.source_id), ())
    return moved.lot_id in {lot.lot_id for lot in lots if lot.batch_number == line.batch_number}


def _same_place(absorbed: Movement, issued: Movement) -> bool:
    return (absorbed.document_line, absorbed.variant_id, absorbed.lot_id, absorbed.destination_id) == (
        issued.document_line,
        issued.variant_id,
        issued.lot_id,
        issued.source_id,
    )


def _left(draft: Draft, past: Past) -> int:
    return draft.book.left.setdefault(past.id, past.left) - draft.undone.get(past.id, 0)


def _coming_back(draft: Draft, past: Past, units: int, line: RestockLine) -> Movement:
    issue = draft.issue
    effect = "return" + past.movement.effect.removeprefix("issue")
    back = _undoing(past, units, issue.document, line.line, effect, issue.occurred_at)
    return replace(
        back,
        destination_id=SCRAP if line.scrap else issue.warehouse_id,
        channel=issue.channel or back.channel,
    )


def _undoing(past: Past, units: int, by: Document, line: int, effect: str, occurred_at: datetime) -> Movement:
    moved = past.movement
    return Movement(
        product_id=moved.product_id,
        variant_id=moved.variant_id,
        lot_id=moved.lot_id,
        quantity=from_units(units),
        source_id=moved.destination_id,
        destination_id=moved.source_id,
        document_type=by.type,
        document_id=by.id,
        document_line=line,
        effect=effect,
        occurred_at=occurred_at,
        unit_cost=moved.unit_cost,
        channel=moved.channel,
        reverses_id=past.id,
    )


def _lots_named(session: Session, line: RestockLine, went: Sequence[Past]) -> set[int]:
    """Return the lots that a line may come back to: the one that it names, else all that it was taken from."""
    taken = {past.movement.lot_id for past in went}
    if line.batch_number is None:
        return taken
    named = select(Lot.id).where(Lot.id.in_(taken), Lot.batch_number == line.batch_number)
    return set(session.scalars(named))
