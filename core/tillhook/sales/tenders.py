"""Settling a sale: tenders, change, and the methods that modules add."""

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy.orm import Session

from tillhook.errors import ValidationFailed
from tillhook.quantities import ZERO, format_money, round_half_up
from tillhook.runtime import runtime_of, snapshot_of
from tillhook.sales.commands import Tender
from tillhook.sales.drafts import SaleDraft


def settle(session: Session, draft: SaleDraft) -> None:
    """Enter the tenders and the change into the draft.

    Change is given by methods that give change, the last of them first, and never for more than was handed
    over in it.

    Raises:
        ValidationFailed: 422: an unknown method, an amount finer than the currency, too little, or too much in a
            method that gives no change.
    """
    due = draft.totals.total_amount
    tenders = draft.command.tenders
    methods = runtime_of(session).registry.payment_methods
    amounts = _amounts(tenders, due)
    places = snapshot_of(session).setting("currency_places")
    for number, tender in enumerate(tenders):
        method = methods.get(tender.method)
        if method is None:
            known = ", ".join(sorted(methods))
            raise ValidationFailed.at(_field(draft, number, "method"), f"Unknown; known are {known}.")
        if amounts[number] != round_half_up(amounts[number], places):
            raise ValidationFailed.at(
                _field(draft, number, "amount"), f"At most {places} digits after the point in this currency."
            )
        if method.check is not None:
            method.check(session, draft, amounts[number])
    change = sum(amounts, ZERO) - due
    if change < 0:
        raise ValidationFailed.at(
            "payments", f"{format_money(-change)} too little for the total of {format_money(due)}.", code="underpaid"
        )
    draft.change_due = change
    given = [ZERO] * len(tenders)
    for number in reversed(range(len(tenders))):
        if change and methods[tenders[number].method].gives_change:
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


def _amounts(tenders: Sequence[Tender], due: Decimal) -> list[Decimal]:
    """Return the amounts; a tender without one pays what the others leave."""
    named = sum((tender.amount for tender in tenders if tender.amount is not None), ZERO)
    amounts, rest = [], max(due - named, ZERO)
    for tender in tenders:
        if tender.amount is not None:
            amounts.append(tender.amount)
        else:
            amounts.append(rest)
            rest = ZERO
    return amounts


def _field(draft: SaleDraft, number: int, name: str) -> str:
    payments = draft.command.payload.get("payments")
    return f"payments.{number}.{name}" if payments else f"payment_{name}"
