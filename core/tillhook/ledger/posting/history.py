"""What documents have moved, and how much of each movement is not undone yet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.db import among
from tillhook.ledger.models import StockMovement
from tillhook.ledger.posting.values import Document, Movement
from tillhook.quantities import from_units, to_units


@dataclass(frozen=True, slots=True)
class Past:
    """A movement on record. In units of 1/10,000: ``left`` is what nobody has undone, ``own`` what the document itself
    has not undone by restating its lines.
    """

    id: int
    movement: Movement
    left: int
    own: int

    @property
    def is_issue(self) -> bool:
        """Whether goods went out by it, and could come back."""
        effect = self.movement.effect
        return (effect == "issue" or effect.startswith("issue.")) and self.movement.reverses_id is None

    @property
    def is_absorbed(self) -> bool:
        """Whether it put on record what was missing."""
        effect = self.movement.effect
        return (effect == "absorb" or effect.startswith("absorb.")) and self.movement.reverses_id is None


@dataclass(frozen=True, slots=True)
class History:
    """All that documents moved, and whatever undid it, in the order in which it was posted."""

    rows: tuple[Past, ...]

    def of(self, document: Document) -> list[Past]:
        """Return the document's movements, without those by which it undid its own."""
        own = {past.id for past in self.rows if past.movement.document == document}
        return [past for past in self.rows if past.id in own and past.movement.reverses_id not in own]

    def is_reversed(self, document: Document) -> bool:
        """Say whether the document was reversed, and the reversal not itself undone."""
        own = {past.id for past in self.rows if past.movement.document == document}
        return any(
            past.left and past.movement.effect.startswith("reverse-") and past.movement.reverses_id in own
            for past in self.rows
        )


def read_history(session: Session, documents: Iterable[Document]) -> History:
    """Return what documents moved, and all that undid it directly or not; takes no lock."""
    ids: dict[str, set[int]] = {}
    for document in documents:
        ids.setdefault(document.type, set()).add(document.id)
    rows = {row.id: row for name in sorted(ids) for row in _read(session, name, sorted(ids[name]))}
    return History(_with_what_is_left([rows[key] for key in sorted(rows)]))


def undone_by(session: Session, document: Document) -> set[Document]:
    """Return the document and those whose movements it undid, directly or not."""
    mine = (StockMovement.document_type == document.type, StockMovement.document_id == document.id)
    up = select(StockMovement.id, StockMovement.reverses_id).where(*mine).cte("up", recursive=True)
    above = select(StockMovement.id, StockMovement.reverses_id).join(up, StockMovement.id == up.c.reverses_id)
    ids = select(up.union(above).c.id)
    found = session.execute(
        select(StockMovement.document_type, StockMovement.document_id).where(StockMovement.id.in_(ids)).distinct()
    )
    return {document, *(Document(*row) for row in found)}


def as_movement(row: StockMovement) -> Movement:
    """Return a row of the ledger as a value."""
    return Movement(**{field.name: getattr(row, field.name) for field in fields(Movement)})


def _read(session: Session, type_: str, ids: Sequence[int]) -> Iterable[StockMovement]:
    mine = (StockMovement.document_type == type_, among(StockMovement.document_id, ids))
    found = select(StockMovement.id).where(*mine).cte("found", recursive=True)
    undoing = select(StockMovement.id).join(found, StockMovement.reverses_id == found.c.id)
    wanted = select(found.union(undoing).c.id)
    return session.scalars(select(StockMovement).where(StockMovement.id.in_(wanted)))


def _with_what_is_left(rows: Sequence[StockMovement]) -> tuple[Past, ...]:
    by_id = {row.id: row for row in rows}
    left = {row.id: to_units(row.quantity) for row in rows}
    own = dict(left)
    # What undoes comes later than what it undoes: taken from the last, each is known to the end when it counts.
    for row in reversed(rows):
        undone = by_id.get(row.reverses_id or 0)
        if undone is None:
            continue
        left[undone.id] -= left[row.id]
        if (undone.document_type, undone.document_id) == (row.document_type, row.document_id):
            own[undone.id] -= own[row.id]
    return tuple(Past(row.id, as_movement(row), left[row.id], own[row.id]) for row in rows)


def net(past: Past) -> Movement:
    """Return the movement with what is left of it."""
    return replace(past.movement, quantity=from_units(past.left))
