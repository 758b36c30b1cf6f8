"""Making payment methods, changing them, and switching them off."""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.access import audit, audit_changes
from tillhook.db import RetryTransaction
from tillhook.errors import Conflict, NotFound, ValidationFailed
from tillhook.hooks import PaymentMethod
from tillhook.reference import bump_epoch
from tillhook.runtime import runtime_of, snapshot_of
from tillhook.sales.methods.models import ShopMethod
from tillhook.sales.methods.schemas import MethodOut
from tillhook.sales.models import SalePayment

_SLUG = re.compile(r"[a-z][a-z0-9_]*")
#: What an answer's ``payment_method`` says of several.
_RESERVED = ("split",)
_FREE = ("title", "is_active")
_PLAIN = {
    **dict.fromkeys(("opens_drawer", "gives_change", "counts_as_cash", "takes_refunds"), False),
    "is_active": True,
}


def list_methods(session: Session) -> list[dict[str, Any]]:
    """Return every method, those of modules first, the shop's own by name."""
    snapshot = snapshot_of(session)
    declared = runtime_of(session).registry.payment_methods
    names = [*declared, *(name for name in snapshot.payment_methods if name not in declared)]
    return [
        MethodOut.of(
            snapshot.payment_methods[name], is_active=name not in snapshot.methods_off, is_declared=name in declared
        )
        for name in names
    ]


def create_method(session: Session, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Make a method.

    Raises:
        ValidationFailed: 422: the name is no slug.
        Conflict: 409 ``duplicate-name``: another has it, or a module's.
    """
    name = fields["name"]
    if not _SLUG.fullmatch(name) or name in _RESERVED:
        raise ValidationFailed.at("name", "Small letters, digits and _, beginning with a letter; not split.")
    row = session.get(ShopMethod, name, with_for_update=True)
    if name in runtime_of(session).registry.payment_methods or (row is not None and row.title):
        raise Conflict(
            f"There is a payment method {name} already.",
            code="duplicate-name",
            errors=[{"field": "name", "message": "Taken already."}],
        )
    # What was said of a module's method that is gone makes room.
    row = row or ShopMethod(name=name)
    for each, value in {**_PLAIN, "title": name, **fields}.items():
        setattr(row, each, value)
    session.add(row)
    _flush(session)
    shown = _shown(row)
    audit(session, "create", "payment_method", name, after=shown)
    bump_epoch(session)
    return shown


def update_method(session: Session, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Change a method; one that was used keeps what it does, for what was paid by it was counted so.

    Raises:
        NotFound: 404.
        Conflict: 409 ``payment-method-declared``: a module's can be switched off and on only; or
            ``payment-method-used``.
    """
    declared = runtime_of(session).registry.payment_methods.get(name)
    row = session.get(ShopMethod, name, with_for_update=True)
    if declared is not None:
        if fields.keys() - {"is_active"}:
            raise Conflict(
                f"{name} belongs to a module, and can only be switched off and on.", code="payment-method-declared"
            )
        row = row or ShopMethod(name=name, title="", **_PLAIN)
        session.add(row)
    elif row is None or not row.title:
        raise _unknown(name)
    before = _shown(row, declared)
    changes = {each for each, value in fields.items() if before[each] != value}
    if changes.difference(_FREE) and _is_used(session, name):
        raise Conflict(
            f"{name} has been paid by: make another method, and switch this one off.",
            code="payment-method-used",
            errors=[{"field": min(changes.difference(_FREE)), "message": "Of a used method it stays."}],
        )
    for each in changes:
        setattr(row, each, fields[each])
    _flush(session)
    shown = _shown(row, declared)
    if audit_changes(session, "payment_method", name, before, shown):
        bump_epoch(session)
    return shown


def delete_method(session: Session, name: str) -> None:
    """Delete a method that nobody ever paid by; one with history, or a module's, is switched off instead.

    Raises:
        NotFound: 404.
    """
    if name in runtime_of(session).registry.payment_methods or _is_used(session, name):
        update_method(session, name, {"is_active": False})
        return
    row = session.get(ShopMethod, name, with_for_update=True)
    if row is None or not row.title:
        raise _unknown(name)
    audit(session, "delete", "payment_method", name, before=_shown(row))
    session.delete(row)
    session.flush()
    bump_epoch(session)


def _unknown(name: str) -> NotFound:
    return NotFound(f"There is no payment method {name}.", code="unknown-payment-method")


def _is_used(session: Session, name: str) -> bool:
    return session.scalar(select(SalePayment.id).where(SalePayment.method == name).limit(1)) is not None


def _shown(row: ShopMethod, declared: PaymentMethod | None = None) -> dict[str, Any]:
    return MethodOut.of(declared or row, is_active=row.is_active, is_declared=declared is not None)


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        raise RetryTransaction from error  # somebody took the name meanwhile; the next attempt sees it
