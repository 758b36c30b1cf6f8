"""Names by which the sales of old reach in."""

from dataclasses import dataclass, field

from tillhook.ledger.posting.values import InsufficientStock, LevelAfter, LevelKey, ShortLine
from tillhook.ledger.posting.values import Movement as StockMovement


@dataclass(slots=True)
class Plan:
    """How a document will move stock: its movements, and what must still be available when they post."""

    movements: list[StockMovement] = field(default_factory=list)
    at_least: dict[LevelKey, int] = field(default_factory=dict)
    lots: dict[int, list[int]] = field(default_factory=dict)


__all__ = ["InsufficientStock", "LevelAfter", "LevelKey", "Plan", "ShortLine", "StockMovement"]
