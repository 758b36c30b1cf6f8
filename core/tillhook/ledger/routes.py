"""Routes of warehouses and stock."""

from typing import Any

from tillhook.errors import PermissionDenied
from tillhook.http import Call, Routes, page_of
from tillhook.ledger import counting, documents, inventory, listing, movements, queries, warehouses
from tillhook.ledger.models import StockDocument
from tillhook.ledger.schemas import (
    AdjustmentIn,
    AlertOut,
    AlertQuery,
    CountIn,
    DocumentQuery,
    InventoryQuery,
    LevelOut,
    MovementOut,
    MovementQuery,
    PolicyIn,
    PolicyOut,
    ProductInventoryOut,
    ProductInventoryQuery,
    ReceiptIn,
    StockCheckOut,
    StockCheckQuery,
    StockDocumentOut,
    ThresholdIn,
    TransferIn,
    WarehouseIn,
    WarehouseOut,
    WarehousePatch,
)
from tillhook.products.search import get_product

routes = Routes()
_READ, _MANAGE = "stock:level:read", "stock:policy:manage"


@routes.get("/warehouses", permission="stock:warehouse:read", answer=page_of(WarehouseOut))
def list_warehouses(call: Call) -> Any:
    """List the warehouses that you see."""
    return WarehouseOut.page(warehouses.list_warehouses(call.session))


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
    return WarehouseOut.of(warehouses.create_warehouse(call.session, **call.body))


@routes.patch(
    "/warehouses/{warehouse_id:int}",
    permission="stock:warehouse:manage",
    body=WarehousePatch,
    answer=WarehouseOut,
    problems=(404, 409),
)
def change_warehouse(call: Call, warehouse_id: int) -> Any:
    """Change a warehouse, or close it."""
    return WarehouseOut.of(warehouses.change_warehouse(call.session, warehouse_id, call.body))


@routes.get("/inventory", permission=_READ, query=InventoryQuery, answer=page_of(LevelOut))
def list_inventory(call: Call) -> Any:
    """List stock by variant, warehouse and lot; with ``as_of`` or ``known_at`` as it was then."""
    items, cursor = inventory.levels(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.get(
    "/inventory/{product_id:int}",
    permission=_READ,
    query=ProductInventoryQuery,
    answer=ProductInventoryOut,
    problems=(404,),
)
def product_inventory(call: Call, product_id: int) -> Any:
    """List one product's stock."""
    get_product(call.session, product_id)
    items, cursor = inventory.levels(call.session, call.query | {"product": product_id})
    return {"product_id": product_id, "items": items, "next_cursor": cursor}


@routes.get("/inventory/stock/check", permission=_READ, query=StockCheckQuery, answer=StockCheckOut, problems=(404,))
def stock_check(call: Call) -> Any:
    """Say what one warehouse has of a product."""
    return queries.stock_check(call.session, **call.query)


@routes.get("/inventory/movements", permission="stock:movement:read", query=MovementQuery, answer=page_of(MovementOut))
def list_movements(call: Call) -> Any:
    """List the ledger's movements: who, why, by which document, from where to where."""
    items, cursor = movements.movements(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.get(
    "/inventory/documents", permission="stock:movement:read", query=DocumentQuery, answer=page_of(StockDocumentOut)
)
def list_documents(call: Call) -> Any:
    """List receipts, adjustments, transfers and counts."""
    items, cursor = listing.list_documents(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.get(
    "/inventory/documents/{document_id:int}",
    permission="stock:movement:read",
    answer=StockDocumentOut,
    problems=(404,),
)
def get_document(call: Call, document_id: int) -> Any:
    """Read one receipt, adjustment, transfer or count again."""
    return _show_document(call, listing.get_document(call.session, document_id))


@routes.get("/inventory/alerts", permission="stock:alert:read", query=AlertQuery, answer=page_of(AlertOut))
def list_alerts(call: Call) -> Any:
    """List low-stock alerts."""
    items, cursor = queries.alerts(call.session, call.query)
    return {"items": items, "next_cursor": cursor}


@routes.post(
    "/inventory/receipts", permission="stock:receipt:post", body=ReceiptIn, answer=StockDocumentOut, status=201
)
def post_receipt(call: Call) -> Any:
    """Take goods in from a vendor."""
    return _show_document(call, documents.post_receipt(call.session, call.body))


@routes.post(
    "/inventory/adjustments",
    permission="stock:adjustment:post",
    body=AdjustmentIn,
    answer=StockDocumentOut,
    status=201,
    problems=(409,),
)
def post_adjustment(call: Call) -> Any:
    """Correct stock, with a reason."""
    return _show_document(call, documents.post_adjustment(call.session, call.body))


@routes.post(
    "/inventory/transfers",
    permission="stock:transfer:post",
    body=TransferIn,
    answer=StockDocumentOut,
    status=201,
    problems=(409,),
)
def post_transfer(call: Call) -> Any:
    """Move goods between warehouses."""
    return _show_document(call, documents.post_transfer(call.session, call.body))


@routes.post(
    "/inventory/counts",
    permission="stock:inventory:set",
    body=CountIn,
    answer=StockDocumentOut,
    status=201,
    problems=(409,),
)
def post_count(call: Call) -> Any:
    """Make on hand what was counted; the document says what was expected too."""
    if call.actor.device is not None:
        # As for a product's inventory: a device may have been offline, and what it knows of stock is old.
        raise PermissionDenied("A device reports sales; it does not set stock.", code="device-cannot-set-stock")
    return _show_document(call, counting.post_count(call.session, call.body))


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


@routes.get("/stock-policies", permission=_MANAGE, answer=page_of(PolicyOut))
def list_policies(call: Call) -> Any:
    """List the rules of the stock policy."""
    return PolicyOut.page(warehouses.list_policies(call.session))


@routes.put("/stock-policies", permission=_MANAGE, body=PolicyIn, answer=PolicyOut)
def set_policy(call: Call) -> Any:
    """Say what happens when stock is short."""
    body = call.body
    row = warehouses.set_policy(call.session, body["policy"], body["product_id"], body["warehouse"], body["channel"])
    return PolicyOut.of(row)


@routes.delete("/stock-policies/{policy_id:int}", permission=_MANAGE, status=204, problems=(404,))
def delete_policy(call: Call, policy_id: int) -> None:
    """Remove a rule of the stock policy."""
    warehouses.delete_policy(call.session, policy_id)


def _show_document(call: Call, document: StockDocument) -> dict[str, Any]:
    return listing.show_documents(call.session, [document])[0]
