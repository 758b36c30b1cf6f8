"""First stage: which sales are new, and the keys that those get."""

import itertools
from collections.abc import Sequence

from tillhook.errors import Conflict
from tillhook.sales.commands import SaleCommand, fingerprint, same_warehouse
from tillhook.sales.exceptions import Discarded, decisions, store_refused
from tillhook.sales.outcomes import Outcome
from tillhook.sales.posting.entries import Entry, Run
from tillhook.sales.posting.reading import Reading, line_count


def recognise(run: Run, commands: Sequence[SaleCommand], reading: Reading) -> list[Entry]:
    """Return an entry per sale: those whose ``external_id`` is known are set aside, the rest have keys."""
    sale_ids, line_ids = iter(reading.sale_ids), iter(reading.line_ids)
    entries = [
        Entry(
            position=position,
            sent=command,
            command=command,
            fingerprint=_fingerprint(run, command) if command.external_id else None,
            was_refused=command.external_id in reading.refused and command.sent_as is None,
            is_awaited=command.external_id in reading.awaited,
        )
        for position, command in enumerate(commands)
    ]
    refused = {entry.position: entry.sent for entry in entries if entry.was_refused}
    decided = decisions(run.session, refused)
    first: dict[str, Entry] = {}
    for entry in entries:
        _compare(run, entry, reading, decided.get(entry.position), first)
        if entry.is_open:
            entry.sale_id, entry.line_ids = next(sale_ids), tuple(itertools.islice(line_ids, line_count(entry.sent)))
    return entries


def _compare(
    run: Run, entry: Entry, reading: Reading, decision: int | Discarded | None, first: dict[str, Entry]
) -> None:
    """Set the entry aside when the sale is known, was decided about, or is in the batch already."""
    external_id, warehouse_id = entry.sent.external_id, entry.sent.warehouse
    if external_id is None:
        return
    known = reading.known.get(external_id)
    if known is not None and known[1] == entry.fingerprint and same_warehouse(warehouse_id, known[2]):
        entry.duplicate_of = known[0]
    elif isinstance(decision, Discarded):
        entry.outcome = Outcome("rejected", error=decision)
    elif decision is not None:
        entry.duplicate_of = decision
    elif known is not None:
        _refuse_reuse(run, entry)
    else:
        earlier = first.setdefault(external_id, entry)
        if earlier is entry:
            return
        if earlier.fingerprint == entry.fingerprint and same_warehouse(warehouse_id, earlier.sent.warehouse):
            entry.repeats = earlier.position
        else:
            _refuse_reuse(run, entry)


def _refuse_reuse(run: Run, entry: Entry) -> None:
    error = Conflict(
        "This external_id was used for another sale; the new one waits for a person to look at it.",
        code="external-id-reused",
        errors=[{"field": "external_id", "message": "Used for other content before."}],
    )
    store_refused(run.session, [(entry.sent, error)])
    entry.outcome = Outcome("rejected", error=error)


def _fingerprint(run: Run, command: SaleCommand) -> str:
    return command.sent_as[0] if command.sent_as else fingerprint(command, run.actor.user_id)
