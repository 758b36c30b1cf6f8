"""Paying money back: by the tenders that it came in, never more than came in by each.

What belongs together is the money of a sale and of all that was taken back of it, exchanges too: what a customer paid
for the first goods pays for those that they were exchanged for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.errors import ValidationFailed
from tillhook.hooks import PaymentMethod
from tillhook.quantities import ZERO, format_money, round_half_up
from tillhook.runtime import snapshot_of
from tillhook.sales.commands import Tender
from tillhook.sales.drafts import MoneyLeft, Payment
from tillhook.sales.models import Sale, SalePayment
from tillhook.sales.totals import round_to_step


@dataclass(frozen=True, slots=True)
class Refund:
    """How money goes back: its payments, negative. ``rounding`` is what the rounding of cash takes off it, positive.

    ``is_moved`` says that a tender could not take all that was asked of it, and others took the rest. ``paid_by`` are
    the references that nobody said: those by which the money came in.
    """

    payments: tuple[Payment, ...] = ()
    rounding: Decimal = ZERO
    is_moved: bool = False
    paid_by: tuple[str, ...] = ()


def money_left(session: Session, root_id: int) -> MoneyLeft:
    """Return what is left of the money of a sale; the caller holds the lock on its row."""
    methods = snapshot_of(session).payment_methods
    by_method: dict[str, Decimal] = {}
    by_reference: dict[tuple[str, str], Decimal] = {}
    # Cash that came in and that went back, each as money and exact.
    taken, given = [ZERO, ZERO], [ZERO, ZERO]
    seen: set[int] = set()
    family = select(Sale.id).where(Sale.id == root_id).cte("family", recursive=True)
    family = family.union_all(select(Sale.id).join(family, Sale.origin_id == family.c.id))
    rows = session.execute(
        select(
            Sale.id,
            Sale.total_amount,
            Sale.cash_rounding,
            SalePayment.method,
            SalePayment.amount,
            SalePayment.change,
            SalePayment.reference,
        )
        .join(family, family.c.id == Sale.id)
        .outerjoin(SalePayment, SalePayment.sale_id == Sale.id)
        .order_by(Sale.id, SalePayment.id)
    )
    for sale_id, total, rounding, method, amount, change, reference in rows:
        net = ZERO if method is None else amount - change
        if method is not None:
            by_method[method] = by_method.get(method, ZERO) + net
            if _has_check(methods, method):
                by_reference[method, reference] = by_reference.get((method, reference), ZERO) + net
        cash = exact = net if _is_cash(methods, method) else ZERO
        if sale_id not in seen:
            # A document's rounding is its cash's, even where it rounded all of that away.
            seen.add(sale_id)
            exact -= rounding
        if total < 0:
            given = [given[0] - cash, given[1] - exact]
        else:
            taken = [taken[0] + cash, taken[1] + exact]
    return MoneyLeft(MappingProxyType(by_method), MappingProxyType(by_reference), *taken, *given)


def _cash_for(money: MoneyLeft, exact: Decimal, step: Decimal) -> Decimal:
    """Return the money for ``exact`` of cash: all returns so far are rounded together, less what they gave."""
    until = money.cash_back_exact + exact
    if until >= money.cash_in_exact:
        cash = money.cash_in
    else:
        cash = min(round_to_step(until, step) if step else until, money.cash_in)
    return max(cash - money.cash_back, ZERO)


def pay_back(
    session: Session,
    money: MoneyLeft,
    amount: Decimal,
    refund: str | None,
    refunds: Sequence[Tender],
    *,
    is_offline: bool = False,
) -> Refund:
    """Return by which tenders ``amount``, exact and positive, goes back.

    Nothing said, by those that it came in, in their order. By a method that takes refunds, such as a voucher,
    anything may go back. Cash is rounded as cash is.

    Args:
        is_offline: The money has gone back already. What was said is taken as far as it can be, and the rest goes
            by the other tenders.

    Raises:
        ValidationFailed: 422: an unknown method; ``refund-more-than-paid``; or tenders that do not come to the amount.
    """
    check_refund_methods(session, refund, refunds, is_offline=is_offline)
    splitter = _Splitter(session, money, amount)
    if is_offline:
        return splitter.as_happened(refunds or ([Tender(method=refund)] if refund else []))
    if refunds:
        return splitter.as_split(refunds)
    if refund:
        splitter.take(refund, amount, "refund")
    splitter.take_in_order()
    return splitter.finish()


class _Splitter:
    """One amount on its way back: how much of it, exact, each method takes."""

    def __init__(self, session: Session, money: MoneyLeft, amount: Decimal) -> None:
        self._methods = snapshot_of(session).payment_methods
        self._step = cash_step(session)
        self._places = snapshot_of(session).setting("currency_places")
        self._money, self._amount, self._left = money, amount, amount
        self._shares: dict[str, Decimal] = {}
        #: Of each method what was asked for, in order: reference and amount, ``None`` for whatever it is.
        self._wanted: dict[str, list[tuple[str, Decimal | None]]] = {}

    def take(self, method: str, amount: Decimal, where: str) -> None:
        """Let a method take ``amount``, or refuse it."""
        if amount > self._cap(method):
            raise ValidationFailed.at(
                where,
                f"At most {format_money(self._cap(method), self._places)} can go back by {method},"
                " for no more was paid by it.",
                code="refund-more-than-paid",
            )
        self._add(method, amount)

    def take_in_order(self) -> None:
        """Let the tenders that the money came in take the rest, each up to what is left of it."""
        for method in self._money.by_method:
            self._add(method, min(self._paid(method), self._left))

    def as_split(self, refunds: Sequence[Tender]) -> Refund:
        """Take exactly what was asked for; cash as it is rounded."""
        cash = [number for number, tender in enumerate(refunds) if _is_cash(self._methods, tender.method)]
        for number, tender in enumerate(refunds):
            amount = tender.amount or ZERO
            if number not in cash:
                if amount > self._left:
                    self._refuse()
                self.take(tender.method, amount, f"refunds.{number}.amount")
                self._want(tender)
        if cash:
            self.take(refunds[cash[0]].method, self._left, f"refunds.{cash[0]}.amount")
        done = self.finish()
        said = sum((refunds[number].amount or ZERO for number in cash), ZERO)
        if self._left or said != self._cash_of(done):
            self._refuse()
        return done

    def as_happened(self, wanted: Iterable[Tender]) -> Refund:
        """Take what was asked for as far as it can be, the rest by the other tenders."""
        wanted = list(wanted)
        for tender in wanted:
            most = self._left if tender.amount is None else min(tender.amount, self._left)
            self._add(tender.method, min(most, self._cap(tender.method)))
            self._want(tender)
        if self._left < self._step:
            # Not a part that went another way, but what the device's own rounding left.
            for tender in wanted:
                if _is_cash(self._methods, tender.method):
                    self._add(tender.method, min(self._left, self._cap(tender.method)))
        is_moved = bool(wanted) and self._left > 0
        self.take_in_order()
        done = self.finish()
        return replace(done, is_moved=is_moved)

    def finish(self) -> Refund:
        """Round the cash and return what each method pays."""
        payments, cash = [], ZERO
        for method, share in self._shares.items():
            if _is_cash(self._methods, method):
                cash += share
        money = rest = _cash_for(self._money, cash, self._step) if cash else ZERO
        cash_methods = [method for method in self._shares if _is_cash(self._methods, method)]
        for method, share in self._shares.items():
            if method in cash_methods:
                # Of several currencies' drawers the last one takes what is left.
                share = rest if method == cash_methods[-1] else min(rest, self._money.by_method.get(method, ZERO))
                rest -= share
            for reference, part in self._by_reference(method, share):
                payments.append(Payment(method, -part, ZERO, reference))
        wanted = {reference for each in self._wanted.values() for reference, _ in each}
        paid_by = (reference for _, reference in self._money.by_reference if reference not in wanted)
        return Refund(tuple(payments), cash - money, paid_by=tuple(paid_by))

    def _by_reference(self, method: str, share: Decimal) -> Iterator[tuple[str, Decimal]]:
        """Yield a method's share by reference: where somebody said, then, if the method asks, where it came from."""
        if not _has_check(self._methods, method):
            if share:
                yield next((reference for reference, _ in reversed(self._wanted.get(method, []))), ""), share
            return
        wanted = [(reference, amount) for reference, amount in self._wanted.get(method, []) if reference]
        came_in = [(reference, left) for (name, reference), left in self._money.by_reference.items() if name == method]
        for reference, most in (*wanted, *came_in):
            part = share if most is None else min(max(most, ZERO), share)
            if part:
                yield reference, part
                share -= part
        if share:
            yield "", share

    def _want(self, tender: Tender) -> None:
        self._wanted.setdefault(tender.method, []).append((tender.reference, tender.amount))

    def _cap(self, method: str) -> Decimal:
        """Return what may still go back by a method that somebody asks for."""
        return self._left if self._methods[method].takes_refunds else self._paid(method)

    def _paid(self, method: str) -> Decimal:
        """Return what was paid by a method and has not gone back."""
        if _is_cash(self._methods, method):
            taken = sum((share for each, share in self._shares.items() if _is_cash(self._methods, each)), ZERO)
            left = max(self._money.cash_in_exact - self._money.cash_back_exact, ZERO)
            return left - taken if method in self._money.by_method else ZERO
        return max(self._money.by_method.get(method, ZERO) - self._shares.get(method, ZERO), ZERO)

    def _add(self, method: str, amount: Decimal) -> None:
        if amount > 0:
            self._shares[method] = self._shares.get(method, ZERO) + amount
            self._left -= amount

    def _cash_of(self, refund: Refund) -> Decimal:
        return -sum((each.amount for each in refund.payments if _is_cash(self._methods, each.method)), ZERO)

    def _refuse(self) -> None:
        raise ValidationFailed.at(
            "refunds",
            f"{format_money(self._amount, self._places)} goes back, and the tenders must come to that"
            f"{', cash rounded' if self._step else ''}.",
            code="refund-not-the-amount",
        )


def cash_step(session: Session) -> Decimal:
    """Return the step to which cash is rounded, 0 for none; one that the currency cannot pay is none."""
    snapshot = snapshot_of(session)
    step: Decimal = snapshot.setting("sales.cash_rounding")
    return step if step == round_half_up(step, snapshot.setting("currency_places")) else ZERO


def require_method(session: Session, name: str, where: str, *, is_offline: bool = False) -> None:
    """Refuse a method that nobody knows, or that is switched off; offline it has been paid by.

    Raises:
        ValidationFailed: 422 ``unknown-payment-method`` or ``payment-method-off``.
    """
    snapshot = snapshot_of(session)
    if name not in snapshot.payment_methods:
        known = ", ".join(sorted(snapshot.payment_methods.keys() - snapshot.methods_off))
        raise ValidationFailed.at(where, f"Unknown; known are {known}.", code="unknown-payment-method")
    if name in snapshot.methods_off and not is_offline:
        raise ValidationFailed.at(where, f"{name} is switched off.", code="payment-method-off")


def check_refund_methods(
    session: Session, refund: str | None, refunds: Sequence[Tender], *, is_offline: bool = False
) -> None:
    """Refuse methods that nobody knows or that are switched off, and amounts finer than the currency.

    Raises:
        ValidationFailed: 422, the field named.
    """
    places = snapshot_of(session).setting("currency_places")
    for where, name in [("refund", refund), *((f"refunds.{n}.method", each.method) for n, each in enumerate(refunds))]:
        if name is not None:
            require_method(session, name, where, is_offline=is_offline)
    for number, tender in enumerate(refunds):
        if tender.amount is not None and tender.amount != round_half_up(tender.amount, places):
            raise ValidationFailed.at(
                f"refunds.{number}.amount", f"At most {places} digits after the point in this currency."
            )


def _is_cash(methods: Mapping[str, PaymentMethod], name: str | None) -> bool:
    # The method of an old payment may have gone with its module.
    return name is not None and name in methods and methods[name].counts_as_cash


def _has_check(methods: Mapping[str, PaymentMethod], name: str) -> bool:
    return name in methods and methods[name].check is not None
