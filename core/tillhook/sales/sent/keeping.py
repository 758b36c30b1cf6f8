"""The row that keeps what was sent and is not in the sale, for the few sales that need one."""

from collections.abc import Iterator, Mapping
from typing import Any

from tillhook.ledger import Issued
from tillhook.quantities import format_money, from_units, to_units
from tillhook.sales.commands import SaleCommand, SaleWarning, SentTotals
from tillhook.sales.rows import DocumentRows


def sent_row(sent: SaleCommand, rows: DocumentRows, issued: Issued) -> dict[str, Any] | None:
    """Return the row of ``sale_sent``, ``None`` where everything that was sent is in the document.

    Args:
        sent: The command as it came.
        rows: The document as it is written.
    """
    totals = None if sent.sent_totals is None else _differing(sent.sent_totals, rows.sale)
    if totals is None and not sent.warnings and not issued.marks:
        return None
    warnings = [
        *sent.warnings,
        *_wrong_days(sent, rows, issued),
        *(() if totals is None else _totals(totals, rows.sale)),
    ]
    if not warnings:
        return None
    amounts = {
        name: None if totals is None or totals[name] is None else to_units(totals[name]) for name in SentTotals._fields
    }
    return {"sale_id": rows.sale["id"], "warnings": [warning._asdict() for warning in warnings], **amounts}


def _differing(totals: SentTotals, sale: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the client's totals if one of them is not the document's."""
    said = totals._asdict()
    is_other = any(amount is not None and to_units(amount) != sale[name] for name, amount in said.items())
    return said if is_other else None


def _totals(totals: Mapping[str, Any], sale: Mapping[str, Any]) -> Iterator[SaleWarning]:
    for name, amount in totals.items():
        if amount is not None and to_units(amount) != sale[name]:
            posted = format_money(from_units(sale[name]))
            yield SaleWarning(name, f"Ignored: by its lines it is {posted}.", format_money(amount))


def _wrong_days(sent: SaleCommand, rows: DocumentRows, issued: Issued) -> Iterator[SaleWarning]:
    for line, marks in issued.marks.items():
        day = sent.items[line].expiry_date
        if "wrong-expiry" in marks and day is not None:
            kept = rows.lines[line]["expiry_date"]
            yield SaleWarning(f"items.{line}.expiry_date", f"The lot expires on {kept}.", day.isoformat())
