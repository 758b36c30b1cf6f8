"""Hooks about sales, which the journal calls."""

# mypy: disable-error-code="empty-body"

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from tillhook.hooks import hookspec
from tillhook.sales.drafts import PostedSale, PriceRequest, SaleDraft, TaxRequest


@hookspec
def validate_sale(session: Session, draft: SaleDraft, earlier: tuple[SaleDraft, ...]) -> None:
    """Veto a sale before it is written.

    Called: once per sale, in its transaction, prices, taxes and totals already worked out.
    Args:
        draft: The sale as it would be posted; nothing in it can be changed.
        earlier: Sales before it in the same batch that nobody has vetoed and that are not in the database yet; what
            is short of stock may still be refused. Those before them are there to be read.
    Raises:
        DomainError: Refuses the sale; reaches the client as problem+json.
    Since: 0.1
    """


@hookspec
def sales_writing(session: Session, drafts: tuple[SaleDraft, ...]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Return rows of the plugin's own tables that belong to sales, to go in by the statement that writes the sales.

    Called: once per batch of sales, priced, settled and planned, just before they are written. What is written this
        way costs no round trip while a level is locked, which those of a single sale are not yet, as a rule. Not for
        returns and cancellations.
    Args:
        drafts: With their keys in ``id``; nothing in them can be changed.
    Returns: table and row by column name: integers in units of 1/10,000 for amounts, instants as text. All rows
        of one table have the same columns. Another's table is refused.
    Since: 0.1
    """


@hookspec
def sales_posted(session: Session, sales: tuple[PostedSale, ...]) -> None:
    """Act on new sales and exchanges.

    Called: once per transaction that posts sales (a synced batch posts many), after their movements.
    Args:
        sales: New ones only; a repeated ``external_id`` is no new sale. What comes back in an exchange has negative
            quantities and amounts, and its ``origin_id`` names the sale; money that goes back is a negative payment.
    Since: 0.1
    """


@hookspec
def sale_returned(session: Session, sale: PostedSale) -> None:
    """Act on goods that came back.

    Called: once per return, in its transaction, stock and refund written.
    Args:
        sale: The return: quantities and amounts are negative, ``origin_id`` names the sale.
    Since: 0.1
    """


@hookspec
def sale_cancelled(session: Session, sale: PostedSale) -> None:
    """Act on the cancellation of a sale.

    Called: once per cancellation, in its transaction, after the movements are reversed.
    Args:
        sale: The cancellation: quantities and amounts are negative, ``origin_id`` names the sale.
    Since: 0.1
    """


@hookspec(firstresult=True)
def resolve_price(session: Session, request: PriceRequest) -> Decimal | None:
    """Answer what one unit of a product costs here and now, or ``None`` for no opinion.

    Called: per line of a sale that is not priced by the client, before totals.
    Returns: the price per unit of measure, four digits after the point at most; 0 is an answer. When nobody
        answers it is the variant's price, else the product's.
    Since: 0.1
    """


@hookspec(firstresult=True)
def resolve_tax(session: Session, request: TaxRequest) -> int | None:
    """Answer which tax a line bears, or ``None`` for no opinion.

    Called: per line of a sale, before totals.
    Returns: the id of a tax. When nobody answers it is the product's, else the default tax.
    Since: 0.1
    """
