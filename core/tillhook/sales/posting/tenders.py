"""Settling a sale: tenders, change, and the methods that modules add."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy.orm import Session

from tillhook.errors import ValidationFailed
from tillhook.quantities import ZERO, format_money, round_half_up
from tillhook.runtime import snapshot_of
from tillhook.sales.commands import SaleCommand, Tender
from tillhook.sales.drafts import Payment, Returned
from tillhook.sales.payment_checks import ask_methods
from tillhook.sales.posting.entries import Run
from tillhook.sales.returns import cash_step, check_refund_methods, pay_back, require_method
from tillhook.sales.totals import round_to_step


class Settlement(NamedTuple):
    """How a sale is paid, or its money goes back; ``returned`` is marked where that went otherwise than asked."""

    payments: tuple[Payment, ...] = ()
    cash_rounding: Decimal = ZERO
    change_due: Decimal = ZERO
    returned: Returned | None = None


def settle(run: Run, sent: SaleCommand, due: Decimal, returned: Returned | None, customer_id: int | None) -> Settlement:
    """Return the tenders of a sale, the rounding of cash and the change; or how money goes back.

    What is left after the other tenders, and is paid by methods that count as cash, is rounded to coins that exist.
    Change is given for methods that give it, the last of them first, and never for more than was handed over in it.

    In a quote methods are not asked, and too little is no error.

    Args:
        due: The total; negative when money goes back.

    Raises:
        ValidationFailed: 422: a method that is unknown or switched off, an amount finer than the currency, too little,
            or too much in a method that gives no change; or a refund that may not be.
        DomainError: A method's veto.
    """
    session = run.session
    if returned is not None:
        check_refund_methods(session, sent.refund, sent.refunds, is_offline=run.is_offline)
        if due <= 0:
            return _settled_back(run, sent, returned, -due, customer_id)
        if sent.refunds:
            raise ValidationFailed.at("refunds", f"Nothing goes back: {format_money(due)} is due.")
    methods = snapshot_of(session).payment_methods
    tenders = sent.tenders
    _check_tenders(session, sent, run.is_offline)
    is_cash = [methods[tender.method].counts_as_cash for tender in tenders]
    amounts, rounding = _amounts(tenders, is_cash, due, cash_step(session), run.is_offline)
    due += rounding
    change = sum(amounts, ZERO) - due
    if change < 0 and run.is_quote:
        # The rest may still be paid.
        change = ZERO
    if change < 0:
        raise ValidationFailed.at(
            "payments", f"{format_money(-change)} too little for the total of {format_money(due)}.", code="underpaid"
        )
    given, rest = [ZERO] * len(tenders), change
    for number in reversed(range(len(tenders))):
        if rest and methods[tenders[number].method].gives_change:
            given[number] = min(rest, amounts[number])
            rest -= given[number]
    if rest:
        raise ValidationFailed.at(
            "payments", f"{format_money(rest)} too much, and no tender among them gives change.", code="overpaid"
        )
    payments = tuple(
        Payment(tender.method, amount, back, tender.reference)
        for tender, amount, back in zip(tenders, amounts, given, strict=True)
    )
    if not run.is_quote:
        payments = ask_methods(
            session,
            payments,
            field=lambda number: _field(sent, number, "reference"),
            currency=run.snapshot.setting("currency"),
            customer_id=customer_id,
            is_offline=run.is_offline,
        )
    return Settlement(payments, rounding, change, returned)


def has_check(session: Session, command: SaleCommand) -> bool:
    """Say whether a method by which the sale is paid has a check of its own."""
    methods = snapshot_of(session).payment_methods
    return any(tender.method in methods and methods[tender.method].check is not None for tender in command.tenders)


def _check_tenders(session: Session, sent: SaleCommand, is_offline: bool) -> None:
    places = snapshot_of(session).setting("currency_places")
    for number, tender in enumerate(sent.tenders):
        require_method(session, tender.method, _field(sent, number, "method"), is_offline=is_offline)
        if tender.amount is not None and tender.amount != round_half_up(tender.amount, places):
            raise ValidationFailed.at(
                _field(sent, number, "amount"), f"At most {places} digits after the point in this currency."
            )


def _settled_back(
    run: Run, sent: SaleCommand, returned: Returned, amount: Decimal, customer_id: int | None
) -> Settlement:
    """Return how ``amount``, zero or more, goes back to the customer."""
    paid = sum((tender.amount for tender in sent.payments if tender.amount is not None), ZERO)
    if paid:
        raise ValidationFailed.at("payments", f"{format_money(paid)} too much: nothing is due.", code="overpaid")
    if not amount:
        if sent.refunds:
            raise ValidationFailed.at("refunds", "Nothing goes back.", code="refund-not-the-amount")
        return Settlement(returned=returned)
    refund = pay_back(run.session, returned.money_left, amount, sent.refund, sent.refunds, is_offline=run.is_offline)
    if refund.is_moved:
        returned = returned.flagged("refund-moved")
    payments = refund.payments
    if not run.is_quote:
        payments = ask_methods(
            run.session,
            payments,
            field=lambda _: "refunds",
            paid_by=refund.paid_by,
            currency=returned.origin.sale.currency,
            customer_id=customer_id,
            is_offline=run.is_offline,
        )
    return Settlement(payments, refund.rounding, returned=returned)


def _amounts(
    tenders: Sequence[Tender], is_cash: Sequence[bool], due: Decimal, step: Decimal, is_offline: bool
) -> tuple[list[Decimal], Decimal]:
    """Return the amounts, and what the rounding of cash adds; a tender without amount pays what the others leave."""
    amounts = [tender.amount for tender in tenders]
    open_number = amounts.index(None) if None in amounts else None
    named = sum((amount for amount in amounts if amount is not None), ZERO)
    rounding = ZERO
    if step and any(is_cash):
        if open_number is not None and not is_cash[open_number]:
            others = max(due - named, ZERO)
        else:
            others = ZERO
        others += sum((amount or ZERO for amount, cash in zip(amounts, is_cash, strict=True) if not cash), ZERO)
        rest = due - others
        # Paid to the cent offline, it was: the device knew of no rounding then.
        happened = is_offline and open_number is None and named == due
        if rest > 0 and not happened:
            rounding = round_to_step(rest, step) - rest
    if open_number is not None:
        amounts[open_number] = max(due - named + (rounding if is_cash[open_number] else ZERO), ZERO)
    return [amount or ZERO for amount in amounts], rounding


def _field(sent: SaleCommand, number: int, name: str) -> str:
    return f"payments.{number}.{name}" if sent.payload.get("payments") else f"payment_{name}"
