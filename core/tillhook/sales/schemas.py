"""Bodies, queries and answers of the sales routes."""

import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from marshmallow import ValidationError, post_load, validates_schema

from tillhook.catalogue.schemas import InlineProductIn
from tillhook.http import (
    Amount,
    Attributes,
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
    Whole,
    at_most_one,
    exactly_one,
    given,
)
from tillhook.http.schemas import TIME
from tillhook.quantities import MAX, PLACES, ZERO, parse, round_half_up
from tillhook.sales.answers import KINDS, PERIODS
from tillhook.sales.commands import (
    MAX_NUMBER,
    NO_DEVICE,
    ReturnCommand,
    ReturnItem,
    SaleCommand,
    SaleItem,
    SaleReturn,
    SentTotals,
    Tender,
)

#: The most sales that one ``/sales/sync`` takes.
MAX_SYNC = 5_000
#: The most lines of one document; a wholesaler's invoice may well have more than 500.
MAX_LINES = 1_000
_NO_TOTALS = SentTotals()
#: Digits after the point of what binary fractions come to, 5.551115123125783e-17 for instance.
_FINEST = 40
#: Every day that there is, of the years 1 to 9999.
_DAY = (
    r"((?!0000)[0-9]{4}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    r"|([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)-02-29)"
)
_CLIENT_TIME = re.compile(f"{_DAY}T{TIME}", re.ASCII)
_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


class ExternalId(Text):
    """A UUID, in lower case."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max=36, pattern=_UUID, **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        return str(uuid.UUID(super()._deserialize(value, attr, data, **kwargs)))


class ClientInstant(Instant):
    """A moment by the client's clock, of any year: the clock may be wrong, and the sale has happened all the same."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> datetime:
        if not isinstance(value, str) or not _CLIENT_TIME.fullmatch(value):
            raise ValidationError("Not a time with its offset, such as 2026-01-31T14:30:00Z.")
        moment = datetime.fromisoformat(value)
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            # Within a day of the calendar's ends; what the clock said is meaningless either way.
            return moment.replace(tzinfo=UTC)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_CLIENT_TIME.pattern}$", "examples": ["2026-01-31T14:30:00Z"]}


class SentTotal(Amount):
    """An amount by the client's own reckoning, who may reckon in binary fractions; negative when more comes back."""

    def __init__(self) -> None:
        super().__init__(min=-MAX, allow_none=True, load_default=None)

    def _deserialize(self, value: Any, attr: Any, data: Any, **options: Any) -> Decimal:
        if isinstance(value, Decimal):
            with suppress(ValueError):
                value = round_half_up(parse(value, _FINEST), PLACES)
        return super()._deserialize(value, attr, data, **options)


class SaleItemIn(Schema):
    """A line of a sale; ``product`` is another name of ``product_id``."""

    together: ClassVar[tuple[dict[str, Any], ...]] = (
        exactly_one("product_id", "product", "product_data"),
        at_most_one("product_data", "variant_id"),
    )

    product_id = Key(load_default=None)
    product = Key(allow_none=True, load_default=None)
    product_data = Nested(InlineProductIn, load_default=None)
    variant_id = Key(allow_none=True, load_default=None)
    quantity = Quantity(required=True)
    unit_price = Amount(allow_none=True, load_default=None)
    discount_per_item = Amount(load_default=ZERO)
    batch_number = Text(min=1, max=80, allow_none=True, load_default=None)
    expiry_date = Day(allow_none=True, load_default=None)

    @validates_schema
    def one_product(self, data: Mapping[str, Any], **_: Any) -> None:
        named = data["product_id"] or data["product"]
        if (named is None) == (data["product_data"] is None):
            raise ValidationError("Give either product_id or product_data.", "product_id")
        if data["product"] not in (None, named):
            raise ValidationError("Not the same as product_id.", "product")
        if data["product_data"] is not None and data["variant_id"] is not None:
            raise ValidationError("Not together with product_data.", "variant_id")

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> SaleItem:
        product = data.pop("product")
        return SaleItem(**data | {"product_id": data["product_id"] or product})


class TenderIn(Schema):
    method = Text(min=1, max=40, required=True)
    amount = Amount(required=True)
    reference = Text(max=120, load_default="")

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> Tender:
        return Tender(**data)


class ReturnLineIn(Schema):
    """A line of a sale by its key, or by its position among the sale's items, from 0."""

    together = (exactly_one("line_id", "position"),)

    line_id = Key(load_default=None)
    position = Whole(load_default=None, max=MAX_LINES - 1)
    quantity = Quantity(required=True)
    restock = Flag(load_default=True)
    batch_number = Text(min=1, max=80, allow_none=True, load_default=None)

    @validates_schema
    def one_line(self, data: Mapping[str, Any], **_: Any) -> None:
        if (data["line_id"] is None) == (data["position"] is None):
            raise ValidationError("Give either line_id or position.", "line_id")

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> ReturnItem:
        return ReturnItem(**data)


class SaleReturnIn(Schema):
    """What comes back, of the sale that its key or its ``external_id`` names."""

    together = (exactly_one("sale_id", "external_id"),)

    sale_id = Key(load_default=None)
    external_id = ExternalId(load_default=None)
    lines = ListOf(Nested(ReturnLineIn), required=True, min=1, max=MAX_LINES)
    reason = Text(max=500, load_default="")

    @validates_schema
    def one_sale(self, data: Mapping[str, Any], **_: Any) -> None:
        if (data["sale_id"] is None) == (data["external_id"] is None):
            raise ValidationError("Give either sale_id or external_id.", "sale_id")

    @post_load
    def command(self, data: dict[str, Any], **_: Any) -> SaleReturn:
        return SaleReturn(**data | {"lines": tuple(data["lines"])})


class SaleIn(Schema):
    """A sale; with ``returns`` an exchange, and with ``returns`` and no ``items`` a return."""

    together = (
        {"anyOf": [given("items", without=("returns", "refund", "refunds")), given("returns")]},
        at_most_one("refund", "refunds"),
    )

    external_id = ExternalId(allow_none=True, load_default=None)
    channel = Text(min=1, max=40, load_default="")
    source_device = Text(min=1, max=128, load_default=NO_DEVICE)
    device_number = Whole(min=1, max=MAX_NUMBER, allow_none=True, load_default=None)
    client_timestamp = ClientInstant(allow_none=True, load_default=None)
    seller_id = Key(allow_none=True, load_default=None)
    warehouse = Key(allow_none=True, load_default=None)
    customer_id = Key(allow_none=True, load_default=None)
    customer_name = Text(max=200, load_default="")
    customer_phone = Text(max=40, load_default="")
    customer_email = Text(max=254, load_default="")
    payment_method = Text(min=1, max=40, allow_none=True, load_default=None)
    payment_reference = Text(max=120, load_default="")
    payments = ListOf(Nested(TenderIn), max=20, allow_none=True, load_default=None)
    discount_amount = Amount(load_default=ZERO)
    subtotal = SentTotal()
    tax_amount = SentTotal()
    total_amount = SentTotal()
    notes = Text(max=2000, lines=True, load_default="")
    items = ListOf(Nested(SaleItemIn), load_default=list, max=MAX_LINES)
    returns = Nested(SaleReturnIn, allow_none=True, load_default=None)
    refund = Text(min=1, max=40, allow_none=True, load_default=None)
    refunds = ListOf(Nested(TenderIn), max=20, allow_none=True, load_default=None)

    @validates_schema
    def something(self, data: Mapping[str, Any], **_: Any) -> None:
        returns = data["returns"]
        if returns is None:
            if not data["items"]:
                raise ValidationError("Required, unless goods come back.", "items")
            if data["refund"] or data["refunds"]:
                raise ValidationError("Nothing comes back.", "refunds" if data["refunds"] else "refund")
            return
        if returns.external_id is not None and returns.external_id == data["external_id"]:
            raise ValidationError({"returns": {"external_id": ["The document cannot take itself back."]}})
        _one_refund(data)

    @post_load(pass_original=True)
    def command(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> SaleCommand:
        method, reference = data.pop("payment_method"), data.pop("payment_reference")
        # ``payments`` goes before ``payment_method``, which a client may send along as the main one.
        payments = tuple(data.pop("payments") or ())
        if not payments and (method or reference):
            payments = (Tender(method=method or "cash", reference=reference),)
        data |= {"items": tuple(data["items"]), "refunds": tuple(data["refunds"] or ())}
        totals = SentTotals(data.pop("subtotal"), data.pop("tax_amount"), data.pop("total_amount"))
        sent = None if totals == _NO_TOTALS else totals
        return SaleCommand(**data, payments=payments, sent_totals=sent, payload=original)


class AnySale(Attributes):
    """A sale in a batch: looked at one by one, so that a bad one does not refuse the others."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> Any:
        return value


class SyncIn(Schema):
    sales = ListOf(AnySale(allow_none=True), required=True, min=1, max=MAX_SYNC)


class CancelIn(Schema):
    reason = Text(min=1, max=500, required=True)
    source_device = Text(min=1, max=128, load_default=NO_DEVICE)
    refund = Text(min=1, max=40, allow_none=True, load_default=None)


class ReturnIn(Schema):
    together = (at_most_one("refund", "refunds"),)

    external_id = ExternalId(allow_none=True, load_default=None)
    source_device = Text(min=1, max=128, load_default=NO_DEVICE)
    client_timestamp = ClientInstant(allow_none=True, load_default=None)
    lines = ListOf(Nested(ReturnLineIn), required=True, min=1, max=MAX_LINES)
    reason = Text(max=500, load_default="")
    refund = Text(min=1, max=40, allow_none=True, load_default=None)
    refunds = ListOf(Nested(TenderIn), max=20, allow_none=True, load_default=None)

    @validates_schema
    def one_way_back(self, data: Mapping[str, Any], **_: Any) -> None:
        _one_refund(data)

    @post_load(pass_original=True)
    def command(self, data: dict[str, Any], original: dict[str, Any], **_: Any) -> ReturnCommand:
        data |= {"lines": tuple(data["lines"]), "refunds": tuple(data["refunds"] or ())}
        return ReturnCommand(**data, payload=original)


def _one_refund(data: Mapping[str, Any]) -> None:
    if data["refund"] and data["refunds"]:
        raise ValidationError("Not together with refunds.", "refund")


class Kinds(Text):
    """Kinds of documents with commas between, or ``all``."""

    def __init__(self, **options: Any) -> None:
        kind = f"({'|'.join(KINDS)})"
        super().__init__(max=60, pattern=f"all|{kind}(,{kind})*", **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> Any:
        said = frozenset(KINDS if value == "all" else str(value).split(","))
        if not said <= frozenset(KINDS):
            raise ValidationError(f"Must be some of {', '.join(KINDS)} with commas between, or all.")
        return said


class SaleQuery(ListQuery):
    #: Without it what was sold, and with ``origin`` whatever takes that back.
    kind = Kinds()
    origin = Key()
    warehouse = Key()
    channel = Text(min=1, max=40)
    seller = Key()
    product = Key()
    batch = Text(min=1, max=80)
    device = Text(min=1, max=128)
    payment_method = Text(min=1, max=40)
    is_cancelled = Flag()
    customer = Key()
    date_from = Day()
    date_to = Day()
    updated_after = Instant()
    #: The default depends on the filters.
    ordering = Ordering("created_at", "updated_at", "total_amount", "sale_date", default=None)


class AnalyticsQuery(QuerySchema):
    product_id = Key(required=True)
    start_date = Day()
    end_date = Day()
    period = Choice(PERIODS, load_default="daily")
