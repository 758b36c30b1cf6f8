"""What a client asks of the journal, after its schema has checked it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from tillhook.db import format_instant
from tillhook.encoding import to_json
from tillhook.quantities import ZERO, format_quantity

#: The largest running number of a device: as far as a JavaScript client counts exactly.
MAX_NUMBER = 2**53
#: ``source_device`` of a client without a name; it has no numbers of its own.
NO_DEVICE = "web"


def plain(value: Any) -> str:
    """Return as text what JSON does not know; a number however it was written."""
    return format_quantity(value) if isinstance(value, Decimal) else str(value)


def as_json(value: Any) -> Any:
    """Return a part of a body as JSON columns take it, its fractions as text."""
    return json.loads(to_json(value, plain))


def _digest(content: Any) -> str:
    return hashlib.sha256(to_json(content, plain, is_sorted=True)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleItem:
    """A line as asked for; exactly one of ``product_id`` and ``product_data`` is given.

    ``unit_price`` ``None`` asks for the server's price; ``discount_per_item`` is money per unit.
    ``is_printed_price`` says that the price stands on the goods, as on the label of the shop's own scale: it takes the
    place of the catalogue's, whatever the price mode. No client may say so, and no plugin of goods that the catalogue
    has a price for by the piece.
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
class ReturnItem:
    """A line of a sale to take back; ``restock`` ``False`` scraps the goods.

    The line is named by its key, or by its ``position`` among the sale's items, from 0: a device that was offline
    knows no keys. ``batch_number`` names the lot that comes back; without it lots do in the order of issue.
    """

    quantity: Decimal
    line_id: int | None = None
    position: int | None = None
    restock: bool = True
    batch_number: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleReturn:
    """What comes back of a sale in a document that may sell other goods too.

    Exactly one of ``sale_id`` and ``external_id`` names the sale.
    """

    lines: tuple[ReturnItem, ...]
    sale_id: int | None = None
    external_id: str | None = None
    reason: str = ""


class SentTotals(NamedTuple):
    """What a sale comes to by the client's own reckoning; never used, only compared."""

    subtotal: Decimal | None = None
    tax_amount: Decimal | None = None
    total_amount: Decimal | None = None


class SaleWarning(NamedTuple):
    """Something that was sent, at ``field`` of the body, and is not in the sale; ``value`` is it, as JSON."""

    field: str
    detail: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleCommand:
    """A sale to post; with ``returns`` an exchange, and without ``items`` a return.

    ``warehouse`` ``None`` is the seller's only one, or that of the sale of which goods come back.
    """

    items: tuple[SaleItem, ...]
    returns: SaleReturn | None = None
    #: Empty for the default channel.
    channel: str = ""
    warehouse: int | None = None
    external_id: str | None = None
    source_device: str = NO_DEVICE
    #: The device's own running number, from 1; by it a missing sale is known.
    device_number: int | None = None
    client_timestamp: datetime | None = None
    #: Who sold it, where a till's device says so; else it is whoever sends it.
    seller_id: int | None = None
    customer_id: int | None = None
    customer_name: str = ""
    customer_phone: str = ""
    customer_email: str = ""
    payments: tuple[Tender, ...] = ()
    #: How money goes back: all of it by one method, or split; by the tenders it came in when neither is said.
    refund: str | None = None
    refunds: tuple[Tender, ...] = ()
    discount_amount: Decimal = ZERO
    notes: str = ""
    sent_totals: SentTotals | None = None
    #: What the body says besides, and nobody knows.
    warnings: tuple[SaleWarning, ...] = ()
    #: A document whose reservation this sale uses up, (type, id).
    reservation: tuple[str, int] | None = None
    #: The body as it came, stored when the sale is refused.
    payload: dict[str, Any] = field(default_factory=dict)
    #: What a module was asked for, where it made the payload of that, from scanned codes for instance: a repeat is
    #: known by it even when the same would make another payload by now.
    asked: dict[str, Any] | None = None
    #: Fingerprint and body digest of what a device sent, where a person has changed it since.
    sent_as: tuple[str, str] | None = None

    @property
    def tenders(self) -> tuple[Tender, ...]:
        """The means of payment; cash when none is said."""
        return self.payments or (Tender(method="cash"),)

    @property
    def request(self) -> dict[str, Any]:
        """What a repeat has in common with it, letter by letter."""
        return self.payload if self.asked is None else self.asked

    @property
    def kind(self) -> str:
        """``sale``, ``exchange`` or ``return``, as the journal calls the document."""
        if self.returns is None:
            return "sale"
        return "exchange" if self.items else "return"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnCommand:
    """Goods that come back; ``refund`` is the tender the money goes back by, ``refunds`` splits it."""

    lines: tuple[ReturnItem, ...]
    reason: str = ""
    refund: str | None = None
    refunds: tuple[Tender, ...] = ()
    external_id: str | None = None
    #: Where the goods and the money change hands, whichever device made the sale.
    source_device: str = NO_DEVICE
    client_timestamp: datetime | None = None
    #: The body as it came, stored when the return is refused.
    payload: dict[str, Any] = field(default_factory=dict)


def fingerprint(command: SaleCommand, seller_id: int | None) -> str:
    """Return a digest of what the sale says, equal for equal content however its numbers are written.

    The warehouse is left out, for a sale that names none is the same sale as one that names the default:
    see :func:`same_warehouse`.
    """
    content = [
        command.seller_id or seller_id,
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
        _tenders(command.tenders),
    ]
    if command.returns is not None:
        content += [_returned(command.returns), command.refund, _tenders(command.refunds)]
    return _digest(content)


def return_fingerprint(sale_id: int, command: ReturnCommand) -> str:
    """Return a digest of what the return of a sale says, likewise."""
    content = [
        _returned(SaleReturn(sale_id=sale_id, lines=command.lines, reason=command.reason)),
        command.refund,
        _tenders(command.refunds),
        command.source_device,
        format_instant(command.client_timestamp) if command.client_timestamp else None,
    ]
    return _digest(content)


def same_warehouse(one: int | None, other: int | None) -> bool:
    """Say whether two sales of one ``external_id`` may mean the same warehouse; ``None`` is any."""
    return one == other or one is None or other is None


def body_digest(body: Mapping[str, Any], seller_id: int | None) -> str:
    """Return a digest of a sale's body as it came, letter by letter.

    Equal digests are equal content, which a repeated batch is known by without reading each sale again; unequal ones
    say nothing, for numbers can be written in several ways.
    """
    return _digest([seller_id, body])


def _returned(returns: SaleReturn) -> list[Any]:
    """Return what a document says of the goods that come back, in plain values."""
    return [
        returns.sale_id,
        returns.external_id,
        [
            [line.line_id, line.position, _number(line.quantity), line.restock, line.batch_number]
            for line in returns.lines
        ],
        returns.reason,
    ]


def _tenders(tenders: Sequence[Tender]) -> list[Any]:
    return [[tender.method, _number(tender.amount), tender.reference] for tender in tenders]


def _number(value: Decimal | None) -> str | None:
    return None if value is None else format_quantity(value)
