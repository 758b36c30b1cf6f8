"""The codes of the server's own receipts, made from the journal's rows.

The body that a sale came with is not kept. What it may have said is tried until its fingerprint is the sale's; when
none is, no code is made, for one that posts another sale would be worse.
"""

import itertools
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.quantities import format_quantity
from tillhook.sales import Sale, fingerprint, sales_by_id
from tillhook_pos.documents import CHANNEL
from tillhook_pos.tills.contents import Content
from tillhook_pos.tills.signing import MAX_PRINTED, sign_by_server, sign_reference

#: Sales of more lines would make no code short enough to print.
_MAX_LINES = 120
_CUSTOMER = ("customer_name", "customer_phone", "customer_email")


def receipt_code(session: Session, sale_id: int) -> str | None:
    """Return the code that holds the whole sale, ``None`` where none can be printed.

    That is so for what has no ``external_id``, for returns and exchanges, for sales whose body cannot be told from
    their rows, and for those too long for a code that a camera reads off paper.
    """
    sale = sales_by_id(session, [sale_id]).get(sale_id)
    if sale is None or (sale["kind"], sale["channel"]) != ("sale", CHANNEL):
        return None
    if sale["external_id"] is None or sale["seller"] is None:
        return None
    if len(sale["items"]) > _MAX_LINES:
        return None
    known = session.scalar(select(Sale.fingerprint).where(Sale.id == sale_id))
    for body in _bodies(sale):
        content = Content(sale["seller"], body, Decimal(sale["amount_due"]))
        if fingerprint(content.command(), sale["seller"]) == known:
            code = sign_by_server(session, content)
            return code if len(code) <= MAX_PRINTED else None
    return None


def receipt_reference(session: Session, sale_id: int) -> str:
    """Return the signed name of a document, which every receipt can carry."""
    number = session.execute(select(Sale.sale_number).where(Sale.id == sale_id)).scalar_one()
    return sign_reference(session, number)


def _bodies(sale: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the bodies that the sale may have come with, the likeliest first."""
    fixed = {
        "external_id": sale["external_id"],
        "warehouse": sale["warehouse"],
        "source_device": sale["source_device"],
        "device_number": sale["device_number"],
        "client_timestamp": _stamp(sale["client_timestamp"]),
        "discount_amount": _short(sale["discount_amount"]),
        "notes": sale["notes"],
        "customer_id": sale["customer_id"],
    }
    lots = (True, False) if any(item["batch_number"] for item in sale["items"]) else (False,)
    for customer, payments, price, lot in itertools.product(_customers(sale), _tenders(sale), (True, False), lots):
        items = [_item(item, price=price, lot=lot) for item in sale["items"]]
        body = {**fixed, **customer, **payments, "items": items}
        yield {name: value for name, value in body.items() if value not in (None, "", "0")}


def _item(item: Mapping[str, Any], *, price: bool, lot: bool) -> dict[str, Any]:
    said = {
        "product_id": item["product"],
        "quantity": item["quantity"],
        "unit_price": _short(item["unit_price"]) if price else None,
        "variant_id": item["variant"],
        "discount_per_item": None if not Decimal(item["discount_per_item"]) else _short(item["discount_per_item"]),
        "batch_number": item["batch_number"] if lot else None,
        "expiry_date": item["expiry_date"] if lot else None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _customers(sale: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was said of the customer; what was left out, the journal took from the customer's record."""
    said = {name: sale[name] for name in _CUSTOMER}
    if sale["customer_id"] is None:
        return [said]
    ways = itertools.product(*(("", said[name]) if said[name] else ("",) for name in _CUSTOMER))
    return [dict(zip(_CUSTOMER, way, strict=True)) for way in ways]


def _tenders(sale: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how the means of payment may have been said: with their amounts, or one that pays all."""
    payments = [
        {"method": each["method"], "amount": _short(each["amount"]), "reference": each["reference"]}
        for each in sale["payments"]
    ]
    ways: list[dict[str, Any]] = [{"payments": payments}]
    if len(payments) == 1:
        only = payments[0]
        ways.append({"payment_method": only["method"], "payment_reference": only["reference"]})
    return ways


def _short(amount: str) -> str:
    return format_quantity(Decimal(amount))


def _stamp(instant: str | None) -> str | None:
    return None if instant is None else instant.replace(".000000Z", "Z")
