"""Names by which the sales of old reach in."""

from tillhook.ledger.posting.effects import stock_changed

__all__ = ["stock_changed"]
