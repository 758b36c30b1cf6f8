"""What a posting works on: the levels as documents will leave them, and each document's plan in the making."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from tillhook.ledger.models import NO_LOT
from tillhook.ledger.posting.items import Item
from tillhook.ledger.posting.locks import Level
from tillhook.ledger.posting.lots import LotLevel, lots_at
from tillhook.ledger.posting.promises import Promise, lock_available
from tillhook.ledger.posting.values import Issue, Issued, IssueLine, LevelKey, Movement, ShortLine, TakenLot
from tillhook.quantities import from_units, to_units


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line with what it takes to plan it: the item, and what to do when there is not enough."""

    line: IssueLine
    item: Item
    policy: str

    def of(self, units: int) -> "Wanted":
        """Return the line with another quantity."""
        return replace(self, line=replace(self.line, quantity=from_units(units)))


@dataclass(slots=True)
class Book:
    """Levels as the documents of one posting will leave them, document after document, in units of 1/10,000.

    ``lots`` are by variant and warehouse, ``made`` those that nobody knew of. ``left`` says of movements that are
    undone what is not undone yet.
    Without ``is_locked`` all of it is only what was read a moment ago.
    """

    levels: dict[LevelKey, Level] = field(default_factory=dict)
    lots: dict[tuple[int, int], tuple[LotLevel, ...]] = field(default_factory=dict)
    made: set[int] = field(default_factory=set)
    left: dict[int, int] = field(default_factory=dict)
    is_locked: bool = False


@dataclass(slots=True)
class Draft:
    """One document's plan in the making; the book is changed by :func:`enter` alone, when all of it is sound.

    ``suffix`` ends the names of the effects of a restatement. ``at_least`` is what must have been available when it
    posts; ``undone`` is what it undoes, by movement.
    """

    session: Session
    book: Book
    issue: Issue
    suffix: str = ""
    promised: Sequence[Promise] = ()
    movements: list[Movement] = field(default_factory=list)
    change: dict[LevelKey, int] = field(default_factory=dict)
    at_least: dict[LevelKey, int] = field(default_factory=dict)
    undone: dict[int, int] = field(default_factory=dict)
    lots: dict[int, tuple[TakenLot, ...]] = field(default_factory=dict)
    marks: dict[int, tuple[str, ...]] = field(default_factory=dict)
    short: list[ShortLine] = field(default_factory=list)

    def issued(self) -> Issued:
        return Issued(self.issue.document, tuple(self.movements), self.lots, self.marks)

    def mark(self, line: IssueLine, name: str) -> None:
        """Say of a line what was not in order, see :class:`Issued`."""
        self.marks[line.line] = (*self.marks.get(line.line, ()), name)


def open_book(session: Session, wanted: Iterable[tuple[int, Wanted]], *, locked: bool) -> Book:
    """Return a book of what the lines need to know, each with its warehouse."""
    book, lots = Book(is_locked=locked), dict[int, set[int]]()
    for place, each in wanted:
        if each.item.tracking == "lot":
            lots.setdefault(place, set()).add(each.item.variant_id)
        else:
            book.levels[LevelKey(each.item.variant_id, place, NO_LOT)] = Level(each.item.on_hand, each.item.reserved)
    for place, variants in sorted(lots.items()):
        for variant_id, known in lots_at(session, variants, place).items():
            book.lots[variant_id, place] = known
            for lot in known:
                book.levels[LevelKey(variant_id, place, lot.lot_id)] = Level(to_units(lot.available))
    if locked:
        book.levels |= lock_available(session, book.levels)
    return book


def enter(draft: Draft) -> None:
    """Change the book as the draft's movements will change the levels."""
    for key, units in draft.change.items():
        draft.book.levels.setdefault(key, Level()).on_hand += units
    for _, key, units in draft.promised:
        draft.book.levels.setdefault(key, Level()).reserved -= units
    for movement_id, units in draft.undone.items():
        draft.book.left[movement_id] -= units


def add_movement(draft: Draft, movement: Movement) -> None:
    """Add a movement to the draft, and to the levels that it changes."""
    draft.movements.append(movement)
    units = to_units(movement.quantity)
    for place, sign in ((movement.source_id, -1), (movement.destination_id, 1)):
        if place > 0:
            key = LevelKey(movement.variant_id, place, movement.lot_id)
            draft.change[key] = draft.change.get(key, 0) + sign * units
