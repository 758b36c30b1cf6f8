"""What the ledger is made of, as values: keys of levels, movements, what posting returns."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from tillhook.errors import Conflict


class LevelKey(NamedTuple):
    """The key of a stock level; tuples sort in the order in which their rows are locked."""

    variant_id: int
    location_id: int
    lot_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StockMovement:
    """A quantity of one variant and lot that goes from one location to another.

    ``quantity`` is positive and in the product's stock unit; ``unit_cost`` is money per stock unit, or
    ``None`` where it is not known yet. (``document_type``, ``document_id``, ``document_line``, ``effect``,
    ``lot_id``) posts once. ``lot_id`` is 0 for goods that are not tracked by lot.
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
    lot_id: int = 0
    unit_cost: Decimal | None = None
    channel: str | None = None
    reverses_id: int | None = None


@dataclass(frozen=True, slots=True)
class LevelAfter:
    """A level as a posting left it; ``change`` is what the posting did to ``on_hand``. Units of 1/10,000."""

    on_hand: int
    reserved: int
    change: int


@dataclass(frozen=True, slots=True)
class ShortLine:
    """A line that wants more than is available."""

    line: int
    product_id: int
    variant_id: int
    product_name: str
    requested: Decimal
    available: Decimal


@dataclass(slots=True)
class Plan:
    """How a document will move stock: its movements, and what must still be available when they post."""

    movements: list[StockMovement] = field(default_factory=list)
    at_least: dict[LevelKey, int] = field(default_factory=dict)
    lots: dict[int, list[int]] = field(default_factory=dict)


class InsufficientStock(Conflict):
    """The stock policy is ``block`` and some lines want more than is available; all of them are named."""

    code = "insufficient-stock"
    title = "Insufficient stock"

    def __init__(self, short: list[ShortLine]) -> None:
        self.short = short
        names = ", ".join(
            f"{line.product_name} ({line.requested.normalize():f} wanted, {line.available.normalize():f} available)"
            for line in short
        )
        super().__init__(
            f"Not enough stock: {names}.",
            errors=[
                {"field": f"items.{line.line}.quantity", "message": f"Only {line.available.normalize():f} available."}
                for line in short
            ],
            short_lines=[
                {
                    "line": line.line,
                    "product_id": line.product_id,
                    "variant_id": line.variant_id,
                    "product_name": line.product_name,
                    "requested": f"{line.requested.normalize():f}",
                    "available": f"{line.available.normalize():f}",
                }
                for line in short
            ],
        )
