"""A sale on its way into the journal: what hooks see before and after posting. Nothing in it can be changed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from tillhook.hooks import Channel
from tillhook.ledger import Item
from tillhook.quantities import ZERO
from tillhook.sales.commands import ReturnItem, SaleCommand, SaleItem
from tillhook.sales.totals import DocumentTotals, LineTotals


@dataclass(frozen=True, slots=True)
class PriceRequest:
    """The question that ``resolve_price`` is asked, once per line.

    ``list_price`` is the catalogue's price of the variant; the answer takes its place, money per stock unit.
    """

    product_id: int
    variant_id: int
    quantity: Decimal
    list_price: Decimal
    channel: str
    warehouse_id: int
    customer_id: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class TaxRequest:
    """The question that ``resolve_tax`` is asked, once per line; the answer is a tax's key or ``None``."""

    product_id: int
    tax_id: int | None
    channel: str
    warehouse_id: int
    customer_id: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class DraftLine:
    """A line with its price and tax found. Prices are money per stock unit."""

    number: int
    asked: SaleItem
    item: Item
    quantity: Decimal
    unit_price: Decimal
    catalogue_price: Decimal | None
    discount_per_item: Decimal
    tax_id: int | None
    tax_rate: Decimal
    tax_inclusive: bool
    flags: tuple[str, ...] = ()

    def flagged(self, flag: str) -> "DraftLine":
        """Return it with a mark, once."""
        return self if flag in self.flags else replace(self, flags=(*self.flags, flag))


@dataclass(frozen=True, slots=True)
class Payment:
    """A tender of a draft: ``amount`` is handed over and ``change`` given back; money that goes back is negative."""

    method: str
    amount: Decimal
    change: Decimal
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenderDraft:
    """A payment, or a refund with a negative amount, that a method's ``check`` is asked about.

    ``reference`` is the client's word; ``paid_by`` is, of a refund of which nobody says where to, the reference under
    which that money came in. ``before`` are the payments of the document that were asked about before, as they will be
    written; ``references`` are all of the document's by this method, for who locks them in one order. ``field`` is the
    path of the reference in the body. Offline it has happened, whatever it is.
    """

    method: str
    amount: Decimal
    reference: str
    paid_by: str
    field: str
    before: tuple[Payment, ...]
    references: tuple[str, ...]
    currency: str
    customer_id: int | None
    is_offline: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """A document of which goods come back: what was sold, and what came back before.

    ``sale`` and ``lines`` are rows of the tables of :class:`Sale` and :class:`SaleLine`. ``came_back`` is by line key:
    quantity and amounts, positive. ``root_id`` is the first sale of all that hangs together with it.
    """

    sale: Any
    root_id: int
    lines: tuple[Any, ...]
    came_back: Mapping[int, tuple[Decimal, LineTotals]]


@dataclass(frozen=True, slots=True)
class MoneyLeft:
    """What the shop still has of the money for a sale, all of it zero or more.

    Cash is counted twice: the money itself, and the exact amounts that it was rounded from. Returns are capped by the
    exact ones, so that every part of a sale can come back whatever its rounding. ``by_method`` has net amounts by
    tender, in the order in which they were first used; ``by_reference`` those of methods with a check, by method and
    reference.
    """

    by_method: Mapping[str, Decimal]
    by_reference: Mapping[tuple[str, str], Decimal]
    cash_in: Decimal
    cash_in_exact: Decimal
    cash_back: Decimal
    cash_back_exact: Decimal


@dataclass(frozen=True, slots=True)
class ReturnedLine:
    """A part of a line that comes back; ``line`` is the row of what was sold, amounts are positive."""

    line: Any
    item: ReturnItem
    amounts: LineTotals
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Returned:
    """Goods that come back of an origin, in one document; amounts positive.

    ``cut`` says, for a person, what was asked for beyond what was left.
    """

    origin: Origin
    lines: tuple[ReturnedLine, ...]
    totals: DocumentTotals
    money_left: MoneyLeft
    reason: str = ""
    cut: tuple[str, ...] = ()

    def flagged(self, flag: str) -> "Returned":
        """Return it with every line marked."""
        return replace(self, lines=tuple(replace(line, flags=(*line.flags, flag)) for line in self.lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleDraft:
    """A sale priced and totalled, not yet written.

    ``kind`` is ``sale``, or ``exchange`` for one in which goods come back too: those are in ``returned``, while
    ``lines`` and the lines of ``totals`` are what is sold. The other amounts of ``totals`` are net, and negative when
    more comes back than goes out. ``command`` is without the body that it was read from. ``channel`` is the
    declaration, ``channel.name`` its name.
    """

    id: int
    command: SaleCommand
    channel: Channel
    warehouse_id: int
    seller_id: int | None
    seller_name: str
    is_offline: bool
    recorded_at: datetime
    sale_date: datetime
    clock_suspect: bool
    lines: tuple[DraftLine, ...]
    totals: DocumentTotals
    returned: Returned | None = None
    payments: tuple[Payment, ...] = ()
    #: What rounding to coins that exist adds to the total, or takes off it.
    cash_rounding: Decimal = ZERO
    change_due: Decimal = ZERO

    @property
    def kind(self) -> str:
        return self.command.kind


@dataclass(frozen=True, slots=True)
class PostedSale:
    """A document of the journal as hooks see it after posting.

    ``kind`` is ``sale``, ``return``, ``exchange`` or ``cancellation``; quantities and amounts of what comes back are
    negative, and so is a payment for money that goes back. ``sale`` has the keys of the API's answer, lists as tuples.
    """

    id: int
    kind: str
    sale_number: str
    channel: str
    warehouse_id: int
    customer_id: int | None
    total_amount: Decimal
    origin_id: int | None
    payments: tuple[tuple[str, Decimal], ...]
    sale: Mapping[str, Any]
