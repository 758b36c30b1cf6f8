"""What a client asks of the journal, after its schema has checked it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tillhook.db import format_instant
from tillhook.quantities import ZERO, format_quantity


def _plain(value: Any) -> str:
    return format_quantity(value) if isinstance(value, Decimal) else str(value)


_ENCODER = json.JSONEncoder(separators=(",", ":"), sort_keys=True, default=_plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleItem:
    """A line as asked for; exactly one of ``product_id`` and ``product_data`` is given.

    ``unit_price`` ``None`` asks for the server's price; ``discount_per_item`` is money per unit.
    ``is_printed_price`` says that the price stands on the goods, as on the label of the shop's own scale: it takes the
    place of the catalogue's, whatever the price mode. No client may say so.
    """

    quantity: Decimal
    product_id: int | None = None
    product_data: dict[str, Any] | None = None
    variant_id: int | None = None
    unit_price: Decimal | None = None
    discount_per_item: Decimal = ZERO
    batch_number: str | None = None
    expiry_date: date | None = None
    is_printed_price: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tender:
    """A means of payment and the amount handed over; ``amount`` ``None`` is all that is due."""

    method: str
    amount: Decimal | None = None
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleCommand:
    """A sale to post. ``warehouse`` ``None`` is the seller's only one."""

    items: tuple[SaleItem, ...]
    channel: str = "pos"
    warehouse: int | None = None
    external_id: str | None = None
    source_device: str = "web"
    #: The device's own running number, from 1; by it a missing sale is known.
    device_number: int | None = None
    client_timestamp: datetime | None = None
    customer_id: int | None = None
    customer_name: str = ""
    customer_phone: str = ""
    customer_email: str = ""
    payments: tuple[Tender, ...] = ()
    discount_amount: Decimal = ZERO
    notes: str = ""
    #: A document whose reservation this sale uses up, (type, id).
    reservation: tuple[str, int] | None = None
    #: The body as it came, kept when the sale is refused.
    payload: dict[str, Any] = field(default_factory=dict)

    @property
    def tenders(self) -> tuple[Tender, ...]:
        """The means of payment; cash when none is said."""
        return self.payments or (Tender(method="cash"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnItem:
    """A line of a sale to take back; ``restock`` ``False`` scraps the goods."""

    line_id: int
    quantity: Decimal
    restock: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnCommand:
    """Goods that come back; ``refund`` is the tender the money goes back by."""

    lines: tuple[ReturnItem, ...]
    reason: str = ""
    refund: str | None = None
    external_id: str | None = None
    client_timestamp: datetime | None = None
    #: The body as it came, kept when the return is refused.
    payload: dict[str, Any] = field(default_factory=dict)


def fingerprint(command: SaleCommand, seller_id: int | None) -> str:
    """Return a digest of what the sale says, equal for equal content however its numbers are written.

    The warehouse is left out, for a sale that names none is the same sale as one that names the default:
    see :func:`same_warehouse`.
    """
    content = [
        seller_id,
        command.channel,
        command.source_device,
        command.device_number,
        format_instant(command.client_timestamp) if command.client_timestamp else None,
        command.customer_id,
        command.customer_name,
        command.customer_phone,
        command.customer_email,
        _number(command.discount_amount),
        command.notes,
        [
            [
                item.product_id,
                item.product_data,
                item.variant_id,
                _number(item.quantity),
                _number(item.unit_price),
                _number(item.discount_per_item),
                item.batch_number,
                item.expiry_date,
            ]
            for item in command.items
        ],
        [[tender.method, _number(tender.amount), tender.reference] for tender in command.tenders],
    ]
    return hashlib.sha256(_ENCODER.encode(content).encode()).hexdigest()


def same_warehouse(one: int | None, other: int | None) -> bool:
    """Say whether two sales of one ``external_id`` may mean the same warehouse; ``None`` is any."""
    return one == other or one is None or other is None


def body_digest(body: Mapping[str, Any], seller_id: int | None) -> str:
    """Return a digest of a sale's body as it came, letter by letter.

    Equal digests are equal content, which a repeated batch is known by without reading each sale again; unequal ones
    say nothing, for numbers can be written in several ways.
    """
    return hashlib.sha256(_ENCODER.encode([seller_id, body]).encode()).hexdigest()


def _number(value: Decimal | None) -> str | None:
    return None if value is None else format_quantity(value)
