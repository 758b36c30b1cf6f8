"""Bodies, queries and answers of tills, receipt codes and returns by receipt."""

from collections.abc import Mapping
from typing import Any

from marshmallow import INCLUDE, ValidationError, fields, validates_schema

from tillhook.http import (
    Amount,
    Flag,
    Instant,
    Key,
    ListOf,
    ListQuery,
    Nested,
    Ordering,
    Quantity,
    Schema,
    Text,
    Whole,
    at_most_one,
    exactly_one,
)
from tillhook.sales import ExternalId, SaleOut
from tillhook_pos.tills.signing import MAX_CODE

#: The most codes that one ``/pos/receipts/restore`` takes.
MAX_CODES = 500
_MAX_LINES = 1_000


def require_one(data: Mapping[str, Any], *names: str) -> None:
    """Refuse a body that has none of the fields, or several.

    Raises:
        ValidationError: The first of them named.
    """
    given = [name for name in names if data[name] is not None]
    if len(given) != 1:
        raise ValidationError(f"Give one of {', '.join(names)}.", given[1] if given else names[0])


class TillIn(Schema):
    """A till to register as a device; without ``user`` it sells in the name of who registers it."""

    name = Text(min=1, max=128, required=True)
    warehouse = Key(required=True)
    user = Key(allow_none=True, load_default=None)


class SignInIn(Schema):
    """Who signs in at a till, by key or by e-mail address, and their PIN."""

    together = (exactly_one("user_id", "email"),)

    user_id = Key(allow_none=True, load_default=None)
    email = Text(min=1, max=254, allow_none=True, load_default=None)
    pin = Text(min=1, max=100, strip=False, required=True)

    @validates_schema
    def one_person(self, data: Mapping[str, Any], **_: Any) -> None:
        require_one(data, "user_id", "email")


class OperatorOut(Schema):
    """Somebody who can sign in at a till."""

    id = fields.Integer()
    name = fields.String()


class OperatorsOut(Schema):
    """Who can sign in at a till."""

    items = fields.List(fields.Nested(OperatorOut))


class SignedInOut(Schema):
    """A token that acts as the person at this till only, for ``expires_in`` seconds; a new one asks for the PIN."""

    access_token = fields.String()
    token_type = fields.String()
    expires_in = fields.Integer()
    user = fields.Nested(OperatorOut)


class DeactivateIn(Schema):
    """Why a till is taken out of use."""

    reason = Text(min=1, max=500, required=True)


class TillQuery(ListQuery):
    """The filters of the tills' list."""

    warehouse = Key(load_default=None)
    is_active = Flag(load_default=None)
    ordering = Ordering("name", "created_at", default="name")


class RestoreIn(Schema):
    """One receipt's code, or many."""

    together = (exactly_one("code", "codes"),)

    code = Text(min=1, max=MAX_CODE, allow_none=True, load_default=None)
    codes = ListOf(Text(min=1, max=MAX_CODE), min=1, max=MAX_CODES, allow_none=True, load_default=None)
    reason = Text(max=500, load_default="")

    @validates_schema
    def one_way(self, data: Mapping[str, Any], **_: Any) -> None:
        require_one(data, "code", "codes")


class CounterReturnLineIn(Schema):
    """What comes back: a line by its key or its place, from 0, or a product by a code on it."""

    together = (exactly_one("line_id", "position", "code"),)

    line_id = Key(allow_none=True, load_default=None)
    position = Whole(max=_MAX_LINES - 1, allow_none=True, load_default=None)
    code = Text(min=1, max=200, allow_none=True, load_default=None)
    quantity = Quantity(required=True)
    restock = Flag(load_default=True)
    batch_number = Text(min=1, max=80, allow_none=True, load_default=None)

    @validates_schema
    def one_way(self, data: Mapping[str, Any], **_: Any) -> None:
        require_one(data, "line_id", "position", "code")


class RefundIn(Schema):
    """Money that goes back by a means of payment."""

    method = Text(min=1, max=40, required=True)
    amount = Amount(required=True)


class CounterReturnIn(Schema):
    """Goods of a sale that come back to the counter; the sale by its receipt's code, its number or its key."""

    together = (exactly_one("receipt", "sale_number", "sale_id"), at_most_one("refund", "refunds"))

    receipt = Text(min=1, max=MAX_CODE, allow_none=True, load_default=None)
    sale_number = Text(min=1, max=60, allow_none=True, load_default=None)
    sale_id = Key(allow_none=True, load_default=None)
    lines = ListOf(Nested(CounterReturnLineIn), required=True, min=1, max=_MAX_LINES)
    reason = Text(max=500, load_default="")
    refund = Text(min=1, max=40, allow_none=True, load_default=None)
    refunds = ListOf(Nested(RefundIn), max=20, allow_none=True, load_default=None)
    external_id = ExternalId(allow_none=True, load_default=None)
    client_timestamp = Instant(allow_none=True, load_default=None)
    source_device = Text(min=1, max=128, allow_none=True, load_default=None)

    @validates_schema
    def one_sale(self, data: Mapping[str, Any], **_: Any) -> None:
        require_one(data, "receipt", "sale_number", "sale_id")

    @validates_schema
    def one_way_back(self, data: Mapping[str, Any], **_: Any) -> None:
        if data["refund"] and data["refunds"]:
            raise ValidationError("Not together with refunds.", "refund")


class TillOut(Schema):
    """A till; ``user`` is whose name its device sells in, ``null`` for one without a device of its own.

    ``next_number`` is what the device's next sale carries as ``device_number``; ``missing`` are the running numbers,
    first and last of each range, that it must have used and nobody has sent.
    """

    id = fields.Integer()
    name = fields.String()
    warehouse = fields.Integer()
    user = fields.Integer(allow_none=True)
    is_active = fields.Boolean()
    is_device = fields.Boolean()
    code_version = fields.Integer()
    created_at = Instant()
    last_number = fields.Integer()
    next_number = fields.Integer()
    missing = fields.List(fields.List(fields.Integer()))


class NewTillOut(TillOut):
    """A till with what its device needs: ``api_key`` and ``code_secret``, in hexadecimal, are shown this once."""

    api_key = fields.String()
    code_secret = fields.String()


class TillsOut(Schema):
    """A page of tills."""

    items = fields.List(fields.Nested(TillOut))
    next_cursor = fields.String(allow_none=True)
    count = fields.Integer()


class RestoredOut(Schema):
    """The sale of one code, as the journal shows it; of many codes ``results``, one for each in the order sent."""

    class Meta:
        unknown = INCLUDE

    results = fields.List(fields.Dict())


class PrintedSaleOut(Schema):
    """What a receipt's code says: the sale's body as it was posted, who signed it and with which secret."""

    seller = fields.Integer()
    total = fields.String(allow_none=True)
    till = fields.Integer(allow_none=True)
    code_version = fields.Integer()
    is_retired = fields.Boolean()
    body = fields.Dict()


class ReceiptOut(Schema):
    """A receipt that was looked up.

    ``kind`` is ``code``, ``reference`` or ``number``; ``agrees`` says whether the known sale is what the code says.
    """

    kind = fields.String()
    known = fields.Boolean()
    agrees = fields.Boolean(allow_none=True)
    receipt = fields.Nested(PrintedSaleOut, allow_none=True)
    sale = fields.Nested(SaleOut, allow_none=True)
