"""Settling a sale: tenders, change, and the methods that modules add."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy.orm import Session

from tillhook.errors import ValidationFailed
from tillhook.quantities import ZERO, format_money, round_half_up
from tillhook.runtime import runtime_of, snapshot_of
from tillhook.sales.commands import SaleCommand, Tender
from tillhook.sales.drafts import Payment, Returned, SaleDraft
from tillhook.sales.posting.entries import Run
from tillhook.sales.returns import cash_step, check_refund_methods, pay_back
from tillhook.sales.totals import round_to_step


class Settlement(NamedTuple):
    """How a sale is paid, or its money goes back; ``returned`` is marked where that went otherwise than asked."""

    payments: tuple[Payment, ...] = ()
    cash_rounding: Decimal = ZERO
    change_due: Decimal = ZERO
    returned: Returned | None = None


def settle(
    run: Run, sent: SaleCommand, due: Decimal, returned: Returned | None, draft: Callable[..., SaleDraft]
) -> Settlement:
    """Return the tenders of a sale, the rounding of cash and the change; or how money goes back.

    What is left after the other tenders, and is paid by methods that give change, is rounded to coins that exist.
    Change is given by those methods, the last of them first, and never for more than was handed over in it.

    In a quote methods are not asked, and too little is no error.

    Args:
        due: The total; negative when money goes back.
        draft: Makes the draft that methods with a check are asked about.

    Raises:
        ValidationFailed: 422: an unknown method, an amount finer than the currency, too little, or too much in a
            method that gives no change; or a refund that may not be.
    """
    session = run.session
    if returned is not None:
        check_refund_methods(session, sent.refund, sent.refunds)
        if due <= 0:
            return _settled_back(run, sent, returned, -due)
        if sent.refunds:
            raise ValidationFailed.at("refunds", f"Nothing goes back: {format_money(due)} is due.")
    methods = runtime_of(session).registry.payment_methods
    tenders = sent.tenders
    _check_tenders(session, sent)
    is_cash = [methods[tender.method].gives_change for tender in tenders]
    amounts, rounding = _amounts(tenders, is_cash, due, cash_step(session), run.is_offline)
    due += rounding
    for tender, amount in zip(tenders, amounts, strict=True):
        check = methods[tender.method].check
        if check is not None and not run.is_quote:
            check(session, draft(returned=returned, cash_rounding=rounding), amount)
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
        if rest and is_cash[number]:
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
    return Settlement(payments, rounding, change, returned)


def has_check(session: Session, command: SaleCommand) -> bool:
    """Say whether a method by which the sale is paid has a check of its own."""
    methods = runtime_of(session).registry.payment_methods
    return any(tender.method in methods and methods[tender.method].check is not None for tender in command.tenders)


def _check_tenders(session: Session, sent: SaleCommand) -> None:
    methods = runtime_of(session).registry.payment_methods
    places = snapshot_of(session).setting("currency_places")
    for number, tender in enumerate(sent.tenders):
        if tender.method not in methods:
            known = ", ".join(sorted(methods))
            raise ValidationFailed.at(_field(sent, number, "method"), f"Unknown; known are {known}.")
        if tender.amount is not None and tender.amount != round_half_up(tender.amount, places):
            raise ValidationFailed.at(
                _field(sent, number, "amount"), f"At most {places} digits after the point in this currency."
            )


def _settled_back(run: Run, sent: SaleCommand, returned: Returned, amount: Decimal) -> Settlement:
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
    return Settlement(refund.payments, refund.rounding, returned=returned)


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
