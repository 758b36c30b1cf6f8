"""Bodies, queries and answers of the stock routes."""

from dataclasses import replace
from typing import Any

from marshmallow import post_load

from tillhook.http import (
    Amount,
    Choice,
    Day,
    Flag,
    Instant,
    Key,
    ListOf,
    ListQuery,
    Nested,
    Ordering,
    Quantity,
    QuerySchema,
    Schema,
    Text,
)
from tillhook.ledger.documents import StockCommand
from tillhook.ledger.posting.values import StockLine
from tillhook.quantities import MAX


class WarehouseIn(Schema):
    name = Text(min=1, max=120, required=True)
    code = Text(min=1, max=20, allow_none=True, load_default=None)
    address = Text(max=500, lines=True, load_default="")


class WarehousePatch(Schema):
    name = Text(min=1, max=120)
    code = Text(min=1, max=20, allow_none=True)
    address = Text(max=500, lines=True)
    is_active = Flag()


class ReceiptLineIn(Schema):
    product_id = Key(required=True)
    variant_id = Key(allow_none=True, load_default=None)
    quantity = Quantity(required=True)
    unit_cost = Amount(allow_none=True, load_default=None)
    batch_number = Text(min=1, max=80, allow_none=True, load_default=None)
    expiry_date = Day(allow_none=True, load_default=None)

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> StockLine:
        return StockLine(**data)


class AdjustmentLineIn(ReceiptLineIn):
    quantity = Quantity(required=True, min=-MAX)


class TransferLineIn(Schema):
    product_id = Key(required=True)
    variant_id = Key(allow_none=True, load_default=None)
    quantity = Quantity(required=True)
    batch_number = Text(min=1, max=80, allow_none=True, load_default=None)

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> StockLine:
        return StockLine(**data)


class ReceiptIn(Schema):
    warehouse = Key(required=True)
    occurred_at = Instant(allow_none=True, load_default=None)
    reason = Text(max=500, load_default="")
    lines = ListOf(Nested(ReceiptLineIn), required=True, min=1, max=1000)

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> StockCommand:
        return StockCommand(**data | {"lines": tuple(data["lines"])})


class AdjustmentIn(ReceiptIn):
    reason = Text(min=1, max=500, required=True)
    lines = ListOf(Nested(AdjustmentLineIn), required=True, min=1, max=1000)


class TransferIn(Schema):
    from_warehouse = Key(required=True)
    to_warehouse = Key(required=True)
    occurred_at = Instant(allow_none=True, load_default=None)
    reason = Text(max=500, load_default="")
    lines = ListOf(Nested(TransferLineIn), required=True, min=1, max=1000)

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> StockCommand:
        data["warehouse"] = data.pop("from_warehouse")
        return replace(StockCommand(**data | {"lines": ()}), lines=tuple(data["lines"]))


class ThresholdIn(Schema):
    warehouse = Key(required=True)
    threshold = Quantity(allow_zero=True, allow_none=True, required=True)


class PolicyIn(Schema):
    product_id = Key(allow_none=True, load_default=None)
    warehouse = Key(allow_none=True, load_default=None)
    channel = Text(min=1, max=60, allow_none=True, load_default=None)
    policy = Choice(["block", "allow", "absorb"], required=True)


class LevelQuery(ListQuery):
    warehouse = Key()
    product = Key()
    ordering = Ordering(default="id")


class StockCheckQuery(QuerySchema):
    product_id = Key(required=True)
    variant_id = Key(load_default=None)
    warehouse_id = Key(required=True)


class MovementQuery(ListQuery):
    product = Key()
    variant = Key()
    warehouse = Key()
    channel = Text(min=1, max=60)
    document_type = Text(min=1, max=60)
    document_id = Key()
    date_from = Instant()
    date_to = Instant()
    ordering = Ordering("recorded_at", "occurred_at")


class AlertQuery(ListQuery):
    status = Choice(["open", "resolved"])
    warehouse = Key()
    product = Key()
    ordering = Ordering("created_at")


class StockCheckOut(Schema):
    product_id = Key()
    variant_id = Key(allow_none=True)
    warehouse_id = Key()
    current_stock = Text(allow_none=True)
    available = Text(allow_none=True)
    low_stock_threshold = Text(allow_none=True)
    is_low_stock = Flag()
    last_updated = Text(allow_none=True)


class WarehouseOut(Schema):
    id = Key()
    name = Text()
    code = Text(allow_none=True)
    address = Text(max=500, lines=True)
    is_active = Flag()
