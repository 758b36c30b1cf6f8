"""Second stage: what each sale comes to, and how it is paid. Nothing is written, but for products made at the till."""

from collections.abc import Sequence

from tillhook.errors import Conflict, ValidationFailed
from tillhook.ledger import Items
from tillhook.sales.clocks import happened_at, tolerance_of
from tillhook.sales.drafts import DraftLine, Origin, Returned, SaleDraft
from tillhook.sales.posting.entries import Entry, Run, each
from tillhook.sales.posting.goods import lines_of, load_goods
from tillhook.sales.posting.placing import channel_of, place
from tillhook.sales.posting.pricing import check_discount, price_line
from tillhook.sales.posting.sellers import seller_of
from tillhook.sales.posting.tenders import settle
from tillhook.sales.returns import net_totals, take_back
from tillhook.sales.totals import DiscountError, DocumentTotals, LineInput, compute


def prepare(run: Run, entries: list[Entry], goods: Items) -> None:
    """Draft the open entries: priced, totalled, settled, and vetoed by nobody.

    Args:
        goods: What is known of their items already; the rest is read.
    """
    place(run, entries)
    goods = load_goods(run, entries, goods)
    earlier: list[SaleDraft] = []

    def step(entry: Entry) -> None:
        draft = _draft(run, entry, goods)
        if not run.is_quote and run.hooks.implemented("validate_sale"):
            run.hooks.hook.validate_sale(session=run.session, draft=draft, earlier=tuple(earlier))
            earlier.append(draft)
        entry.draft = draft

    each(entries, step)


def _draft(run: Run, entry: Entry, goods: Items) -> SaleDraft:
    command = entry.command
    sale_date, suspect = happened_at(
        command.client_timestamp,
        run.recorded_at,
        is_offline=run.is_offline,
        tolerance=tolerance_of(run.session),
    )
    assert command.warehouse is not None
    lines = tuple(
        price_line(run, command, number, asked, item, sale_date)
        for number, (asked, item) in enumerate(lines_of(run, entry, goods))
    )
    seller_id, seller_name, lines = seller_of(run, command, lines)
    totals, returned = _totals(run, entry, lines), None
    if entry.origin is not None:
        returned = _returned(run, entry, entry.origin)
        totals = net_totals(totals, returned.totals)
    check_discount(run, command, lines, totals)
    settled = settle(run, entry.sent, totals.total_amount, returned, command.customer_id)
    return SaleDraft(
        id=entry.sale_id,
        command=command,
        channel=channel_of(run.session, command.channel),
        warehouse_id=command.warehouse,
        seller_id=seller_id,
        seller_name=seller_name,
        is_offline=run.is_offline,
        recorded_at=run.recorded_at,
        sale_date=sale_date,
        clock_suspect=suspect,
        lines=lines,
        totals=totals,
        returned=settled.returned,
        payments=settled.payments,
        cash_rounding=settled.cash_rounding,
        change_due=settled.change_due,
    )


def _totals(run: Run, entry: Entry, lines: Sequence[DraftLine]) -> DocumentTotals:
    inputs = [
        LineInput(line.quantity, line.unit_price, line.discount_per_item, line.tax_rate, line.tax_inclusive)
        for line in lines
    ]
    try:
        return compute(
            inputs,
            discount=entry.command.discount_amount,
            places=run.snapshot.setting("currency_places"),
            rounding=run.snapshot.setting("tax_rounding"),
        )
    except DiscountError as error:
        raise ValidationFailed.at("discount_amount", str(error)) from error
    except ValueError as error:
        raise ValidationFailed.at("items", str(error)) from error


def _returned(run: Run, entry: Entry, origin: Origin) -> Returned:
    """Return what comes back; goods that were paid for in another currency are not set off against others."""
    returns = entry.command.returns
    assert returns is not None
    paid, present = origin.sale.currency, run.snapshot.setting("currency")
    if entry.command.items and paid != present:
        raise Conflict(
            f"The goods were paid for in {paid}; return them first, and sell the others in {present}.",
            code="other-currency",
        )
    return take_back(
        run.session,
        origin,
        returns.lines,
        where="returns.lines",
        reason=returns.reason,
        is_offline=run.is_offline,
    )
