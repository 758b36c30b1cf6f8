"""What the door is told and what it answers, as values. Quantities are in the product's stock unit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from tillhook.errors import Conflict
from tillhook.events import NewEvent
from tillhook.ledger.models import CUSTOMER, NO_LOT
from tillhook.quantities import ZERO


class Document(NamedTuple):
    """Whatever moved stock, by its owner's name for it and its key: ``Document("invoicing.invoice", 17)``.

    A plugin's types begin with its name and a dot; those without a dot are the core's.
    """

    type: str
    id: int


class LevelKey(NamedTuple):
    """The key of a stock level; tuples sort in the order in which their rows are locked."""

    variant_id: int
    location_id: int
    lot_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A quantity of one variant and lot that goes from one location to another.

    ``quantity`` is positive; ``unit_cost`` is money per stock unit, or ``None`` where it is not known.
    (``document_type``, ``document_id``, ``document_line``, ``effect``, ``lot_id``) posts once. ``lot_id`` is 0 for
    goods that are not tracked by lot. ``reverses_id`` is the movement that this one undoes, wholly or in part.
    """

    product_id: int
    variant_id: int
    quantity: Decimal
    source_id: int
    destination_id: int
    document_type: str
    document_id: int
    document_line: int
    effect: str
    occurred_at: datetime
    lot_id: int = NO_LOT
    unit_cost: Decimal | None = None
    channel: str | None = None
    reverses_id: int | None = None

    @property
    def document(self) -> Document:
        return Document(self.document_type, self.document_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class StockLine:
    """A line of a receipt, an adjustment or a transfer; its number is its place among the others, from 0.

    ``quantity`` is positive in receipts and transfers, signed in adjustments. ``unit_cost`` is money per stock unit;
    ``None`` is the product's own.
    """

    product_id: int
    quantity: Decimal
    variant_id: int | None = None
    unit_cost: Decimal | None = None
    batch_number: str | None = None
    expiry_date: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountLine(StockLine):
    """A line of a count: ``quantity`` is what was counted, ``expected`` what the counter believes to be on hand."""

    expected: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueLine:
    """A line that takes goods out of a warehouse; ``quantity`` is positive.

    ``variant_id`` ``None`` is the product's default variant. ``batch_number`` names the one lot to take from.
    """

    line: int
    product_id: int
    quantity: Decimal
    variant_id: int | None = None
    batch_number: str | None = None
    expiry_date: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestockLine:
    """A line whose goods come back of another document's line, or are scrapped; ``quantity`` is positive.

    ``batch_number`` names the one lot that they came from; without it the lot taken first comes back first.
    """

    line: int
    origin: Document
    origin_line: int
    quantity: Decimal
    scrap: bool = False
    batch_number: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A document that takes goods out of a warehouse and, in an exchange, takes some back (``returns``).

    ``default_policy`` counts where neither a plugin nor a stored rule says what to do when stock is short.
    ``may_sell_expired`` lets a line name an expired lot; ``picks_expired`` picks one when nothing fresh is left;
    ``today`` says what is expired, by default the business's day of ``occurred_at``. ``fulfils`` is the document that
    has reserved the goods: its reservations count as available, and are released as the goods go out.
    ``field`` begins the path of a line in errors.
    """

    document: Document
    warehouse_id: int
    occurred_at: datetime
    lines: Sequence[IssueLine]
    returns: Sequence[RestockLine] = ()
    channel: str | None = None
    default_policy: str = "block"
    is_offline: bool = False
    destination_id: int = CUSTOMER
    may_sell_expired: bool = False
    picks_expired: bool = False
    today: date | None = None
    fulfils: Document | None = None
    field: str = "items"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restock:
    """A document by which goods come back to a warehouse, or are scrapped."""

    document: Document
    warehouse_id: int
    occurred_at: datetime
    lines: Sequence[RestockLine]
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class TakenLot:
    """What a line took of one lot."""

    lot_id: int
    batch_number: str
    expiry_date: date | None
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Issued:
    """What a document moves. ``lots`` says, by line, which lots serve it; only lot-tracked goods are there.

    ``marks`` says, by line, what was not in order and was taken all the same: ``oversold`` (more than was available),
    ``absorbed`` (likewise, and adjusted), ``expired-lot``, ``unknown-lot``, ``wrong-expiry`` (not that of the lot).
    """

    document: Document
    movements: tuple[Movement, ...]
    lots: Mapping[int, tuple[TakenLot, ...]]
    marks: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


#: Rows by table that are written in the same statement as the movements; asked for once, when all is planned.
Alongside = Callable[[Sequence[Issued]], Mapping[str, Sequence[Mapping[str, Any]]]]
#: Name, payload and warehouse of events that are recorded with those of the stock; asked for once, when all is planned.
Events = Callable[[], Iterable[NewEvent]]


@dataclass(frozen=True, slots=True)
class LevelAfter:
    """A level as a posting left it; ``change`` is what the posting did to ``on_hand``. Units of 1/10,000."""

    on_hand: int
    reserved: int
    change: int


@dataclass(frozen=True, slots=True)
class ShortLine:
    """A line that wants more than is available; ``expired`` is what is there beside it and must not be sold."""

    line: int
    product_id: int
    variant_id: int | None
    product_name: str
    requested: Decimal
    available: Decimal
    expired: Decimal = ZERO

    def shown(self) -> dict[str, Any]:
        """Return the line as JSON."""
        names = ("requested", "available", "expired")
        return asdict(self) | {name: _n(getattr(self, name)) for name in names}

    @property
    def message(self) -> str:
        expired = f"; {_n(self.expired)} expired" if self.expired else ""
        return f"Only {_n(self.available)} available{expired}."


class InsufficientStock(Conflict):
    """The stock policy is ``block`` and some lines want more than is available; all of them are named."""

    code = "insufficient-stock"
    title = "Insufficient stock"

    def __init__(self, short: Sequence[ShortLine], field: str = "items") -> None:
        self.short = tuple(short)
        names = ", ".join(
            f"{line.product_name} ({_n(line.requested)} wanted, {_n(line.available)} available)" for line in short
        )
        super().__init__(
            f"Not enough stock: {names}.",
            errors=[{"field": f"{field}.{line.line}.quantity", "message": line.message} for line in short],
            short_lines=[line.shown() for line in short],
        )


class AlreadyReversed(Conflict):
    """What the document moved was reversed before."""

    code = "already-reversed"
    title = "Already reversed"


def _n(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}"
