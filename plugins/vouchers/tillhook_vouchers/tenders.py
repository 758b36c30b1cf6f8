"""Paying by voucher, and paying back on one: what the payment method's check says, and what is entered then."""

from decimal import Decimal

from sqlalchemy.orm import Session

from tillhook.errors import Conflict, DomainError, ValidationFailed
from tillhook.quantities import ZERO, format_money
from tillhook.sales import TenderDraft
from tillhook_vouchers.books import Occasion, enter, find, issue, lock_all, why_not
from tillhook_vouchers.codes import new_code, normal, unknown_code
from tillhook_vouchers.guesses import counted, require_patience
from tillhook_vouchers.models import STORE_CREDIT, UNKNOWN, Voucher


def check(session: Session, tender: TenderDraft) -> str | None:
    """Return the code under which a payment or a refund is written, the voucher locked (``PaymentMethod.check``).

    Raises:
        ValidationFailed: 422 ``vouchers-code-missing``, ``vouchers-code-mistyped`` or ``vouchers-unknown-code``.
        Conflict: 409 ``vouchers-void``, ``vouchers-expired``, ``vouchers-other-currency``, or ``vouchers-too-little``
            with the ``balance``.
        TooManyRequests: 429 ``too-many-attempts``: too many codes that were none.
        Nothing of that offline: there it has happened.
    """
    if not tender.amount:
        return None
    if not tender.is_offline:
        require_patience(session)
    code = tender.reference or tender.paid_by
    voucher = lock_all(session, tender.references).get(normal(code)) if normal(code) else None
    if tender.amount < 0:
        return _where_to(session, tender, voucher)
    if tender.is_offline:
        # Whatever it is, it was taken as money: entered, and flagged by its balance if there is not so much.
        return voucher.code if voucher else _unissued(code)
    if voucher is None:
        raise _unknown(session, tender.field, code)
    _require_good(session, tender, voucher)
    own = (each for each in tender.before if (each.method, each.reference) == (tender.method, voucher.code))
    spent = sum((each.amount for each in own), ZERO)
    left = max(voucher.balance - spent, ZERO)
    if tender.amount > left:
        raise Conflict(
            f"There is {format_money(left)} on this voucher, and {format_money(tender.amount)} is to be paid.",
            code="vouchers-too-little",
            errors=[{"field": tender.field, "message": f"The balance is {format_money(left)}."}],
            balance=format_money(left),
        )
    return voucher.code


def enter_payment(session: Session, code: str, amount: Decimal, occasion: Occasion) -> None:
    """Enter a payment by voucher, or with a negative amount money that went back on one, new or not."""
    voucher = find(session, code, lock=True)
    if amount < 0:
        if voucher is None:
            issue(session, STORE_CREDIT, -amount, occasion, entry="refunded", code=code)
        else:
            enter(session, voucher, "given_back", -amount, occasion)
        return
    # Of an unknown code nobody knows until when it is good.
    voucher = voucher or _of_nobody(session, code, occasion)
    enter(session, voucher, "redeemed", -amount, occasion)


def _where_to(session: Session, tender: TenderDraft, voucher: Voucher | None) -> str:
    """Return the code of money that goes back: where somebody said, else where it came from, else a new one."""
    if voucher is not None and (tender.is_offline or tender.paid_by):
        is_good = why_not(session, voucher, tender.currency) is None
        return voucher.code if is_good else new_code()
    if not tender.reference:
        return new_code()
    if tender.is_offline:
        return _unissued(tender.reference)
    if voucher is None:
        raise _unknown(session, tender.field, tender.reference)
    _require_good(session, tender, voucher)
    return voucher.code


def _require_good(session: Session, tender: TenderDraft, voucher: Voucher) -> None:
    fault = why_not(session, voucher, tender.currency)
    if fault is not None:
        fault.errors = [{"field": tender.field, "message": fault.detail}]
        raise fault


def _unknown(session: Session, field: str, code: str) -> DomainError:
    if not normal(code):
        return ValidationFailed.at(field, "Say the voucher's code.", code="vouchers-code-missing")
    slug, message = unknown_code(code)
    return counted(session, ValidationFailed.at(field, message, code=slug))


def _unissued(code: str) -> str:
    return code if normal(code) else new_code()


def _of_nobody(session: Session, code: str, occasion: Occasion) -> Voucher:
    voucher = Voucher(
        code=code,
        lookup=normal(code),
        kind=UNKNOWN,
        currency=occasion.currency,
        amount=ZERO,
        balance=ZERO,
        sale_id=occasion.id,
    )
    session.add(voucher)
    session.flush()
    return voucher
