"""Taking goods back over the counter, by what the customer brings: the receipt, and the goods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tillhook.access import acting_with, require_warehouse
from tillhook.errors import Conflict, DomainError, NotFound, PermissionDenied, ValidationFailed
from tillhook.products import ScannedCode, find_code
from tillhook.quantities import ZERO, multiply, to_units
from tillhook.runtime import actor_of
from tillhook.sales import (
    NO_DEVICE,
    Outcome,
    ReturnCommand,
    ReturnItem,
    Sale,
    SaleLine,
    Tender,
    get_sale,
    lock_family,
    return_goods,
)
from tillhook_pos.scanning.resolving import resolve
from tillhook_pos.tills.finding import BEARER, Found, find, unknown_sale

_LAST_KEY = 2**63 - 1


@dataclass(slots=True)
class _Line:
    """A line of the sale, and what can still come back of it."""

    id: int
    product_id: int
    variant_id: int | None
    left: Decimal


def take_back(session: Session, body: Mapping[str, Any], payload: dict[str, Any]) -> Outcome:
    """Take goods of a sale back.

    Args:
        body: As the schema loaded it.
        payload: As it came; kept if the return is refused.

    Raises:
        NotFound: 404 ``unknown-sale``.
        Conflict: 409 ``sale-not-synced``: the receipt is good, and its sale has not come in; or the sale is
            cancelled.
        ValidationFailed: 422: a bad receipt, an unknown line, goods that are not of this sale, more than is left.
        PermissionDenied: 403 ``foreign-warehouse``, ``foreign-device``.
    """
    found, field = _found(session, body)
    if found.sale_id is None:
        message = "The sale of this receipt has not been synced yet; restore it from the receipt first."
        raise Conflict(message, code="sale-not-synced", errors=[{"field": field, "message": message}])
    if found.agrees is False:
        message = "Another sale has come in under the id of this receipt."
        raise Conflict(message, code="pos-receipt-differs", errors=[{"field": field, "message": message}])
    device = _device(session, body["source_device"])
    with acting_with(session, BEARER if found.is_bearer else ()):
        sale = _sale(session, found.sale_id, field)
        require_warehouse(session, sale["warehouse"], field=field)
        items, asked_of = _items(session, sale, body)
        command = ReturnCommand(
            lines=tuple(items),
            reason=body["reason"],
            refund=body["refund"],
            refunds=tuple(Tender(**refund) for refund in body["refunds"] or ()),
            external_id=body["external_id"],
            source_device=device,
            client_timestamp=body["client_timestamp"],
            payload=payload,
        )
        try:
            return return_goods(session, found.sale_id, command)
        except DomainError as error:
            error.errors = [{**each, "field": _asked(each["field"], asked_of, body)} for each in error.errors]
            raise


def _found(session: Session, body: Mapping[str, Any]) -> tuple[Found, str]:
    """Return the sale, and the field that named it."""
    if body["sale_id"] is not None:
        return Found(body["sale_id"]), "sale_id"
    field = "receipt" if body["receipt"] is not None else "sale_number"
    return find(session, body[field], field), field


def _device(session: Session, asked: str | None) -> str:
    """Return at whose till the money goes back; a device's key pays from its own drawer only."""
    bound = actor_of(session).device
    if bound is None:
        return asked or NO_DEVICE
    if asked not in (None, bound):
        raise PermissionDenied(
            "This key is bound to another device.",
            code="foreign-device",
            errors=[{"field": "source_device", "message": f"This key is of the device {bound}."}],
        )
    return bound


def _sale(session: Session, sale_id: int, field: str) -> dict[str, Any]:
    """Return the sale, locked, so that what is left of its lines stays so."""
    try:
        get_sale(session, sale_id)
    except NotFound:
        raise unknown_sale(field) from None
    lock_family(session, sale_id)
    return get_sale(session, sale_id)


def _items(session: Session, sale: Mapping[str, Any], body: Mapping[str, Any]) -> tuple[list[ReturnItem], list[int]]:
    """Return the lines to take back, and of each the line of the request that asked for it."""
    lines = _lines(session, sale, body["external_id"])
    items: list[ReturnItem] = []
    asked_of: list[int] = []
    for number, asked in enumerate(body["lines"]):
        for line_id, quantity in _parts(session, lines, number, asked, sale["warehouse"]):
            named = {name: asked[name] for name in ("restock", "batch_number")}
            items.append(ReturnItem(line_id=line_id, quantity=quantity, **named))
            asked_of.append(number)
    return items, asked_of


def _lines(session: Session, sale: Mapping[str, Any], external_id: str | None) -> list[_Line]:
    """Return the sale's lines with what was left of them.

    For a return that comes again, as it was the first time: else what it takes by barcode would be other lines, and
    it another return.
    """
    known = None
    if external_id is not None:
        of_sale = Sale.origin_id == sale["id"]
        known = session.scalar(select(Sale.id).where(Sale.external_id == external_id, of_sale))
    returned = _returned(session, sale["id"], known or _LAST_KEY)
    return [
        _Line(
            item["id"],
            item["product"],
            item["variant"],
            max(Decimal(item["quantity"]) - returned.get(item["id"], ZERO), ZERO),
        )
        for item in sale["items"]
        if Decimal(item["quantity"]) > 0
    ]


def _returned(session: Session, sale_id: int, before: int) -> dict[int | None, Decimal]:
    """Return what came back of the sale's lines in documents whose key is below ``before``."""
    statement = (
        select(SaleLine.origin_line_id, -func.sum(SaleLine.quantity))
        .join(Sale, Sale.id == SaleLine.sale_id)
        .where(Sale.origin_id == sale_id, Sale.kind.in_(("return", "exchange")), Sale.id < before)
        .where(SaleLine.origin_line_id.is_not(None))
        .group_by(SaleLine.origin_line_id)
    )
    return dict(session.execute(statement).all())


def _parts(
    session: Session, lines: Sequence[_Line], number: int, asked: Mapping[str, Any], warehouse_id: int
) -> list[tuple[int, Decimal]]:
    """Return of which lines how much comes back for a line of the request; the core says if it is too much."""
    if asked["code"] is not None:
        return _spread(session, lines, number, asked, warehouse_id)
    if asked["line_id"] is not None:
        taken = next((line for line in lines if line.id == asked["line_id"]), None)
        field = "line_id"
    else:
        taken = lines[asked["position"]] if asked["position"] < len(lines) else None
        field = "position"
    if taken is None:
        raise ValidationFailed.at(f"lines.{number}.{field}", "Not a line of this sale.", code="unknown-line")
    taken.left = max(taken.left - asked["quantity"], ZERO)
    return [(taken.id, asked["quantity"])]


def _scanned(session: Session, code: str, warehouse_id: int, field: str) -> ScannedCode | None:
    """Return what a code on the goods stands for; what is no longer for sale may still come back."""
    plain = find_code(session.connection(), code)
    if plain is not None:
        return plain
    try:
        return resolve(session, code, warehouse_id).scanned
    except NotFound:
        return None
    except ValidationFailed as error:
        error.errors = [{"field": field, "message": error.detail}]
        raise


def _spread(
    session: Session, lines: Sequence[_Line], number: int, asked: Mapping[str, Any], warehouse_id: int
) -> list[tuple[int, Decimal]]:
    """Spread a quantity of what a code stands for over the lines that sold it, in their order."""
    field = f"lines.{number}"
    scanned = _scanned(session, asked["code"], warehouse_id, f"{field}.code")
    sold = [
        line
        for line in lines
        if scanned is not None
        and line.product_id == scanned.product_id
        and line.variant_id in (None, scanned.variant_id)
    ]
    if scanned is None or not sold:
        raise ValidationFailed.at(f"{field}.code", "Nothing of this sale has the code.", code="pos-not-of-this-sale")
    rest = multiply(asked["quantity"], scanned.pack_quantity)
    try:
        to_units(rest)
    except ValueError:
        raise ValidationFailed.at(f"{field}.quantity", "More, or finer, than stock is counted in.") from None
    parts: list[tuple[int, Decimal]] = []
    for line in sold:
        part = min(rest, line.left)
        if part:
            parts.append((line.id, part))
            line.left -= part
            rest -= part
    if rest:
        left = sum((part for _, part in parts), ZERO)
        message = f"Only {left.normalize():f} of it can come back." if left else "All of it came back before."
        raise ValidationFailed.at(f"{field}.quantity", message, code="returns-more-than-sold")
    return parts


def _asked(field: str, asked_of: Sequence[int], body: Mapping[str, Any]) -> str:
    """Return the request's name for a field of the core's return."""
    head, _, rest = field.partition(".")
    if head != "lines":
        return field
    place, _, name = rest.partition(".")
    number = asked_of[int(place)]
    if name == "line_id":
        name = next(each for each in ("line_id", "position", "code") if body["lines"][number][each] is not None)
    return f"lines.{number}.{name}"
