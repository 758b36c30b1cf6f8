"""Bodies, queries and answers of the seller's views."""

from marshmallow import fields

from tillhook.http import Day, Flag, Key, QuerySchema, Schema, Text, Whole

#: Rows of one answer of the inventory, unless more are asked for, and at most: 120 KB and 2.4 MB.
ROWS, MAX_ROWS = 500, 10_000


class InventoryQuery(QuerySchema):
    warehouse = Key()
    low_stock = Flag()
    limit = Whole(min=1, max=MAX_ROWS, load_default=ROWS)
    cursor = Text(max=100, min=1, load_default=None)


class InventoryRowOut(Schema):
    """What a warehouse has of one variant and lot: ``quantity`` on hand, and what of it is ``available`` or expired."""

    product_id = fields.Integer()
    product_name = fields.String()
    variant_id = fields.Integer(allow_none=True)
    variant_details = fields.String(allow_none=True)
    quantity = fields.String()
    available = fields.String()
    expired = fields.String()
    low_stock_threshold = fields.String()
    is_low_stock = fields.Boolean()
    batch_number = fields.String(allow_none=True)
    expiry_date = fields.String(allow_none=True)
    warehouse_id = fields.Integer()
    warehouse_name = fields.String()


class DashboardQuery(QuerySchema):
    warehouse = Key()


class SoldOut(Schema):
    """How many sales, and what they came to."""

    sales_count = fields.Integer()
    sales_amount = fields.String()


class DashboardOut(Schema):
    """Today and this week, by the business's days; a week begins on Monday."""

    today = fields.Nested(SoldOut)
    this_week = fields.Nested(SoldOut)
    low_stock_alerts = fields.Integer()
    last_updated = fields.String()


class SalesReportIn(Schema):
    date_from = Day(required=True)
    date_to = Day(required=True)
    warehouse = Key(allow_none=True, load_default=None)


class PeriodOut(Schema):
    """The days that were asked for, both included."""

    date_from = fields.String()
    date_to = fields.String()


class SummaryOut(Schema):
    """``cash_rounding`` is what was paid more, or less, than the total because cash has no smaller coins."""

    total_sales = fields.String()
    total_transactions = fields.Integer()
    total_items_sold = fields.String()
    average_transaction = fields.String()
    cash_rounding = fields.String()


class TenderOut(Schema):
    payment_method = fields.String()
    count = fields.Integer()
    amount = fields.String()


class TopProductOut(Schema):
    product_id = fields.Integer()
    product_name = fields.String()
    total_quantity = fields.String()
    total_revenue = fields.String()


class SalesOfDayOut(Schema):
    day = fields.String()
    count = fields.Integer()
    amount = fields.String()


class SalesReportOut(Schema):
    """Sales at the counter over a range of days, returns and cancellations taken off."""

    period = fields.Nested(PeriodOut)
    summary = fields.Nested(SummaryOut)
    payment_breakdown = fields.List(fields.Nested(TenderOut))
    top_products = fields.List(fields.Nested(TopProductOut))
    daily_sales = fields.List(fields.Nested(SalesOfDayOut))
