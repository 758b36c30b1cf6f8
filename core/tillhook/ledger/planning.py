"""From the lines of a document to movements: policy, lots, and what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from tillhook.errors import ValidationFailed
from tillhook.ledger.items import Item
from tillhook.ledger.levels import Level, LotLevel, ensure_lot, lock_levels, lot_levels
from tillhook.ledger.models import ADJUSTMENT, CUSTOMER, NO_LOT
from tillhook.ledger.movements import InsufficientStock, LevelKey, Plan, ShortLine, StockMovement
from tillhook.quantities import from_units, to_units
from tillhook.runtime import runtime_of


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueLine:
    """A line that takes goods out of a warehouse; ``line`` counts from 0 in the order of the document."""

    line: int
    item: Item
    quantity: Decimal
    policy: str
    batch_number: str | None = None
    expiry_date: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A document that takes goods out of a warehouse."""

    document_type: str
    document_id: int
    warehouse_id: int
    occurred_at: datetime
    lines: Sequence[IssueLine]
    destination_id: int = CUSTOMER
    channel: str | None = None
    #: Whether a line may name an expired lot, and whether one is picked once nothing fresh is left.
    may_sell_expired: bool = False
    picks_expired: bool = False
    today: date


@dataclass(frozen=True, slots=True)
class LotRequest:
    """The question that ``resolve_lots`` is asked: which lots serve this line?

    The answer is a list of ``(lot_id, quantity)`` in the order of picking, which together are at most the quantity.
    """

    line: IssueLine
    lots: Sequence[LotLevel]


class StockBook:
    """Levels as the documents of one posting will leave them, document after document.

    It starts from what was read without locks; :meth:`lock` makes it exact.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.levels: dict[LevelKey, Level] = {}
        self.lots: dict[int, list[LotLevel]] = {}
        self.is_locked = False

    def add_item(self, item: Item, warehouse_id: int) -> None:
        """Take the level that came with the item."""
        if item.tracking == "quantity":
            key = LevelKey(item.variant_id, warehouse_id, NO_LOT)
            self.levels.setdefault(key, Level(item.on_hand, item.reserved))

    def add_lots(self, variant_ids: Sequence[int], warehouse_id: int) -> None:
        """Read the lots of lot-tracked variants."""
        for variant_id, lots in lot_levels(self._session.connection(), variant_ids, warehouse_id).items():
            self.lots[variant_id] = lots
            for lot in lots:
                self.levels[lot.key] = Level(lot.available, 0)

    def lock(self, items: Sequence[tuple[Item, int]]) -> None:
        """Lock the levels of all the (item, warehouse) pairs in key order and read them again."""
        keys = [LevelKey(item.variant_id, place, NO_LOT) for item, place in items if item.tracking == "quantity"]
        lot_items = [(item, place) for item, place in items if item.tracking == "lot"]
        keys += [lot.key for item, _ in lot_items for lot in self.lots.get(item.variant_id, ())]
        locked = lock_levels(self._session.connection(), keys)
        self.levels.update(locked)
        self.is_locked = True

    def level(self, key: LevelKey) -> Level:
        return self.levels.setdefault(key, Level())


def plan_issue(session: Session, book: StockBook, issue: Issue) -> Plan:
    """Return the movements of the document and enter them in the book.

    Raises:
        InsufficientStock: 409, naming every short line; the book is as before.
        NeedsLock: The plan depends on levels that were read without a lock.
    """
    draft = _Draft(session, book, issue)
    for line in issue.lines:
        if line.item.tracking == "quantity":
            draft.take(line, [(NO_LOT, to_units(line.quantity))])
        elif line.item.tracking == "lot":
            draft.take(line, draft.pick(line))
    return draft.finish()


class NeedsLock(Exception):
    """What was read without a lock does not suffice; read again with locks."""


class _Draft:
    """One document's plan in the making; the book changes only in :meth:`finish`."""

    def __init__(self, session: Session, book: StockBook, issue: Issue) -> None:
        self._session, self._book, self._issue = session, book, issue
        self._plan = Plan()
        self._taken: dict[LevelKey, int] = {}
        self._added: dict[LevelKey, int] = {}
        self._short: list[ShortLine] = []

    def take(self, line: IssueLine, parts: list[tuple[int, int]]) -> None:
        """Take ``parts``, (lot, units), out of the warehouse, as the line's policy says."""
        short = self._shortfall(line, parts)
        if short and line.policy != "allow":
            if not self._book.is_locked and self._may_be_stale(line, parts):
                raise NeedsLock
            if line.policy == "block":
                self._refuse(line, parts, short)
                return
            self._absorb(line, short)
        for lot_id, units in parts:
            key = self._key(line, lot_id)
            self._taken[key] = self._taken.get(key, 0) + units
            if line.policy != "allow" or (lot_id and lot_id not in short):
                self._plan.at_least[key] = self._plan.at_least.get(key, 0) + units
            self._move(line, lot_id, units, "issue", self._issue.warehouse_id, self._issue.destination_id)
        self._plan.lots[line.line] = [lot_id for lot_id, _ in parts if lot_id]

    def pick(self, line: IssueLine) -> list[tuple[int, int]]:
        """Return the lots that serve a lot-tracked line; what no lot can serve comes last, on the last lot."""
        lots = self._book.lots.get(line.item.variant_id, [])
        wanted = to_units(line.quantity)
        if line.batch_number:
            return [(self._named_lot(line, lots), wanted)]
        chosen = self._chosen_by_hook(line, lots)
        if chosen is None:
            chosen = self._first_expired_first(lots, wanted)
        rest = wanted - sum(units for _, units in chosen)
        if rest > 0:
            # Sold short: the remainder is on record without a lot, for nobody knows which.
            chosen.append((NO_LOT, rest))
        return chosen

    def finish(self) -> Plan:
        if self._short:
            raise InsufficientStock(self._short)
        for key, units in self._added.items():
            self._book.level(key).on_hand += units
        for key, units in self._taken.items():
            self._book.level(key).on_hand -= units
        return self._plan

    def _key(self, line: IssueLine, lot_id: int) -> LevelKey:
        return LevelKey(line.item.variant_id, self._issue.warehouse_id, lot_id)

    def _left(self, key: LevelKey) -> int:
        return self._book.level(key).available + self._added.get(key, 0) - self._taken.get(key, 0)

    def _shortfall(self, line: IssueLine, parts: list[tuple[int, int]]) -> dict[int, int]:
        """Return the missing units by lot."""
        missing = {}
        for lot_id, units in parts:
            gap = units - max(self._left(self._key(line, lot_id)), 0)
            if gap > 0:
                missing[lot_id] = gap
        return missing

    def _may_be_stale(self, line: IssueLine, parts: list[tuple[int, int]]) -> bool:
        """Whether a lock could change the answer: an adjustment to size, or reservations that may have expired."""
        if line.policy == "absorb":
            return True
        return any(self._book.level(self._key(line, lot_id)).reserved for lot_id, _ in parts)

    def _refuse(self, line: IssueLine, parts: list[tuple[int, int]], short: dict[int, int]) -> None:
        available = sum(units for _, units in parts) - sum(short.values())
        self._short.append(
            ShortLine(
                line.line,
                line.item.product_id,
                line.item.variant_id,
                line.item.product_name,
                line.quantity,
                from_units(available),
            )
        )

    def _absorb(self, line: IssueLine, short: dict[int, int]) -> None:
        for lot_id, units in short.items():
            key = self._key(line, lot_id)
            self._added[key] = self._added.get(key, 0) + units
            self._move(line, lot_id, units, "absorb", ADJUSTMENT, self._issue.warehouse_id)

    def _move(self, line: IssueLine, lot_id: int, units: int, effect: str, source: int, destination: int) -> None:
        cost = line.item.cost_price
        self._plan.movements.append(
            StockMovement(
                product_id=line.item.product_id,
                variant_id=line.item.variant_id,
                lot_id=lot_id,
                quantity=from_units(units),
                source_id=source,
                destination_id=destination,
                document_type=self._issue.document_type,
                document_id=self._issue.document_id,
                document_line=line.line,
                effect=effect,
                occurred_at=self._issue.occurred_at,
                unit_cost=None if cost is None else from_units(cost),
                channel=self._issue.channel,
            )
        )

    def _named_lot(self, line: IssueLine, lots: Sequence[LotLevel]) -> int:
        field = f"items.{line.line}.batch_number"
        for lot in lots:
            if lot.batch_number == line.batch_number:
                if self._is_expired(lot.expiry_date) and not self._issue.may_sell_expired:
                    raise ValidationFailed.at(field, "This lot has expired.", code="lot-expired")
                return lot.key.lot_id
        if line.policy == "block":
            raise ValidationFailed.at(field, "There is no such lot of this product.", code="unknown-lot")
        assert line.batch_number
        lot_id, _ = ensure_lot(self._session.connection(), line.item.variant_id, line.batch_number, line.expiry_date)
        return lot_id

    def _is_expired(self, expiry: date | None) -> bool:
        return expiry is not None and expiry < self._issue.today

    def _first_expired_first(self, lots: Sequence[LotLevel], wanted: int) -> list[tuple[int, int]]:
        fresh = [lot for lot in lots if not self._is_expired(lot.expiry_date)]
        expired = [lot for lot in lots if self._is_expired(lot.expiry_date)] if self._issue.picks_expired else []
        parts = []
        for lot in fresh + expired:
            left = self._left(lot.key)
            if left <= 0:
                continue
            units = min(left, wanted)
            parts.append((lot.key.lot_id, units))
            wanted -= units
            if not wanted:
                break
        return parts

    def _chosen_by_hook(self, line: IssueLine, lots: Sequence[LotLevel]) -> list[tuple[int, int]] | None:
        hooks = runtime_of(self._session).hooks
        if not hooks.implemented("resolve_lots"):
            return None
        answer: Any = hooks.hook.resolve_lots(session=self._session, request=LotRequest(line, lots))
        if answer is None:
            return None
        return [(lot_id, to_units(Decimal(quantity))) for lot_id, quantity in answer]
