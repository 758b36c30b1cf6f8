"""Rows of the journal as they are written, and what a document copies of the one that it takes back.

A row is a dict by column name: amounts and quantities in units of 1/10,000, instants and days as text.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy.exc import IntegrityError

from tillhook.db import RetryTransaction, format_instant
from tillhook.ledger import Issued, TakenLot
from tillhook.quantities import to_units
from tillhook.sales.drafts import DraftLine, Payment, Returned, SaleDraft

#: What stands between a channel's prefix and the day in the numbers of a kind of document.
NUMBER_MARKS = {"sale": "", "return": "R", "exchange": "X", "cancellation": "C"}
#: What a document that takes a sale back has in common with it.
SALE_COPIES = (
    "channel",
    "warehouse_id",
    "customer_id",
    "customer_name",
    "customer_phone",
    "customer_email",
    "currency",
    "tax_rounding",
)
#: What a line that comes back has in common with the line that was sold.
LINE_COPIES = (
    "product_id",
    "variant_id",
    "product_name",
    "variant_details",
    "unit_price",
    "catalogue_price",
    "discount_per_item",
    "tax_id",
    "tax_rate",
    "tax_inclusive",
    "batch_number",
    "expiry_date",
)
_TAKEN = ("external_id", "sale.id", "sale_line.id")


class DocumentRows(NamedTuple):
    """A document as it is written: its rows of ``sale``, ``sale_line``, ``sale_payment``, and perhaps ``sale_sent``.

    ``lots`` says what lines took, by number.
    """

    sale: dict[str, Any]
    lines: list[dict[str, Any]]
    payments: list[dict[str, Any]]
    lots: Mapping[int, Sequence[TakenLot]] = MappingProxyType({})
    sent: dict[str, Any] | None = None


def tables_of(documents: Collection[DocumentRows]) -> dict[str, list[Any]]:
    """Return all rows of documents by table, in the order in which they are written."""
    return {
        "sale": [document.sale for document in documents],
        "sale_line": [line for document in documents for line in document.lines],
        "sale_payment": [payment for document in documents for payment in document.payments],
        "sale_sent": [document.sent for document in documents if document.sent is not None],
        # For the rollups; see tillhook.sales.rollups.
        "sale_uncounted": [{"sale_id": document.sale["id"]} for document in documents],
    }


@contextmanager
def again_when_taken() -> Iterator[None]:
    """Run the transaction again when somebody posted the same external id since we looked; then it is found.

    So with a key that is there already, which SQLite's file of keys gave once more after it was lost.
    """
    try:
        yield
    except IntegrityError as error:
        if any(name in str(error.orig) for name in _TAKEN):
            raise RetryTransaction from error
        raise


def document_rows(draft: SaleDraft, line_ids: Sequence[int], issued: Issued, **more: Any) -> DocumentRows:
    """Return the draft's rows; ``issued`` says what its lines take, ``more`` are further columns of ``sale``."""
    lines = _line_rows(draft, line_ids, issued)
    if draft.returned is not None:
        first = len(lines)
        back = returned_rows(draft.returned, draft.id, first)
        # Of what was not left, keys remain.
        rows = [{"id": key} | row for key, row in zip(line_ids[first:], back, strict=False)]
        # The rows of one statement have their columns in one order.
        lines += [{name: row[name] for name in lines[0]} for row in rows] if lines else rows
    return DocumentRows(_sale_row(draft, **more), lines, payment_rows(draft.id, draft.payments), issued.lots)


def returned_rows(returned: Returned, document_id: int, first_number: int) -> list[dict[str, Any]]:
    """Return the rows of ``sale_line`` of what comes back, without keys, numbered from ``first_number`` on."""
    return [
        _copy(each.line, LINE_COPIES)
        | {
            "sale_id": document_id,
            "line_number": number,
            "origin_line_id": each.line.id,
            "quantity": -to_units(each.item.quantity),
            "discount_share": -to_units(each.amounts.discount_share),
            "tax_amount": -to_units(each.amounts.tax_amount),
            "total_price": -to_units(each.amounts.total_price),
            "restock": "restock" if each.item.restock else "scrap",
            "flags": list(each.flags) or None,
        }
        for number, each in enumerate(returned.lines, first_number)
    ]


def reversed_row(line: Any, document_id: int) -> dict[str, Any]:
    """Return the row of ``sale_line`` by which a cancellation takes back a whole line."""
    return _copy(line, LINE_COPIES) | {
        "sale_id": document_id,
        "line_number": line.line_number,
        "origin_line_id": line.id,
        "quantity": -to_units(line.quantity),
        "discount_share": -to_units(line.discount_share),
        "tax_amount": -to_units(line.tax_amount),
        "total_price": -to_units(line.total_price),
        "restock": None,
        "flags": None,
    }


def taken_back_row(sale: Any, kind: str, **columns: Any) -> dict[str, Any]:
    """Return the row of ``sale`` of a document that takes ``sale`` back; ``columns`` are its own."""
    return _copy(sale, SALE_COPIES) | {
        "kind": kind,
        "origin_id": sale.id,
        "external_id": None,
        "fingerprint": None,
        "body_digest": None,
        "device_number": None,
        "is_offline": False,
        "client_timestamp": None,
        "clock_suspect": False,
        "change_due": 0,
        "notes": "",
        **columns,
    }


def payment_rows(document_id: int, payments: Iterable[Payment]) -> list[dict[str, Any]]:
    """Return the rows of ``sale_payment``."""
    return [
        {
            "sale_id": document_id,
            "method": payment.method,
            "amount": to_units(payment.amount),
            "change": to_units(payment.change),
            "reference": payment.reference,
        }
        for payment in payments
    ]


def _copy(row: Any, columns: Iterable[str]) -> dict[str, Any]:
    return {column: _as_written(getattr(row, column)) for column in columns}


def _as_written(value: Any) -> Any:
    """Return a column's value as inserts take it: amounts in units, moments and days as text."""
    if isinstance(value, Decimal):
        return to_units(value)
    if isinstance(value, datetime):
        return format_instant(value)
    return value.isoformat() if isinstance(value, date) else value


def _lot_of(line: DraftLine, lots: Sequence[TakenLot]) -> tuple[str | None, str | None]:
    """Return the lots' batch numbers and their earliest expiry; what was asked for where none are known."""
    batch, expiry = line.asked.batch_number, line.asked.expiry_date
    if lots:
        batch = ", ".join(lot.batch_number for lot in lots)
        expiry = min((lot.expiry_date for lot in lots if lot.expiry_date is not None), default=expiry)
    return batch, None if expiry is None else expiry.isoformat()


def _sale_row(
    draft: SaleDraft,
    *,
    number: str,
    request_id: str,
    currency: str,
    currency_places: int,
    tax_rounding: str,
    fingerprint: str | None,
    body_digest: str | None,
) -> dict[str, Any]:
    """Return the draft's row of ``sale``."""
    command, totals = draft.command, draft.totals
    recorded = format_instant(draft.recorded_at)
    return {
        "id": draft.id,
        "kind": draft.kind,
        "origin_id": draft.returned.origin.sale.id if draft.returned else None,
        "external_id": command.external_id,
        "fingerprint": fingerprint,
        "body_digest": body_digest,
        "sale_number": number,
        "channel": command.channel,
        "warehouse_id": draft.warehouse_id,
        "seller_id": draft.seller_id,
        "seller_name": draft.seller_name,
        "customer_id": command.customer_id,
        "customer_name": command.customer_name,
        "customer_phone": command.customer_phone,
        "customer_email": command.customer_email,
        "source_device": command.source_device,
        "device_number": command.device_number,
        "is_offline": draft.is_offline,
        "client_timestamp": format_instant(command.client_timestamp) if command.client_timestamp else None,
        "clock_suspect": draft.clock_suspect,
        "sale_date": format_instant(draft.sale_date),
        "created_at": recorded,
        "synced_at": recorded,
        "currency": currency,
        "currency_places": currency_places,
        "tax_rounding": tax_rounding,
        "subtotal": to_units(totals.subtotal),
        "tax_amount": to_units(totals.tax_amount),
        "discount_amount": to_units(totals.discount_amount),
        "total_amount": to_units(totals.total_amount),
        "cash_rounding": to_units(draft.cash_rounding),
        "change_due": to_units(draft.change_due),
        "reason": draft.returned.reason if draft.returned else "",
        "notes": command.notes,
        "request_id": request_id,
    }


def _line_rows(draft: SaleDraft, line_ids: Sequence[int], issued: Issued) -> list[dict[str, Any]]:
    """Return the rows of ``sale_line`` of what the draft sells."""
    rows = []
    # Keys beyond the lines are for what comes back.
    for line, total, line_id in zip(draft.lines, draft.totals.lines, line_ids, strict=False):
        batch, expiry = _lot_of(line, issued.lots.get(line.number, ()))
        rows.append(
            {
                "id": line_id,
                "sale_id": draft.id,
                "line_number": line.number,
                "origin_line_id": None,
                "product_id": line.item.product_id,
                "variant_id": line.item.variant_id,
                "product_name": line.item.product_name,
                "variant_details": line.item.variant_name,
                "quantity": to_units(line.quantity),
                "unit_price": to_units(line.unit_price),
                "catalogue_price": None if line.catalogue_price is None else to_units(line.catalogue_price),
                "discount_per_item": to_units(line.discount_per_item),
                "discount_share": to_units(total.discount_share),
                "tax_id": line.tax_id,
                "tax_rate": to_units(line.tax_rate),
                "tax_inclusive": line.tax_inclusive,
                "tax_amount": to_units(total.tax_amount),
                "total_price": to_units(total.total_price),
                "batch_number": batch,
                "expiry_date": expiry,
                "restock": None,
                "flags": [*line.flags, *issued.marks.get(line.number, ())] or None,
            }
        )
    return rows
