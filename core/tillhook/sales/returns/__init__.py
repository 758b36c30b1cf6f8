"""Taking back what was sold: returns of some goods, cancellations of a whole sale, and the way of the money.

Below the pipeline, which takes goods back in exchanges and in returns that come in a sale's own body.
"""

from tillhook.sales.returns.refunds import cash_step, check_refund_methods, pay_back, require_method
from tillhook.sales.returns.returning import (
    goods_of,
    lock_families,
    lock_family,
    net_totals,
    origin_of,
    restock_lines,
    take_back,
)
from tillhook.sales.returns.reversals import cancel_sale, return_goods

__all__ = [
    "cancel_sale",
    "cash_step",
    "check_refund_methods",
    "goods_of",
    "lock_families",
    "lock_family",
    "net_totals",
    "origin_of",
    "pay_back",
    "require_method",
    "restock_lines",
    "return_goods",
    "take_back",
]
