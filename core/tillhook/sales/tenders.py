"""Settling a sale: tenders, change, and the methods that modules add."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from tillhook.errors import ValidationFailed
from tillhook.quantities import ZERO, format_money, round_half_up
from tillhook.runtime import runtime_of, snapshot_of
from tillhook.sales.commands import Tender
from tillhook.sales.drafts import SaleDraft
from tillhook.sales.refunds import Refund, cash_step, check_refund_methods, pay_back
from tillhook.sales.totals import round_to_step


def settle(session: Session, draft: SaleDraft) -> None:
    """Enter the tenders, the rounding of cash and the change into the draft; or how money goes back.

    What is left after the other tenders, and is paid by methods that give change, is rounded to coins that exist.
    Change is given by those methods, the last of them first, and never for more than was handed over in it.

    Raises:
        ValidationFailed: 422: an unknown method, an amount finer than the currency, too little, or too much in a
            method that gives no change; or a refund that may not be.
    """
    due = draft.totals.total_amount
    if draft.returned is not None:
        check_refund_methods(session, draft.command.refund, draft.command.refunds)
        if due <= 0:
            _settle_back(session, draft, -due)
            return
        if draft.command.refunds:
            raise ValidationFailed.at("refunds", f"Nothing goes back: {format_money(due)} is due.")
    tenders = draft.command.tenders
    methods = runtime_of(session).registry.payment_methods
    places = snapshot_of(session).setting("currency_places")
    for number, tender in enumerate(tenders):
        if tender.method not in methods:
            known = ", ".join(sorted(methods))
            raise ValidationFailed.at(_field(draft, number, "method"), f"Unknown; known are {known}.")
        if tender.amount is not None and tender.amount != round_half_up(tender.amount, places):
            raise ValidationFailed.at(
                _field(draft, number, "amount"), f"At most {places} digits after the point in this currency."
            )
    is_cash = [methods[tender.method].gives_change for tender in tenders]
    amounts, rounding = _amounts(tenders, is_cash, due, cash_step(session), draft.is_offline)
    draft.cash_rounding = rounding
    due += rounding
    for tender, amount in zip(tenders, amounts, strict=True):
        check = methods[tender.method].check
        if check is not None:
            check(session, draft, amount)
    change = sum(amounts, ZERO) - due
    if change < 0:
        raise ValidationFailed.at(
            "payments", f"{format_money(-change)} too little for the total of {format_money(due)}.", code="underpaid"
        )
    draft.change_due = change
    given = [ZERO] * len(tenders)
    for number in reversed(range(len(tenders))):
        if change and is_cash[number]:
            given[number] = min(change, amounts[number])
            change -= given[number]
    if change:
        raise ValidationFailed.at(
            "payments", f"{format_money(change)} too much, and no tender among them gives change.", code="overpaid"
        )
    draft.payments = [
        {"method": tender.method, "amount": amounts[number], "change": given[number], "reference": tender.reference}
        for number, tender in enumerate(tenders)
    ]


def _settle_back(session: Session, draft: SaleDraft, amount: Decimal) -> None:
    """Enter how ``amount``, zero or more, goes back to the customer."""
    assert draft.returned is not None
    paid = sum((tender.amount for tender in draft.command.payments if tender.amount is not None), ZERO)
    if paid:
        raise ValidationFailed.at("payments", f"{format_money(paid)} too much: nothing is due.", code="overpaid")
    if not amount:
        if draft.command.refunds:
            raise ValidationFailed.at("refunds", "Nothing goes back.", code="refund-not-the-amount")
        return
    command = draft.command
    refund = pay_back(
        session, draft.returned.kept, amount, command.refund, command.refunds, is_offline=draft.is_offline
    )
    draft.cash_rounding = refund.rounding
    draft.payments = refund_payments(refund)
    if refund.is_moved:
        draft.returned.flag("refund-moved")


def refund_payments(refund: Refund) -> list[dict[str, Any]]:
    """Return the payments of a refund as a draft keeps them; what goes out is negative."""
    return [
        {"method": tender.method, "amount": -(tender.amount or ZERO), "change": ZERO, "reference": tender.reference}
        for tender in refund.payments
    ]


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


def _field(draft: SaleDraft, number: int, name: str) -> str:
    payments = draft.command.payload.get("payments")
    return f"payments.{number}.{name}" if payments else f"payment_{name}"
