"""The stock ledger: locations, movements, levels, lots, reservations, policy and alerts.

Stock is double entry and append-only: a movement takes a positive quantity from one location to another, and
over all locations every variant sums to zero. Goods move by the verbs and by nothing else: :func:`issue`
(:func:`issue_many`), :func:`receive`, :func:`restock`, :func:`transfer`, :func:`adjust`, :func:`reverse` and
:func:`restate`. Each does the whole of it, in the caller's transaction: reading, locks in their order, lots, policy,
levels, alerts, events and hooks. A document is named by its owner and key, whoever owns it:
``Document("invoicing.invoice", 17)``.
"""

from tillhook.ledger.counting import post_count, set_inventory
from tillhook.ledger.documents import StockCommand, post_adjustment, post_receipt, post_transfer
from tillhook.ledger.expiry import fresh_and_expired, today_of
from tillhook.ledger.figures import own_inventory
from tillhook.ledger.inventory import promised
from tillhook.ledger.models import (
    ADJUSTMENT,
    CUSTOMER,
    NO_LOT,
    SCRAP,
    TRANSIT,
    VENDOR,
    Location,
    Lot,
    Reservation,
    StockAlert,
    StockDocument,
    StockLevel,
    StockMovement,
    StockThreshold,
)
from tillhook.ledger.policy import POLICIES, PolicyRequest, policy_for
from tillhook.ledger.posting.correcting import moved_by, restate, reverse
from tillhook.ledger.posting.effects import refresh_alerts, resolve_alerts
from tillhook.ledger.posting.issuing import issue, issue_many, restock, shortages
from tillhook.ledger.posting.items import Item, ItemKey, Items, load_items, load_items_with
from tillhook.ledger.posting.locks import lock_goods
from tillhook.ledger.posting.lots import LotLevel, LotRequest, lots_at
from tillhook.ledger.posting.stock import adjust, receive, transfer
from tillhook.ledger.posting.values import (
    Alongside,
    AlreadyReversed,
    CountLine,
    Document,
    Events,
    InsufficientStock,
    Issue,
    Issued,
    IssueLine,
    Movement,
    Restock,
    RestockLine,
    ShortLine,
    StockLine,
    TakenLot,
)
from tillhook.ledger.queries import Stock, available_by_product, has_moved, stock_by_product, stock_check
from tillhook.ledger.reservations import ReserveLine, extend, release, reserve
from tillhook.ledger.warehouses import create_warehouse

__all__ = [
    "ADJUSTMENT",
    "CUSTOMER",
    "NO_LOT",
    "POLICIES",
    "SCRAP",
    "TRANSIT",
    "VENDOR",
    "Alongside",
    "AlreadyReversed",
    "CountLine",
    "Document",
    "Events",
    "InsufficientStock",
    "Issue",
    "IssueLine",
    "Issued",
    "Item",
    "ItemKey",
    "Items",
    "Location",
    "Lot",
    "LotLevel",
    "LotRequest",
    "Movement",
    "PolicyRequest",
    "Reservation",
    "ReserveLine",
    "Restock",
    "RestockLine",
    "ShortLine",
    "Stock",
    "StockAlert",
    "StockCommand",
    "StockDocument",
    "StockLevel",
    "StockLine",
    "StockMovement",
    "StockThreshold",
    "TakenLot",
    "adjust",
    "available_by_product",
    "create_warehouse",
    "extend",
    "fresh_and_expired",
    "has_moved",
    "issue",
    "issue_many",
    "load_items",
    "load_items_with",
    "lock_goods",
    "lots_at",
    "moved_by",
    "own_inventory",
    "policy_for",
    "post_adjustment",
    "post_count",
    "post_receipt",
    "post_transfer",
    "promised",
    "receive",
    "refresh_alerts",
    "release",
    "reserve",
    "resolve_alerts",
    "restate",
    "restock",
    "reverse",
    "set_inventory",
    "shortages",
    "stock_by_product",
    "stock_check",
    "today_of",
    "transfer",
]
