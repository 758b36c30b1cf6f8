"""Third and fourth stage: the goods are planned, then the documents, the goods' movements and the events written."""

from collections.abc import Mapping, Sequence
from typing import Any

from tillhook.catalogue import remember_price
from tillhook.db import Base
from tillhook.hooks import HookError
from tillhook.ledger import Issued
from tillhook.numbering import sale_number
from tillhook.reference import Calendar
from tillhook.runtime import runtime_of
from tillhook.sales.drafts import SaleDraft
from tillhook.sales.events import sale_event
from tillhook.sales.posting.entries import Entry, Run
from tillhook.sales.posting.stock import issue_all
from tillhook.sales.rows import NUMBER_MARKS, DocumentRows, again_when_taken, document_rows, tables_of
from tillhook.sales.sent import sent_row

Tables = dict[str, list[Mapping[str, Any]]]


def write(run: Run, entries: list[Entry]) -> None:
    """Write the open entries; those whose goods are short are refused.

    Raises:
        RetryTransaction: A concurrent sale came between; run the transaction again.
    """
    written: list[DocumentRows] = []

    def alongside(planned: Sequence[tuple[Entry, Issued]]) -> Tables:
        for entry, issued in planned:
            entry.rows = _rows(run, entry, issued)
            written.append(entry.rows)
        tables = tables_of(written)
        return tables | _rows_of_plugins(run, [entry.drafted for entry, _ in planned])

    with again_when_taken():
        issue_all(run, entries, alongside, lambda: map(sale_event, written))
    _remember_prices(run, entries)


def _rows(run: Run, entry: Entry, issued: Issued) -> DocumentRows:
    draft = entry.drafted
    day = Calendar.of(run.snapshot).day_of(run.recorded_at)
    rows = document_rows(
        draft,
        entry.line_ids,
        issued,
        number=sale_number(draft.channel.number_prefix + NUMBER_MARKS[draft.kind], day, draft.id),
        request_id=run.session.info.get("request_id", ""),
        currency=currency_of(run, draft),
        currency_places=run.snapshot.setting("currency_places"),
        tax_rounding=run.snapshot.setting("tax_rounding"),
        fingerprint=entry.fingerprint,
        body_digest=entry.body_digest(run.actor.user_id),
    )
    return rows._replace(sent=sent_row(entry.sent, rows, issued))


def currency_of(run: Run, draft: SaleDraft) -> str:
    """Return the currency of a document: what only comes back is paid back in the one that it was paid in."""
    present: str = run.snapshot.setting("currency")
    return draft.returned.origin.sale.currency if draft.returned is not None and not draft.lines else present


def _rows_of_plugins(run: Run, drafts: Sequence[SaleDraft]) -> Tables:
    if not run.hooks.implemented("sales_writing"):
        return {}
    tables: Tables = {}
    selling = [draft for draft in drafts if draft.kind != "return"]
    for plugin, answer in run.hooks.answers("sales_writing", session=run.session, drafts=tuple(selling)):
        own = _prefixes_of(run, plugin)
        try:
            for table, row in answer:
                if table not in Base.metadata.tables or not table.startswith(own):
                    raise ValueError(f"{table} is no table of its own")
                tables.setdefault(table, []).append(row)
        except (TypeError, ValueError) as error:
            raise HookError(f"plugin {plugin}: sales_writing answered {answer!r}: {error}") from error
    return tables


def _prefixes_of(run: Run, plugin: str) -> tuple[str, ...]:
    sources = runtime_of(run.session).migrations
    return tuple(each.table_prefix for each in sources if each.name == plugin or each.name.startswith(f"{plugin}_"))


def _remember_prices(run: Run, entries: Sequence[Entry]) -> None:
    prices = {
        line.item.product_id: line.unit_price
        for entry in entries
        if entry.is_open
        for line in entry.drafted.lines
        if line.item.price_mode == "open" and line.unit_price != line.catalogue_price
    }
    if prices:
        remember_price(run.session, prices)
