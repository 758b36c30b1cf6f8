"""Issuing, extending, voiding and listing vouchers."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.access import audit
from tillhook.db import RetryTransaction, utc_now
from tillhook.errors import Conflict, ValidationFailed
from tillhook.http import narrowed, page
from tillhook.parties import Party
from tillhook.quantities import ZERO, round_half_up
from tillhook.runtime import actor_of, snapshot_of
from tillhook_vouchers import permissions
from tillhook_vouchers.books import Occasion, enter, find, issue, status_of, today
from tillhook_vouchers.codes import masked, normal
from tillhook_vouchers.models import UNKNOWN, Voucher, VoucherEntry
from tillhook_vouchers.schemas import EntryOut, VoucherOut

#: A shop's own printed code; shorter ones are guessed.
SHORTEST_CODE = 8


def grant(session: Session, fields: Mapping[str, Any]) -> Voucher:
    """Issue a voucher that nobody has paid for, on the shop's own printed code if there is one.

    A code under which a device has sold already, and that nobody knew, is issued now: its balance takes that off.

    Raises:
        ValidationFailed: 422: an amount finer than the currency, a day that is over, no such customer, a bad code.
        Conflict: 409 ``vouchers-code-taken``.
    """
    snapshot = snapshot_of(session)
    places, amount, code = snapshot.setting("currency_places"), fields["amount"], fields.get("code")
    if amount != round_half_up(amount, places):
        raise ValidationFailed.at("amount", f"At most {places} digits after the point in this currency.")
    _require_future(session, fields.get("expires_on"))
    customer_id = fields.get("customer_id")
    if customer_id is not None and session.get(Party, customer_id) is None:
        raise ValidationFailed.at("customer_id", "There is no such customer.", code="unknown-customer")
    given = {name: fields[name] for name in ("code", "expires_on", "customer_id") if fields.get(name) is not None}
    occasion = Occasion(snapshot.setting("currency"), reason=fields["reason"])
    known = _known(session, code) if code is not None else None
    try:
        if known is not None:
            known.kind, known.amount, known.reason = fields["kind"], amount, fields["reason"]
            for name in ("expires_on", "customer_id"):
                setattr(known, name, given.get(name))
            enter(session, known, "issued", amount, occasion)
        else:
            known = issue(session, fields["kind"], amount, occasion, **given)
    except IntegrityError as error:
        raise RetryTransaction from error  # somebody took the code meanwhile; the next attempt sees it
    after = {"code": masked(known.code), "kind": known.kind, "amount": amount, "reason": fields["reason"]}
    audit(session, "issue", "voucher", known.id, after=after)
    return known


def extend(session: Session, voucher: Voucher, expires_on: date | None, reason: str) -> None:
    """Let a locked voucher be good until another day, ``None`` for ever; what had expired of it is there again.

    Raises:
        Conflict: 409 ``vouchers-void``.
        ValidationFailed: 422: a day that is over.
    """
    _require_live(voucher)
    _require_future(session, expires_on)
    before, voucher.expires_on = voucher.expires_on, expires_on
    expired = session.scalar(
        select(func.sum(VoucherEntry.amount)).where(
            VoucherEntry.voucher_id == voucher.id, VoucherEntry.kind.in_(("expired", "reinstated"))
        )
    )
    if expired:
        enter(session, voucher, "reinstated", -expired, Occasion(voucher.currency, reason=reason))
    session.flush()
    after = {"expires_on": expires_on, "reason": reason}
    audit(session, "extend", "voucher", voucher.id, before={"expires_on": before}, after=after)


def void(session: Session, voucher: Voucher, reason: str) -> None:
    """End a locked voucher; what is left of it is owed no more.

    Raises:
        Conflict: 409 ``vouchers-void``: it is already.
    """
    _require_live(voucher)
    left = max(voucher.balance, ZERO)
    voucher.voided_at = utc_now()
    enter(session, voucher, "voided", -left, Occasion(voucher.currency, reason=reason))
    audit(session, "void", "voucher", voucher.id, after={"amount": left, "reason": reason})


def expire(session: Session) -> None:
    """Take off what is left of vouchers whose last day is over."""
    over = select(Voucher).where(Voucher.balance > 0, Voucher.expires_on < today(session)).order_by(Voucher.id)
    statement = over.limit(1000).with_for_update().execution_options(populate_existing=True)
    while vouchers := session.scalars(statement).all():
        for voucher in vouchers:
            enter(session, voucher, "expired", -voucher.balance, Occasion(voucher.currency))


def list_vouchers(session: Session, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return a page of vouchers: the actor's own, or all for who may list them; others' codes only by their ends."""
    actor, day = actor_of(session), today(session)
    statement = select(Voucher)
    if not actor.can(permissions.LIST):
        statement = statement.where(Voucher.issued_by == actor.user_id)
    filters = {
        "code": lambda code: Voucher.lookup == normal(code),
        "customer_id": Voucher.customer_id,
        "kind": Voucher.kind,
        "sale": Voucher.sale_id,
        "expiring_before": lambda until: and_(Voucher.expires_on < until, Voucher.balance > 0),
        "status": lambda status: _has_status(status, day),
    }
    ordering = {"id": Voucher.id, "expires_on": Voucher.expires_on, "issued_at": Voucher.issued_at}
    rows, cursor = page(session, narrowed(statement, query, filters), ordering=ordering, query=query)
    shows_codes = actor.can(permissions.REVEAL)
    items = [show(voucher, day, is_masked=not shows_codes and voucher.issued_by != actor.user_id) for voucher in rows]
    return {"items": items, "next_cursor": cursor}


def show(voucher: Voucher, day: date, *, is_masked: bool = False) -> dict[str, Any]:
    """Return a voucher as the API shows it."""
    code = masked(voucher.code) if is_masked else voucher.code
    return VoucherOut.of(voucher, code=code, status=status_of(voucher, day))


def show_with_history(session: Session, voucher: Voucher) -> dict[str, Any]:
    """Return a voucher with all that happened to it, the oldest first."""
    entries = session.scalars(
        select(VoucherEntry).where(VoucherEntry.voucher_id == voucher.id).order_by(VoucherEntry.id)
    )
    return show(voucher, today(session)) | {"entries": [EntryOut.of(entry) for entry in entries]}


def _has_status(status: str, day: date) -> Any:
    is_over = and_(Voucher.expires_on.is_not(None), Voucher.expires_on < day)
    live = and_(Voucher.voided_at.is_(None), Voucher.balance >= 0)
    conditions = {
        "overdrawn": Voucher.balance < 0,
        "voided": and_(Voucher.voided_at.is_not(None), Voucher.balance >= 0),
        "expired": and_(live, is_over),
        "used": and_(live, ~is_over, Voucher.balance == 0),
        "active": and_(live, ~is_over, Voucher.balance > 0),
    }
    return conditions[status]


def _known(session: Session, code: str) -> Voucher | None:
    """Return the voucher of nobody that a code has, or ``None`` for one that is free."""
    if len(normal(code)) < SHORTEST_CODE or not any(char.isdigit() for char in code):
        raise ValidationFailed.at(
            "code", f"At least {SHORTEST_CODE} letters and digits, of these one digit.", code="vouchers-bad-code"
        )
    known = find(session, code, lock=True)
    if known is not None and known.kind != UNKNOWN:
        raise Conflict(
            "There is a voucher of this code already.",
            code="vouchers-code-taken",
            errors=[{"field": "code", "message": "Taken already."}],
        )
    return known


def _require_live(voucher: Voucher) -> None:
    if voucher.voided_at is not None:
        raise Conflict("This voucher is void already.", code="vouchers-void")


def _require_future(session: Session, day: date | None) -> None:
    if day is not None and day < today(session):
        raise ValidationFailed.at("expires_on", "This day is over.")
