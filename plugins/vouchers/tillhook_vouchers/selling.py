"""Gift cards as goods, and what each document of the journal means for vouchers."""

from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access import audit
from tillhook.db import as_instant, insert_or
from tillhook.errors import Conflict, NotFound, ValidationFailed
from tillhook.products import Product, get_product
from tillhook.quantities import ZERO, round_half_up
from tillhook.reference import Snapshot, bump_epoch
from tillhook.runtime import snapshot_of
from tillhook.sales import PostedSale, SaleDraft, SaleLine
from tillhook_vouchers.books import METHOD, Occasion, enter, issue
from tillhook_vouchers.models import GIFT_CARD, Voucher, VoucherProduct
from tillhook_vouchers.tenders import enter_payment

#: Gift cards of one line; each is a row of its own.
MOST_CARDS = 500


class _Known(NamedTuple):
    snapshot: Snapshot | None
    products: frozenset[int]


_known = _Known(None, frozenset())


def gift_cards(session: Session) -> Set[int]:
    """Return the products that are gift cards; read once for each epoch, so that a sale costs no statement more."""
    global _known
    snapshot, known = snapshot_of(session), _known
    if known.snapshot is not snapshot:
        known = _known = _Known(snapshot, frozenset(session.scalars(select(VoucherProduct.product_id))))
    return known.products


def mark(session: Session, product_id: int) -> None:
    """Make a product a gift card from the next request on.

    Raises:
        NotFound: 404.
        Conflict: 409 ``vouchers-tracked-product`` or ``vouchers-taxed-product``: a gift card has no stock, and is
            taxed when it is spent.
    """
    product = get_product(session, product_id)
    if product.tracking != "none":
        raise Conflict("A gift card has no stock: its tracking must be none.", code="vouchers-tracked-product")
    if _rate(session, product):
        raise Conflict(
            "A gift card bears no tax when it is sold: give the product a tax of 0 %.", code="vouchers-taxed-product"
        )
    statement = insert_or(session.connection(), VoucherProduct).values(product_id=product_id)
    session.execute(statement.on_conflict_do_nothing())
    audit(session, "mark", "voucher_product", product_id)
    bump_epoch(session)


def unmark(session: Session, product_id: int) -> None:
    """Make a gift card an ordinary product; cards that were sold stay good.

    Raises:
        NotFound: 404 ``vouchers-no-gift-card``.
    """
    row = session.get(VoucherProduct, product_id, with_for_update=True)
    if row is None:
        raise NotFound(f"Product {product_id} is no gift card.", code="vouchers-no-gift-card")
    session.delete(row)
    session.flush()
    audit(session, "unmark", "voucher_product", product_id)
    bump_epoch(session)


def enter_drafts(session: Session, drafts: Sequence[SaleDraft]) -> None:
    """Enter what sales and exchanges that are being written mean for vouchers; most mean nothing."""
    cards = gift_cards(session)
    for draft in drafts:
        if not _concerns(draft, cards):
            continue
        occasion = Occasion(
            currency=snapshot_of(session).setting("currency"),
            kind=draft.kind,
            id=draft.id,
            warehouse_id=draft.warehouse_id,
            customer_id=draft.command.customer_id,
            is_offline=draft.is_offline,
            occurred_at=draft.sale_date,
            reason=draft.returned.reason if draft.returned else "",
        )
        for payment in draft.payments:
            if payment.method == METHOD and payment.amount:
                enter_payment(session, payment.reference, payment.amount, occasion)
        for line, totals in zip(draft.lines, draft.totals.lines, strict=True):
            if line.item.product_id in cards:
                tax = ZERO if line.tax_inclusive else totals.tax_amount
                _issue_cards(
                    session, line.number, line.quantity, totals.total_price - totals.discount_share + tax, occasion
                )
        if draft.returned is not None:
            back = [(each.line.id, each.item.quantity) for each in draft.returned.lines]
            _void_cards(session, draft.returned.origin.sale.id, back, occasion)


def enter_taken_back(session: Session, posted: PostedSale) -> None:
    """Enter what a return or a cancellation means for vouchers."""
    sale = posted.sale
    occasion = Occasion(
        currency=sale["currency"],
        kind=posted.kind,
        id=posted.id,
        warehouse_id=posted.warehouse_id,
        customer_id=posted.customer_id,
        is_offline=sale["is_offline"],
        occurred_at=as_instant(sale["sale_date"]),
        reason=sale["reason"],
    )
    for payment in sale["payments"]:
        if payment["method"] == METHOD and Decimal(payment["amount"]):
            enter_payment(session, payment["reference"], Decimal(payment["amount"]), occasion)
    assert posted.origin_id is not None
    _void_cards(session, posted.origin_id, [_back(item) for item in sale["items"]], occasion)


def _concerns(draft: SaleDraft, cards: Set[int]) -> bool:
    return (
        draft.returned is not None
        or any(payment.method == METHOD for payment in draft.payments)
        or any(line.item.product_id in cards for line in draft.lines)
    )


def _back(item: Mapping[str, Any]) -> tuple[int, Decimal]:
    return item["origin_line"], -Decimal(item["quantity"])


def _rate(session: Session, product: Product) -> Decimal:
    taxes = snapshot_of(session).taxes
    if product.tax_id is not None:
        return taxes[product.tax_id].rate
    return next((tax.rate for tax in taxes.values() if tax.is_default), ZERO)


def _issue_cards(session: Session, number: int, quantity: Decimal, paid: Decimal, occasion: Occasion) -> None:
    """Issue a card per unit, together worth what was paid for the line: no more is owed than was taken."""
    count = int(quantity)
    if not occasion.is_offline and (count != quantity or count > MOST_CARDS):
        raise ValidationFailed.at(
            f"items.{number}.quantity", f"Gift cards are sold whole, at most {MOST_CARDS} on a line."
        )
    places = snapshot_of(session).setting("currency_places")
    count = max(count, 1)
    for card in range(1, count + 1):
        # What rounding leaves is on the later ones.
        worth = round_half_up(paid * card / count, places) - round_half_up(paid * (card - 1) / count, places)
        if worth:
            issue(session, GIFT_CARD, worth, occasion, sale_line=number)


def _void_cards(session: Session, origin_id: int, back: Sequence[tuple[int, Decimal]], occasion: Occasion) -> None:
    """Void the cards that come back, those first that nobody has spent.

    Raises:
        Conflict: 409 ``vouchers-spent``: fewer are unspent, or good at all. Offline they are voided all the same, and
            overdrawn.
    """
    statement = select(Voucher).where(Voucher.sale_id == origin_id, Voucher.sale_line.is_not(None))
    if session.scalar(statement.with_only_columns(Voucher.id).limit(1)) is None:
        return
    statement = statement.order_by(Voucher.id)
    cards = list(session.scalars(statement.with_for_update().execution_options(populate_existing=True)))
    keys = [key for key, _ in back]
    lines = session.execute(select(SaleLine.id, SaleLine.line_number).where(SaleLine.id.in_(keys)))
    numbers = {row.id: row.line_number for row in lines}
    for key, quantity in back:
        own = [card for card in cards if card.sale_line == numbers[key]]
        live = [card for card in own if card.voided_at is None]
        unspent = [card for card in live if card.balance == card.amount]
        spent = [card for card in live if card.balance != card.amount]
        count = int(quantity)
        if own and len(unspent) < count and not occasion.is_offline:
            raise Conflict(
                f"Of {count} gift cards {len(unspent)} are unspent: what was spent, or is void, does not come back.",
                code="vouchers-spent",
            )
        for card in (*unspent, *spent)[:count]:
            card.voided_at = occasion.occurred_at
            enter(session, card, "voided", -card.amount, occasion)
