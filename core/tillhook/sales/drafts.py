"""A sale on its way into the journal: what hooks see before and after posting."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tillhook.hooks import Channel
from tillhook.ledger.items import Item
from tillhook.ledger.movements import Plan
from tillhook.sales.commands import SaleCommand, SaleItem
from tillhook.sales.totals import DocumentTotals

if TYPE_CHECKING:
    from tillhook.sales.returning import Returned


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


@dataclass(slots=True)
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
    flags: list[str] = field(default_factory=list)


@dataclass(slots=True)
class SaleDraft:
    """A sale priced and totalled, not yet written.

    ``kind`` is ``sale``, or ``exchange`` for one in which goods come back too: those are in ``returned``, while
    ``lines`` and the lines of ``totals`` are what is sold. The other amounts of ``totals`` are net, and negative when
    more comes back than goes out.
    """

    command: SaleCommand
    channel: Channel
    warehouse_id: int
    seller_id: int | None
    seller_name: str
    is_offline: bool
    recorded_at: datetime
    sale_date: datetime
    lines: list[DraftLine]
    totals: DocumentTotals
    payments: list[dict[str, Any]] = field(default_factory=list)
    #: What rounding to coins that exist adds to the total, or takes off it.
    cash_rounding: Decimal = Decimal(0)
    change_due: Decimal = Decimal(0)
    fingerprint: str | None = None
    body_digest: str | None = None
    position: int = 0
    id: int = 0
    plan: Plan = field(default_factory=Plan)
    clock_suspect: bool = False
    returned: "Returned | None" = None

    @property
    def kind(self) -> str:
        return self.command.kind


@dataclass(frozen=True, slots=True)
class PostedSale:
    """A document of the journal as hooks see it after posting.

    ``kind`` is ``sale``, ``return``, ``exchange`` or ``cancellation``; quantities and amounts of what comes back are
    negative, and so is a payment for money that goes back. ``sale`` has the keys of the API's answer.
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
    sale: dict[str, Any]
