"""Bodies, queries and answers of the stock routes."""

from typing import Any

from marshmallow import post_load

from tillhook.http import (
    Amount,
    Answer,
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
    out,
)
from tillhook.ledger.documents import StockCommand
from tillhook.ledger.models import KINDS
from tillhook.ledger.policy import POLICIES
from tillhook.ledger.posting.values import CountLine, StockLine
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
    expiry_date = Day(allow_none=True, load_default=None)

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
        return StockCommand(**data | {"lines": tuple(data["lines"])})


class CountLineIn(Schema):
    """``quantity`` is what was counted; ``expected`` refuses the count when on hand is no longer this."""

    product_id = Key(required=True)
    variant_id = Key(allow_none=True, load_default=None)
    quantity = Quantity(required=True, allow_zero=True)
    unit_cost = Amount(allow_none=True, load_default=None)
    batch_number = Text(min=1, max=80, allow_none=True, load_default=None)
    expiry_date = Day(allow_none=True, load_default=None)
    expected = Quantity(allow_none=True, allow_zero=True, min=-MAX, load_default=None)

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> CountLine:
        return CountLine(**data)


class CountIn(ReceiptIn):
    lines = ListOf(Nested(CountLineIn), required=True, min=1, max=1000)


class ThresholdIn(Schema):
    warehouse = Key(required=True)
    threshold = Quantity(allow_zero=True, allow_none=True, required=True)


class PolicyIn(Schema):
    product_id = Key(allow_none=True, load_default=None)
    warehouse = Key(allow_none=True, load_default=None)
    channel = Text(min=1, max=60, allow_none=True, load_default=None)
    policy = Choice(POLICIES, required=True)


class InventoryQuery(ListQuery):
    warehouse = Key()
    product = Key()
    as_of = Instant()
    known_at = Instant()
    ordering = Ordering("product_name", "on_hand", "last_updated", default="id")


class ProductInventoryQuery(ListQuery):
    warehouse = Key()
    ordering = Ordering("on_hand", "last_updated", default="id")


class StockCheckQuery(QuerySchema):
    product_id = Key(required=True)
    variant_id = Key(load_default=None)
    warehouse_id = Key(required=True)


class MovementQuery(ListQuery):
    class Meta(ListQuery.Meta):
        # Nothing of a movement is text.
        exclude = ("search",)

    product = Key()
    variant = Key()
    warehouse = Key()
    channel = Text(min=1, max=60)
    batch = Text(min=1, max=80)
    person = Key()
    document = Text(min=1, max=60)
    document_type = Text(min=1, max=60)
    document_id = Key()
    date_from = Instant()
    date_to = Instant()
    ordering = Ordering("recorded_at", "occurred_at", default="-occurred_at")


class DocumentQuery(ListQuery):
    """``reason`` is looked for in the reason, ``search`` in the number too.

    ``date_from`` and later, before ``date_to``, is when it happened.
    """

    kind = Choice(KINDS)
    warehouse = Key()
    person = Key()
    reason = Text(min=1, max=200)
    product = Key()
    batch = Text(min=1, max=80)
    number = Text(min=1, max=60)
    date_from = Instant()
    date_to = Instant()
    ordering = Ordering("recorded_at", "occurred_at", default="-occurred_at")


class AlertQuery(ListQuery):
    status = Choice(["open", "resolved"])
    warehouse = Key()
    product = Key()
    ordering = Ordering("created_at")


class WarehouseOut(Answer):
    id = out.Key()
    name = out.Text()
    code = out.Text(allow_none=True)
    address = out.Text()
    is_active = out.Flag()


class PolicyOut(Answer):
    """A rule of the stock policy; null means any."""

    id = out.Key()
    product_id = out.Key(allow_none=True)
    warehouse = out.Key("warehouse_id", allow_none=True)
    channel = out.Text(allow_none=True)
    policy = out.Text(choices=POLICIES)


class LevelOut(Answer):
    """What a warehouse has of one variant and lot; ``reserved``, ``available`` and ``expired`` only as of now.

    What has expired is on hand, and not available.
    """

    product_id = out.Key()
    product_name = out.Text()
    variant_id = out.Key(lambda row: None if row.is_default else row.variant_id, allow_none=True)
    variant_details = out.Text(lambda row: None if row.is_default else row.variant_details, allow_none=True)
    warehouse_id = out.Key("location_id")
    warehouse_name = out.Text()
    batch_number = out.Text(allow_none=True)
    expiry_date = out.Date(allow_none=True)
    on_hand = out.Qty()
    reserved = out.Qty(optional=True)
    available = out.Qty(optional=True)
    expired = out.Qty(optional=True)
    last_updated = out.Moment("updated_at")


class ProductInventoryOut(Schema):
    """One page of a product's levels."""

    product_id = out.Key()
    items = out.Many(LevelOut)
    next_cursor = out.Text(allow_none=True)
    count = out.Count(optional=True)


class StockCheckOut(Answer):
    """What one warehouse has of a product; quantities are null for untracked products.

    ``current_stock`` is what is on hand, ``expired`` what of it has expired and so is not ``available``. Whether it is
    low is said of what is on hand, as alerts say it.
    """

    product_id = out.Key()
    variant_id = out.Key(allow_none=True)
    warehouse_id = out.Key()
    warehouse_name = out.Text()
    current_stock = out.Qty(allow_none=True)
    available = out.Qty(allow_none=True)
    expired = out.Qty(allow_none=True)
    low_stock_threshold = out.Qty(allow_none=True)
    is_low_stock = out.Flag()
    last_updated = out.Moment(allow_none=True)


class DocumentRefOut(Answer):
    """What moved goods; number and link are null where its owner says none."""

    type = out.Text()
    id = out.Key()
    number = out.Text(allow_none=True)
    link = out.Text(allow_none=True)


class MovementOut(Answer):
    """A quantity that went from one location to another: who moved it, why, and by which document.

    Virtual locations have negative keys.
    """

    id = out.Key()
    product_id = out.Key()
    product_name = out.Text()
    variant_id = out.Key(allow_none=True)
    variant_details = out.Text(allow_none=True)
    lot_id = out.Key(allow_none=True)
    batch_number = out.Text(allow_none=True)
    expiry_date = out.Date(allow_none=True)
    quantity = out.Qty()
    source = out.Key("source_id")
    source_name = out.Text()
    destination = out.Key("destination_id")
    destination_name = out.Text()
    occurred_at = out.Moment()
    recorded_at = out.Moment()
    channel = out.Text(allow_none=True)
    person = out.Key(allow_none=True)
    person_name = out.Text()
    reason = out.Text()
    document = out.One(DocumentRefOut)
    document_type = out.Text()
    document_id = out.Key()
    document_line = out.Count()
    effect = out.Text()
    reverses = out.Key("reverses_id", allow_none=True)
    unit_cost = out.Money(allow_none=True, optional=True)


class DocumentLineOut(Answer):
    """What a document did to one variant and lot; a line that was served from several lots is there for each.

    ``quantity`` is signed in an adjustment, and what was counted in a count, which alone has the last three.
    """

    line = out.Count()
    product_id = out.Key()
    product_name = out.Text()
    variant_id = out.Key(allow_none=True)
    variant_details = out.Text(allow_none=True)
    lot_id = out.Key(allow_none=True)
    batch_number = out.Text(allow_none=True)
    expiry_date = out.Date(allow_none=True)
    quantity = out.Qty()
    unit_cost = out.Money(allow_none=True, optional=True)
    expected = out.Qty(allow_none=True)
    counted = out.Qty(allow_none=True)
    difference = out.Qty(allow_none=True)


class StockDocumentOut(Answer):
    """A receipt, an adjustment, a transfer or a count, with who, why and what it did.

    In a list ``lines`` are those of the first hundred lines of each; the document itself has all of them.
    """

    id = out.Key()
    kind = out.Text(choices=KINDS)
    number = out.Text()
    link = out.Text()
    person = out.Key("actor_id", allow_none=True)
    person_name = out.Text()
    reason = out.Text()
    warehouse = out.Key("warehouse_id")
    warehouse_name = out.Text()
    to_warehouse = out.Key("to_warehouse_id", allow_none=True)
    to_warehouse_name = out.Text()
    occurred_at = out.Moment()
    recorded_at = out.Moment()
    lines = out.Many(DocumentLineOut)


class AlertOut(Answer):
    """A product that is, or was, low at a warehouse: ``current_stock`` is what is on hand now.

    A person is null where nobody did it; the documents are null where it was no movement of goods.
    """

    id = out.Key()
    product = out.Key("product_id")
    product_name = out.Text()
    variant = out.Key(allow_none=True)
    warehouse = out.Key("warehouse_id")
    warehouse_name = out.Text()
    current_stock = out.Qty()
    stock_at_opening = out.Qty("current_stock")
    threshold = out.Qty()
    status = out.Text(choices=("open", "resolved"))
    created_at = out.Moment()
    opened_by_document = out.One(DocumentRefOut, allow_none=True)
    resolved_at = out.Moment(allow_none=True)
    resolved_by = out.Key(allow_none=True)
    resolved_by_name = out.Text()
    resolved_by_document = out.One(DocumentRefOut, allow_none=True)
