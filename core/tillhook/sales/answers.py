"""Answers about documents of the journal, whose fields are written here once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tillhook.http import Answer, out

#: A row by column name: amounts and quantities in units of 1/10,000, instants as the driver gives them or as text.
Row = Mapping[Any, Any]


#: By which a product's sales are added up.
PERIODS = ("daily", "weekly", "monthly")


class SaleItemOut(Answer):
    """A line; ``variant`` is null for a product that is sold without naming one."""

    units = True
    id = out.Key()
    product = out.Key("product_id")
    product_name = out.Text()
    variant = out.Key("variant_id", allow_none=True)
    variant_details = out.Text()
    quantity = out.Qty()
    unit_price = out.Money()
    discount_per_item = out.Money()
    discount_share = out.Money()
    tax_rate = out.Qty()
    tax_inclusive = out.Flag()
    tax_amount = out.Money()
    total_price = out.Money()
    batch_number = out.Text(allow_none=True)
    expiry_date = out.Date(allow_none=True)
    returned_quantity = out.Qty()
    origin_line = out.Key("origin_line_id", allow_none=True)
    restock = out.Flag(lambda line: None if line["restock"] is None else line["restock"] == "restock", allow_none=True)
    flags = out.Many(out.Text(), lambda line: line["flags"] or ())


class PaymentOut(Answer):
    """A tender; ``amount`` is what was handed over, ``change`` what was given back."""

    units = True
    method = out.Text()
    amount = out.Money()
    change = out.Money()
    reference = out.Text()


class SaleOut(Answer):
    """A document of the journal; ``origin`` is the sale that a return, an exchange or a cancellation takes back."""

    units = True
    id = out.Key()
    kind = out.Text(choices=("sale", "return", "exchange", "cancellation"))
    origin = out.Key("origin_id", allow_none=True)
    external_id = out.Text(allow_none=True)
    sale_number = out.Text()
    channel = out.Text()
    seller = out.Key("seller_id", allow_none=True)
    seller_name = out.Text()
    warehouse = out.Key("warehouse_id")
    warehouse_name = out.Text()
    customer_id = out.Key(allow_none=True)
    customer_name = out.Text()
    customer_phone = out.Text()
    customer_email = out.Text()
    currency = out.Text()
    subtotal = out.Money()
    tax_amount = out.Money()
    discount_amount = out.Money()
    total_amount = out.Money()
    cash_rounding = out.Money()
    amount_due = out.Money(lambda sale: sale["total_amount"] + sale["cash_rounding"])
    payment_method = out.Text(allow_none=True)
    payment_reference = out.Text()
    payments = out.Many(PaymentOut)
    change_due = out.Money()
    source_device = out.Text()
    device_number = out.Count(allow_none=True)
    is_offline = out.Flag()
    clock_suspect = out.Flag()
    client_timestamp = out.Moment(allow_none=True)
    sale_date = out.Moment()
    created_at = out.Moment()
    synced_at = out.Moment(allow_none=True)
    notes = out.Text()
    reason = out.Text()
    is_cancelled = out.Flag()
    cancelled_reason = out.Text(allow_none=True)
    items = out.Many(SaleItemOut)


def show_sale(
    row: Row,
    lines: Iterable[Row],
    payments: Sequence[Row],
    *,
    warehouse_name: str,
    default_variants: frozenset[int] | set[int],
    cancelled_reason: str | None = None,
    returned: Mapping[int, int] | None = None,
) -> dict[str, Any]:
    """Return the answer for one document.

    Args:
        default_variants: Variants that are not shown, because they stand for the product itself.
        cancelled_reason: ``None`` for a sale that stands.
        returned: Returned units by line key.
    """
    back = returned or {}
    methods = {payment["method"] for payment in payments}
    return SaleOut.of(
        row,
        warehouse_name=warehouse_name,
        payment_method="split" if len(methods) > 1 else next(iter(methods), None),
        payment_reference=payments[0]["reference"] if len(payments) == 1 else "",
        payments=[PaymentOut.of(payment) for payment in payments],
        is_cancelled=cancelled_reason is not None,
        cancelled_reason=cancelled_reason,
        items=[
            SaleItemOut.of(
                line,
                variant=None if line["variant_id"] in default_variants else line["variant_id"],
                returned_quantity=back.get(line["id"], 0),
            )
            for line in lines
        ],
    )


class QuoteItemOut(Answer):
    """A line of a quote; ``product`` is null for one that would be made with the sale."""

    product = out.Key("product_id", allow_none=True)
    product_name = out.Text()
    variant = out.Key("variant_id", allow_none=True)
    quantity = out.Qty()
    unit_price = out.Money()
    discount_per_item = out.Money()
    discount_share = out.Money()
    tax_rate = out.Qty()
    tax_inclusive = out.Flag()
    tax_amount = out.Money()
    total_price = out.Money()
    origin_line = out.Key("origin_line_id", allow_none=True)
    flags = out.Many(out.Text())


class QuotePaymentOut(PaymentOut):
    """A tender, as :class:`PaymentOut` says it."""

    units = False


class ShortLineOut(Answer):
    """A line that wants more than is available; ``line`` is its position among the items, from 0.

    ``expired`` is what is there beside it, and sold only by who may and names the lot.
    """

    line = out.Count()
    product = out.Key("product_id")
    variant = out.Key("variant_id", allow_none=True)
    product_name = out.Text()
    requested = out.Qty()
    available = out.Qty()
    expired = out.Qty()


class QuoteOut(Answer):
    """What a sale would come to; ``amount_open`` is what its tenders leave to pay."""

    kind = out.Text(choices=("sale", "return", "exchange"))
    channel = out.Text()
    warehouse = out.Key("warehouse_id")
    customer_id = out.Key(allow_none=True)
    currency = out.Text()
    subtotal = out.Money()
    tax_amount = out.Money()
    discount_amount = out.Money()
    total_amount = out.Money()
    cash_rounding = out.Money()
    amount_due = out.Money()
    amount_open = out.Money()
    change_due = out.Money()
    payments = out.Many(QuotePaymentOut)
    items = out.Many(QuoteItemOut)
    short_lines = out.Many(ShortLineOut)


class SoldProductOut(Answer):
    """A product, as an analysis of its sales names it."""

    id = out.Key()
    name = out.Text()
    sku = out.Text()


class PeriodOut(Answer):
    """What was sold in one period, named by its first day."""

    period = out.Date()
    quantity = out.Qty()
    revenue = out.Money()


class ProductAnalyticsOut(Answer):
    """How a product sells; what came back is taken off."""

    product = out.One(SoldProductOut)
    period = out.Text(choices=PERIODS)
    start_date = out.Date()
    end_date = out.Date()
    total_quantity_sold = out.Qty()
    total_revenue = out.Money()
    average_unit_price = out.Money()
    period_breakdown = out.Many(PeriodOut)
