"""What a sale would come to: the pipeline's first stages, and nothing is written."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.orm import Session

from tillhook.ledger import Items, ShortLine
from tillhook.quantities import ZERO
from tillhook.sales.commands import SaleCommand
from tillhook.sales.drafts import Payment, Returned, SaleDraft
from tillhook.sales.posting.entries import Entry, new_run
from tillhook.sales.posting.prepare import prepare
from tillhook.sales.posting.stock import shortages
from tillhook.sales.posting.write import currency_of


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteLine:
    """A line as it would be posted; what comes back has negative quantity and amounts.

    ``variant_id`` is ``None`` for a product that is sold without naming one, ``product_id`` for one that would be made.
    """

    product_id: int | None
    variant_id: int | None
    product_name: str
    quantity: Decimal
    unit_price: Decimal
    discount_per_item: Decimal
    discount_share: Decimal
    tax_rate: Decimal
    tax_inclusive: bool
    tax_amount: Decimal
    total_price: Decimal
    origin_line_id: int | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a sale would come to if it were posted now.

    ``amount_due`` is the total with the rounding of cash, ``amount_open`` what of it the tenders leave to pay.
    ``short_lines`` are those for which the sale would be refused for want of stock.
    """

    kind: str
    channel: str
    warehouse_id: int
    customer_id: int | None
    currency: str
    subtotal: Decimal
    tax_amount: Decimal
    discount_amount: Decimal
    total_amount: Decimal
    cash_rounding: Decimal
    amount_due: Decimal
    amount_open: Decimal
    change_due: Decimal
    payments: tuple[Payment, ...]
    items: tuple[QuoteLine, ...]
    short_lines: tuple[ShortLine, ...]


def quote(session: Session, command: SaleCommand) -> Quote:
    """Return what a sale, exchange or return would come to, priced and taxed as it would be posted.

    Reads only, and takes no lock. Nobody's veto is asked: neither ``validate_sale`` nor the checks of methods of
    payment. The ``external_id`` is not looked at, and stays free. Tenders that are too little are no error.

    Raises:
        DomainError: What the sale would be refused for, but for want of stock and money.
    """
    run = new_run(session, is_quote=True)
    entry = Entry(position=0, sent=command, command=command)
    prepare(run, [entry], Items({}))
    if entry.outcome is not None and entry.outcome.error is not None:
        raise entry.outcome.error
    draft = entry.drafted
    due = draft.totals.total_amount + draft.cash_rounding
    paid = sum((payment.amount - payment.change for payment in draft.payments), ZERO)
    return Quote(
        kind=draft.kind,
        channel=draft.channel.name,
        warehouse_id=draft.warehouse_id,
        customer_id=draft.command.customer_id,
        currency=currency_of(run, draft),
        subtotal=draft.totals.subtotal,
        tax_amount=draft.totals.tax_amount,
        discount_amount=draft.totals.discount_amount,
        total_amount=draft.totals.total_amount,
        cash_rounding=draft.cash_rounding,
        amount_due=due,
        amount_open=due - paid,
        change_due=draft.change_due,
        payments=draft.payments,
        items=(*_sold(draft), *(_returned(draft.returned) if draft.returned else ())),
        short_lines=shortages(run, draft),
    )


def _sold(draft: SaleDraft) -> Iterator[QuoteLine]:
    for line, total in zip(draft.lines, draft.totals.lines, strict=True):
        yield QuoteLine(
            product_id=line.item.product_id or None,
            variant_id=None if line.item.is_default else line.item.variant_id,
            product_name=line.item.product_name,
            quantity=line.quantity,
            unit_price=line.unit_price,
            discount_per_item=line.discount_per_item,
            discount_share=total.discount_share,
            tax_rate=line.tax_rate,
            tax_inclusive=line.tax_inclusive,
            tax_amount=total.tax_amount,
            total_price=total.total_price,
            flags=line.flags,
        )


def _returned(returned: Returned) -> Iterator[QuoteLine]:
    for part in returned.lines:
        yield QuoteLine(
            product_id=part.line.product_id,
            variant_id=None if part.line.is_default else part.line.variant_id,
            product_name=part.line.product_name,
            quantity=-part.item.quantity,
            unit_price=part.line.unit_price,
            discount_per_item=part.line.discount_per_item,
            discount_share=-part.amounts.discount_share,
            tax_rate=part.line.tax_rate,
            tax_inclusive=part.line.tax_inclusive,
            tax_amount=-part.amounts.tax_amount,
            total_price=-part.amounts.total_price,
            origin_line_id=part.line.id,
            flags=part.flags,
        )
