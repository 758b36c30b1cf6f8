"""The stock ledger: locations, movements, levels, lots, reservations, policy and alerts.

Stock is double entry and append-only: a movement takes a positive quantity from one location to another, and
over all locations every variant sums to zero.
"""

from tillhook.ledger.alerts import refresh_alerts, resolve_alerts, stock_changed
from tillhook.ledger.documents import StockCommand, StockLine, adjust, receive, set_inventory, transfer
from tillhook.ledger.items import Item, load_items
from tillhook.ledger.models import ADJUSTMENT, CUSTOMER, NO_LOT, SCRAP, TRANSIT, VENDOR
from tillhook.ledger.movements import InsufficientStock, StockMovement
from tillhook.ledger.planning import Issue, IssueLine, LotRequest, StockBook, plan_issue
from tillhook.ledger.policy import PolicyRequest, policy_for
from tillhook.ledger.posting import write_movements
from tillhook.ledger.queries import available_by_product, has_moved, stock_check
from tillhook.ledger.reservations import ReserveLine, extend, release, reserve
from tillhook.ledger.warehouses import create_warehouse

__all__ = [
    "ADJUSTMENT",
    "CUSTOMER",
    "NO_LOT",
    "SCRAP",
    "TRANSIT",
    "VENDOR",
    "InsufficientStock",
    "Issue",
    "IssueLine",
    "Item",
    "LotRequest",
    "PolicyRequest",
    "ReserveLine",
    "StockBook",
    "StockCommand",
    "StockLine",
    "StockMovement",
    "adjust",
    "available_by_product",
    "create_warehouse",
    "extend",
    "has_moved",
    "load_items",
    "plan_issue",
    "policy_for",
    "receive",
    "refresh_alerts",
    "release",
    "reserve",
    "resolve_alerts",
    "set_inventory",
    "stock_changed",
    "stock_check",
    "transfer",
    "write_movements",
]
