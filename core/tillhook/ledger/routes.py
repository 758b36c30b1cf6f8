"""Routes of warehouses and stock."""

from typing import Any

from sqlalchemy import select

from tillhook.db import format_instant
from tillhook.http import Call, Instant, Routes
from tillhook.ledger import queries, warehouses
from tillhook.ledger.documents import adjust, receive, transfer
from tillhook.ledger.models import StockDocument, StockMovement
from tillhook.ledger.schemas import (
    AdjustmentIn,
    AlertQuery,
    LevelQuery,
    MovementQuery,
    PolicyIn,
    ReceiptIn,
    StockCheckOut,
    StockCheckQuery,
    ThresholdIn,
    TransferIn,
    WarehouseIn,
    WarehouseOut,
    WarehousePatch,
)
from tillhook.products.search import get_product
from tillhook.quantities import format_quantity

routes = Routes()
_READ, _MANAGE = "stock:level:read", "stock:policy:manage"


class InventoryQuery(LevelQuery):
    as_of = Instant()
    known_at = Instant()


@routes.get("/warehouses", permission="stock:warehouse:read")
def list_warehouses(call: Call) -> Any:
    """List the warehouses that you see."""
    rows = warehouses.list_warehouses(call.session)
    return {"items": [warehouses.show_warehouse(row) for row in rows], "next_cursor": None}


@routes.post(
    "/warehouses",
    permission="stock:warehouse:manage",
    body=WarehouseIn,
    answer=WarehouseOut,
    status=201,
    problems=(409,),
)
def create_warehouse(call: Call) -> Any:
    """Make a warehouse or shop."""
    return warehouses.show_warehouse(warehouses.create_warehouse(call.session, **call.body))


@routes.patch(
    "/warehouses/{warehouse_id:int}",
    permission="stock:warehouse:manage",
    body=WarehousePatch,
    answer=WarehouseOut,
    problems=(404, 409),
)
def change_warehouse(call: Call, warehouse_id: int) -> Any:
    """Change a warehouse, or close it."""
    return warehouses.show_warehouse(warehouses.change_warehouse(call.session, warehouse_id, call.body))


@routes.get("/inventory", permission=_READ, query=InventoryQuery)
def list_inventory(call: Call) -> Any:
    """List stock by variant, warehouse and lot; with ``as_of`` or ``known_at`` as it was then."""
    as_of, known_at = call.query.get("as_of"), call.query.get("known_at")
    if as_of is not None or known_at is not None:
        return {"items": queries.levels_as_of(call.session, call.query, as_of, known_at), "next_cursor": None}
    items, cursor = queries.levels(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.get("/inventory/{product_id:int}", permission=_READ)
def product_inventory(call: Call, product_id: int) -> Any:
    """List one product's stock."""
    get_product(call.session, product_id)
    query = {"product": product_id, "limit": 200, "cursor": None}
    items, cursor = queries.levels(call.session, query)
    return {"product_id": product_id, "items": items, "next_cursor": cursor}


@routes.get("/inventory/stock/check", permission=_READ, query=StockCheckQuery, answer=StockCheckOut, problems=(404,))
def stock_check(call: Call) -> Any:
    """Say what one warehouse has of a product."""
    return queries.stock_check(call.session, **call.query)


@routes.get("/inventory/movements", permission="stock:movement:read", query=MovementQuery)
def list_movements(call: Call) -> Any:
    """List the ledger's movements."""
    items, cursor = queries.movements(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.get("/inventory/alerts", permission="stock:alert:read", query=AlertQuery)
def list_alerts(call: Call) -> Any:
    """List low-stock alerts."""
    items, cursor = queries.alerts(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.post("/inventory/receipts", permission="stock:receipt:post", body=ReceiptIn, status=201)
def post_receipt(call: Call) -> Any:
    """Take goods in from a vendor."""
    return _show_document(call, receive(call.session, call.body))


@routes.post(
    "/inventory/adjustments", permission="stock:adjustment:post", body=AdjustmentIn, status=201, problems=(409,)
)
def post_adjustment(call: Call) -> Any:
    """Correct stock, with a reason."""
    return _show_document(call, adjust(call.session, call.body))


@routes.post("/inventory/transfers", permission="stock:transfer:post", body=TransferIn, status=201, problems=(409,))
def post_transfer(call: Call) -> Any:
    """Move goods between warehouses."""
    return _show_document(call, transfer(call.session, call.body))


@routes.put(
    "/inventory/{product_id:int}/threshold",
    permission="stock:inventory:set",
    body=ThresholdIn,
    answer=StockCheckOut,
    problems=(404,),
)
def set_threshold(call: Call, product_id: int) -> Any:
    """Set a product's low-stock threshold at one warehouse; null removes it."""
    warehouses.set_threshold(call.session, product_id, call.body["warehouse"], call.body["threshold"])
    return queries.stock_check(call.session, product_id, None, call.body["warehouse"])


@routes.get("/stock-policies", permission=_MANAGE)
def list_policies(call: Call) -> Any:
    """List the rules of the stock policy."""
    rows = warehouses.list_policies(call.session)
    return {"items": [warehouses.show_policy(row) for row in rows], "next_cursor": None}


@routes.put("/stock-policies", permission=_MANAGE, body=PolicyIn)
def set_policy(call: Call) -> Any:
    """Say what happens when stock is short."""
    body = call.body
    row = warehouses.set_policy(call.session, body["policy"], body["product_id"], body["warehouse"], body["channel"])
    return warehouses.show_policy(row)


@routes.delete("/stock-policies/{policy_id:int}", permission=_MANAGE, status=204, problems=(404,))
def delete_policy(call: Call, policy_id: int) -> None:
    """Remove a rule of the stock policy."""
    warehouses.delete_policy(call.session, policy_id)


def _show_document(call: Call, document: StockDocument) -> dict[str, Any]:
    rows = call.session.scalars(
        select(StockMovement)
        .where(StockMovement.document_type == document.kind, StockMovement.document_id == document.id)
        .order_by(StockMovement.id)
    )
    return {
        "id": document.id,
        "kind": document.kind,
        "number": document.number,
        "warehouse": document.warehouse_id,
        "to_warehouse": document.to_warehouse_id,
        "reason": document.reason,
        "occurred_at": format_instant(document.occurred_at),
        "recorded_at": format_instant(document.recorded_at),
        "movements": [
            {
                "id": row.id,
                "line": row.document_line,
                "product_id": row.product_id,
                "variant_id": row.variant_id,
                "lot_id": row.lot_id or None,
                "quantity": format_quantity(row.quantity),
                "source": row.source_id,
                "destination": row.destination_id,
            }
            for row in rows
        ],
    }
