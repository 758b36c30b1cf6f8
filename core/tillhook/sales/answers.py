"""Answers about documents of the journal, whose fields are written here once."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tillhook.http import Answer, out

#: A row by column name: amounts and quantities in units of 1/10,000, instants as the driver gives them or as text.
Row = Mapping[Any, Any]


NONE: Mapping[Any, Any] = MappingProxyType({})
_SEVERAL: Row = MappingProxyType({"batch_number": None, "expiry_date": None})

#: Of documents.
KINDS = ("sale", "return", "exchange", "cancellation")
#: By which a product's sales are added up.
PERIODS = ("daily", "weekly", "monthly")


class LotOut(Answer):
    """What of a line was taken from one lot, or came back to it; what of that came back later."""

    units = True
    batch_number = out.Text()
    expiry_date = out.Date(allow_none=True)
    quantity = out.Qty()
    returned_quantity = out.Qty()


class SaleItemOut(Answer):
    """A line; ``variant`` is null for a product that is sold without naming one.

    ``batch_number`` and ``expiry_date`` are those of the one lot, and null when it was taken from several.
    """

    units = True
    id = out.Key()
    product = out.Key("product_id")
    product_name = out.Text()
    variant = out.Key("variant_id", allow_none=True)
    variant_details = out.Text(allow_none=True)
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
    lots = out.Many(LotOut)
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


class ApproverOut(Answer):
    """Who overrode for a document, and the permissions that were lent."""

    id = out.Key()
    name = out.Text()
    permissions = out.Many(out.Text())


class WarningOut(Answer):
    """Something that was sent, at ``field`` of the body, and is not in the sale; ``value`` is it."""

    field = out.Text()
    detail = out.Text()
    value = out.Json(allow_none=True)


class SaleOut(Answer):
    """A document of the journal; ``origin`` is the sale that a return, an exchange or a cancellation takes back.

    ``updated_at`` is when it was recorded, or when something was last taken back of it. ``flags`` are those of its
    items, and ``clock-suspect``. ``approved_by`` is shown with a single document, where somebody overrode for it.
    """

    units = True
    audited_as = "sale"
    id = out.Key()
    kind = out.Text(choices=KINDS)
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
    synced_at = out.Moment()
    updated_at = out.Moment()
    notes = out.Text()
    reason = out.Text()
    is_cancelled = out.Flag()
    cancelled_reason = out.Text()
    flags = out.Many(out.Text())
    warnings = out.Many(WarningOut)
    items = out.Many(SaleItemOut)
    approved_by = out.One(ApproverOut, optional=True)


class CancelledOut(SaleOut):
    """A sale that was just cancelled; ``refunds`` are the payments by which its money went back, negative."""

    refunds = out.Many(PaymentOut)


def show_sale(
    row: Row,
    lines: Sequence[Row],
    payments: Sequence[Row],
    *,
    warehouse_name: str,
    default_variants: frozenset[int] | set[int],
    lots: Mapping[int, Sequence[Row]] = NONE,
    taken_back: Sequence[Row] = (),
    returned: Mapping[int, int] = NONE,
    warnings: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the answer for one document.

    Args:
        default_variants: Variants that are not shown, because they stand for the product itself.
        lots: By the number of the line, as :class:`LotOut` shows them.
        taken_back: Kind, reason and time of recording of the documents that took something of it back.
        returned: Returned units by line key.
        warnings: As ``sale_sent`` has them.
    """
    methods = {payment["method"] for payment in payments}
    cancelled = [each["reason"] for each in taken_back if each["kind"] == "cancellation"]
    flags = dict.fromkeys(flag for line in lines for flag in line["flags"] or ())
    if row["clock_suspect"]:
        flags["clock-suspect"] = None
    return SaleOut.of(
        row,
        warehouse_name=warehouse_name,
        payment_method="split" if len(methods) > 1 else next(iter(methods), None),
        payment_reference=payments[0]["reference"] if len(payments) == 1 else "",
        payments=[PaymentOut.of(payment) for payment in payments],
        updated_at=max((each["created_at"] for each in taken_back), default=row["created_at"]),
        is_cancelled=bool(cancelled),
        cancelled_reason=cancelled[0] if cancelled else "",
        flags=list(flags),
        warnings=[WarningOut.of(warning) for warning in warnings],
        items=[
            _show_line(
                line,
                lots.get(line["line_number"], ()),
                is_variant=line["variant_id"] not in default_variants,
                returned=returned.get(line["id"], 0),
            )
            for line in lines
        ],
    )


def _show_line(line: Row, lots: Sequence[Row], *, is_variant: bool, returned: int) -> dict[str, Any]:
    # Without a lot, what was asked for.
    lot = line if not lots else lots[0] if len(lots) == 1 else _SEVERAL
    return SaleItemOut.of(
        line,
        variant=line["variant_id"] if is_variant else None,
        variant_details=line["variant_details"] if is_variant else None,
        batch_number=lot["batch_number"],
        # A lot without a day takes any that is sent.
        expiry_date=lot["expiry_date"] or (line["expiry_date"] if len(lots) == 1 else None),
        lots=[LotOut.of(lot) for lot in lots],
        returned_quantity=returned,
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
