"""What a receipt's code holds: a sale as a device posts it, as a short list.

``docs/receipt-codes.md`` has the places of the list for those who write a device.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError

from tillhook.http import Amount, Key
from tillhook.quantities import format_quantity
from tillhook.sales import SaleCommand, SaleIn
from tillhook_pos.documents import CHANNEL

_ITEM = ("product", "quantity", "unit_price", "variant_id", "discount_per_item", "batch_number", "expiry_date")
_PAYMENT = ("method", "amount", "reference")
_CUSTOMER = ("customer_id", "customer_name", "customer_phone", "customer_email")
#: Fields of a sale's body that have places of their own, or that a receipt of the counter cannot differ in; all others
#: go by their names.
_PLACED = frozenset(
    {
        "channel",
        "external_id",
        "warehouse",
        "source_device",
        "device_number",
        "client_timestamp",
        "items",
        "payments",
        "payment_method",
        "payment_reference",
        "discount_amount",
        "notes",
        *_CUSTOMER,
    }
)
_LENGTH = 13
_SALE_IN = SaleIn()
_KEY, _TOTAL = Key(), Amount(min=-(10**11) + 1)


@dataclass(frozen=True, slots=True)
class Content:
    """A sale in the hands of a customer.

    Args:
        body: What ``POST /api/sales`` takes.
        total: What the receipt says was to be paid; for people to read, the server reckons its own.
    """

    seller_id: int
    body: dict[str, Any]
    total: Decimal | None = None

    def command(self) -> SaleCommand:
        """Return the sale to post.

        Raises:
            ValueError: It is none, the field named.
        """
        try:
            command: SaleCommand = _SALE_IN.load(self.body)
        except ValidationError as error:
            raise ValueError(f"it holds no sale: {error.normalized_messages()}"[:300]) from error
        return replace(command, channel=CHANNEL)


def pack(content: Content) -> list[Any]:
    """Return the list; empty places at its end are left out."""
    body = content.body
    external_id = body["external_id"]
    packed = [
        uuid.UUID(external_id).hex,
        content.seller_id,
        body.get("warehouse"),
        body.get("source_device"),
        body.get("device_number"),
        body.get("client_timestamp"),
        [_packed_item(item) for item in body.get("items") or ()],
        _packed_payments(body),
        None if content.total is None else format_quantity(content.total),
        body.get("discount_amount"),
        _trimmed([body.get(name) for name in _CUSTOMER]) or None,
        body.get("notes"),
        {name: value for name, value in body.items() if name not in _PLACED} or None,
    ]
    return _trimmed(packed)


def unpack(packed: object, source_device: str | None) -> Content:
    """Return what the list says.

    Args:
        source_device: The device that signed it, in whose name alone it sells; ``None`` when the server did.

    Raises:
        ValueError: It is not such a list; says in a few words why.
    """
    places = _list(packed, _LENGTH, "the content")
    places += [None] * (_LENGTH - len(places))
    (external_id, seller, warehouse, device, number, stamp, items, payments, total, discount, customer, notes, more) = (
        places
    )
    if source_device is not None and device not in (None, source_device):
        raise ValueError("another device signed it")
    rest = {} if more is None else more
    if not isinstance(rest, dict) or _PLACED.intersection(rest):
        raise ValueError("its last place is no object of further fields")
    body = {
        "external_id": _external_id(external_id),
        "warehouse": _loaded(_KEY, warehouse, "warehouse"),
        "source_device": device if source_device is None else source_device,
        "device_number": number,
        "client_timestamp": stamp,
        "items": [_item(item) for item in _list(items or [], 1000, "items")],
        **_payments(payments),
        "discount_amount": discount,
        **dict(zip(_CUSTOMER, _list(customer or [], len(_CUSTOMER), "customer"), strict=False)),
        "notes": notes,
        **rest,
    }
    content = Content(
        seller_id=_loaded(_KEY, seller, "seller"),
        body={name: value for name, value in body.items() if value is not None},
        total=None if total is None else _loaded(_TOTAL, total, "total"),
    )
    content.command()
    return content


def _packed_item(item: Mapping[str, Any]) -> list[Any]:
    product = item.get("product_id", item.get("product_data"))
    return _trimmed([product, *(item.get(name) for name in _ITEM[1:])])


def _packed_payments(body: Mapping[str, Any]) -> list[Any] | None:
    if body.get("payments"):
        return [_trimmed([payment.get(name) or None for name in _PAYMENT]) for payment in body["payments"]]
    if body.get("payment_method"):
        return [_trimmed([body["payment_method"], None, body.get("payment_reference") or None])]
    return None


def _item(value: object) -> dict[str, Any]:
    given = dict(zip(_ITEM, _list(value, len(_ITEM), "an item"), strict=False))
    product = given.pop("product", None)
    given["product_data" if isinstance(product, dict) else "product_id"] = product
    return {name: each for name, each in given.items() if each is not None}


def _payments(value: object) -> dict[str, Any]:
    """Return the fields of the means of payment; one without an amount pays all."""
    listed = [_list(each, len(_PAYMENT), "a payment") for each in _list(value or [], 20, "payments")]
    payments = [
        {name: each for name, each in zip(_PAYMENT, payment, strict=False) if each is not None} for payment in listed
    ]
    if len(payments) == 1 and set(payments[0]) in ({"method"}, {"method", "reference"}):
        named = payments[0]
        return {"payment_method": named["method"], "payment_reference": named.get("reference")}
    return {"payments": payments or None}


def _list(value: object, longest: int, name: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > longest:
        raise ValueError(f"{name}: no list of at most {longest}")
    return list(value)


def _external_id(value: object) -> str:
    try:
        if isinstance(value, str) and len(value) in (32, 36):
            return str(uuid.UUID(value))
    except ValueError:
        pass
    raise ValueError("external_id: no UUID")


def _loaded(field: Any, value: object, name: str) -> Any:
    try:
        return field.deserialize(value)
    except ValidationError as error:
        raise ValueError(f"{name}: {error.messages[0]}") from None


def _trimmed(values: Sequence[Any]) -> list[Any]:
    """Return the values without the empty ones at the end."""
    trimmed = list(values)
    while trimmed and trimmed[-1] in (None, "", [], {}):
        trimmed.pop()
    return trimmed
