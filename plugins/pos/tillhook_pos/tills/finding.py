"""From what is on a receipt to the sale: by its signed code, its signed reference, or the number on it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access import acting_with, require_warehouse, sees_warehouse
from tillhook.errors import NotFound
from tillhook.quantities import format_money
from tillhook.runtime import actor_of
from tillhook.sales import Sale, fingerprint, get_sale
from tillhook_pos.tills.signing import SignedReceipt, looks_signed, read, read_reference

#: Who holds a receipt may see its sale, whoever sold it; within the own warehouses.
BEARER = ("sales:sale:read", "sales:sale:read_all")
_SALE = select(Sale.id, Sale.warehouse_id, Sale.fingerprint)


@dataclass(frozen=True, slots=True)
class Found:
    """What a receipt leads to.

    Args:
        sale_id: ``None`` when the sale has not come in yet, which only a code can tell of.
        signed: What the code holds.
        is_bearer: Whether the receipt itself gives the right to see the sale: a signed one, or the number on it to
            somebody who takes goods back in the same shop.
        agrees: Whether the known sale is what the code says.
    """

    sale_id: int | None
    signed: SignedReceipt | None = None
    is_bearer: bool = False
    agrees: bool | None = None


def find(session: Session, receipt: str, field: str) -> Found:
    """Return the sale that a receipt's code, reference or number names.

    Raises:
        ValidationFailed: 422 ``pos-bad-receipt-code``, ``pos-receipt-signature``.
        PermissionDenied: 403 ``foreign-warehouse``: it is another shop's receipt.
        NotFound: 404 ``unknown-sale``: no sale has this number, or not for this actor.
    """
    if not looks_signed(receipt):
        row = _number(session, receipt, field)
        may_take_back = actor_of(session).can("sales:sale:return") and sees_warehouse(session, row.warehouse_id)
        return Found(row.id, is_bearer=may_take_back)
    if receipt.startswith("TH1R."):
        row = _number(session, read_reference(session, receipt, field), field)
        require_warehouse(session, row.warehouse_id, field=field)
        return Found(row.id, is_bearer=True)
    signed = read(session, receipt, field)
    body = signed.content.body
    require_warehouse(session, body["warehouse"], field=field)
    row = session.execute(_SALE.where(Sale.external_id == body["external_id"])).first()
    if row is None:
        return Found(None, signed, is_bearer=True)
    require_warehouse(session, row.warehouse_id, field=field)
    agrees = row.fingerprint == fingerprint(signed.content.command(), signed.content.seller_id)
    # A code that says something else than the sale of its external_id gives no right to that sale.
    return Found(row.id, signed, is_bearer=agrees, agrees=agrees)


def look_up(session: Session, receipt: str) -> dict[str, Any]:
    """Return what a receipt says, and its sale if that is known and the actor may see it."""
    found = find(session, receipt, "code")
    sale = None
    if found.sale_id is not None:
        with acting_with(session, BEARER if found.is_bearer else ()):
            sale = _visible(session, found)
    kind = "code" if found.signed else "reference" if looks_signed(receipt) else "number"
    return {
        "kind": kind,
        "known": found.sale_id is not None,
        "agrees": found.agrees,
        "receipt": None if found.signed is None else _printed(found.signed),
        "sale": sale,
    }


def _visible(session: Session, found: Found) -> dict[str, Any] | None:
    assert found.sale_id is not None
    try:
        return get_sale(session, found.sale_id)
    except NotFound:
        if found.signed is not None:
            return None
        raise


def _number(session: Session, number: str, field: str) -> Any:
    row = session.execute(_SALE.where(Sale.sale_number == number)).first()
    if row is None:
        raise unknown_sale(field)
    return row


def unknown_sale(field: str) -> NotFound:
    """Return the error of a sale that is not there, or not for this actor."""
    message = "There is no such sale."
    return NotFound(message, code="unknown-sale", errors=[{"field": field, "message": message}])


def _printed(signed: SignedReceipt) -> dict[str, Any]:
    return {
        "seller": signed.content.seller_id,
        "total": None if signed.content.total is None else format_money(signed.content.total),
        "till": signed.till.id if signed.till else None,
        "code_version": signed.version,
        "is_retired": signed.is_retired,
        "body": signed.content.body,
    }
