"""Asking methods of payment about what is paid by them, before anything is written."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from tillhook.errors import Conflict
from tillhook.runtime import snapshot_of
from tillhook.sales.drafts import Payment, TenderDraft


def ask_methods(
    session: Session,
    payments: Sequence[Payment],
    *,
    field: Callable[[int], str],
    paid_by: Sequence[str] = (),
    currency: str,
    customer_id: int | None,
    is_offline: bool = False,
) -> tuple[Payment, ...]:
    """Return the payments under the references that their methods' checks answer.

    Args:
        field: The path of a payment's reference in the body, by its number.
        paid_by: The references of refunds that nobody said, which are those by which the money came in.

    Raises:
        Conflict: 409 ``payment-method-gone``: money went in by what only a plugin knows that is not enabled, so nobody
            would hear that it goes back. Offline it has gone back.
        DomainError: A check's veto.
    """
    methods = snapshot_of(session).payment_methods
    done: list[Payment] = []
    for number, payment in enumerate(payments):
        method = methods.get(payment.method)
        if method is None and not is_offline:
            raise Conflict(
                f"Nobody here knows {payment.method}, by which it was paid: enable its plugin.",
                code="payment-method-gone",
                method=payment.method,
            )
        if method is not None and method.check is not None:
            is_known = payment.reference in paid_by
            tender = TenderDraft(
                method=payment.method,
                amount=payment.amount - payment.change,
                reference="" if is_known else payment.reference,
                paid_by=payment.reference if is_known else "",
                field=field(number),
                before=tuple(done),
                references=tuple(each.reference for each in payments if each.method == payment.method),
                currency=currency,
                customer_id=customer_id,
                is_offline=is_offline,
            )
            answer = method.check(session, tender)
            payment = payment if answer is None else replace(payment, reference=answer)
        done.append(payment)
    return tuple(done)
