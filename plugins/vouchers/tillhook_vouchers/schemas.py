"""Bodies, queries and answers of vouchers."""

from tillhook.http import (
    Amount,
    Answer,
    Choice,
    Day,
    Key,
    ListQuery,
    Ordering,
    QuerySchema,
    Schema,
    Text,
    out,
)
from tillhook_vouchers.models import ENTRY_KINDS, GIFT_CARD, KINDS, STORE_CREDIT

STATUSES = ("active", "used", "expired", "voided", "overdrawn")


class VoucherIn(Schema):
    amount = Amount(allow_zero=False, required=True)
    kind = Choice([GIFT_CARD, STORE_CREDIT], load_default=STORE_CREDIT)
    customer_id = Key(allow_none=True, load_default=None)
    expires_on = Day(allow_none=True, load_default=None)
    code = Text(min=1, max=40, allow_none=True, load_default=None)
    reason = Text(min=1, max=500, required=True)


class ExtendIn(Schema):
    expires_on = Day(allow_none=True, required=True)
    reason = Text(min=1, max=500, required=True)


class VoidIn(Schema):
    reason = Text(min=1, max=500, required=True)


class VoucherQuery(ListQuery):
    code = Text(min=1, max=120)
    customer_id = Key()
    kind = Choice(KINDS)
    status = Choice(STATUSES)
    sale = Key()
    expiring_before = Day()
    ordering = Ordering("expires_on", "issued_at")


class LiabilitiesQuery(QuerySchema):
    as_of = Day(load_default=None)
    start_date = Day(load_default=None)


class CardQuery(QuerySchema):
    format = Choice(["pdf", "text"], load_default="pdf")


class VoucherOut(Answer):
    """A voucher; ``code`` is ``…`` and its last four characters where it must not be read."""

    id = out.Key()
    code = out.Text()
    kind = out.Text(choices=KINDS)
    status = out.Text(choices=STATUSES)
    currency = out.Text()
    amount = out.Money()
    balance = out.Money()
    customer_id = out.Key(allow_none=True)
    expires_on = out.Date(allow_none=True)
    issued_at = out.Moment()
    issued_by = out.Key(allow_none=True)
    sale = out.Key("sale_id", allow_none=True)
    reason = out.Text()


class EntryOut(Answer):
    """What was put on a voucher, or with a negative amount taken off it, and by which document."""

    kind = out.Text(choices=ENTRY_KINDS)
    amount = out.Money()
    document_type = out.Text()
    document_id = out.Key(allow_none=True)
    is_offline = out.Flag()
    reason = out.Text()
    occurred_at = out.Moment()
    created_at = out.Moment()
    created_by = out.Key(allow_none=True)


class VoucherHistoryOut(VoucherOut):
    """A voucher with all that happened to it."""

    entries = out.Many(EntryOut)


class GiftCardOut(Answer):
    """A product that is a gift card."""

    product_id = out.Key()


class LiabilityOut(Answer):
    """What is owed on vouchers of one currency and kind, and what happened to them in the period.

    ``outstanding`` is on ``count`` vouchers; ``overdrawn`` is what was spent offline beyond what there was, positive.
    """

    currency = out.Text()
    kind = out.Text(choices=KINDS)
    count = out.Count()
    outstanding = out.Money()
    overdrawn = out.Money()
    issued = out.Money()
    redeemed = out.Money()
    given_back = out.Money()
    expired = out.Money()
    voided = out.Money()


class LiabilitiesOut(Answer):
    """What is owed at the end of ``as_of``, and what happened from ``start_date`` to then."""

    as_of = out.Date()
    start_date = out.Date(allow_none=True)
    items = out.Many(LiabilityOut)
