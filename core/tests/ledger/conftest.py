"""A plugin's documents, which move goods through the ledger's door."""

from decimal import Decimal

import pytest

from tillhook import ledger
from tillhook.db import utc_now
from tillhook.ledger import Document, Issue, IssueLine, Restock, RestockLine

RECEIPT = Document("vendors.receipt", 5)
INVOICE, NOTE = Document("invoicing.invoice", 17), Document("invoicing.credit_note", 3)


def lines(*wanted):
    """Return lines from (product, quantity) or (product, quantity, batch number)."""
    return tuple(
        IssueLine(
            line=n, product_id=product["id"], quantity=Decimal(quantity), batch_number=batch[0] if batch else None
        )
        for n, (product, quantity, *batch) in enumerate(wanted)
    )


@pytest.fixture
def door(make, runtime):
    return Door(make.main, runtime)


class Door:
    """A plugin's documents, one transaction each."""

    def __init__(self, place, runtime):
        self.place, self.runtime = place, runtime

    def issue(self, *wanted, document=INVOICE, policy="block", **options):
        with self.runtime.unit_of_work() as session:
            return ledger.issue(session, self.document(wanted, document, policy, options))

    def restate(self, *wanted, document=INVOICE, policy="block", **options):
        with self.runtime.unit_of_work() as session:
            return ledger.restate(session, self.document(wanted, document, policy, options))

    def restock(self, line, quantity, *, origin=INVOICE, by=NOTE, **options):
        back = RestockLine(line=0, origin=origin, origin_line=line, quantity=Decimal(quantity), **options)
        restock = Restock(document=by, warehouse_id=self.place, occurred_at=utc_now(), lines=(back,))
        with self.runtime.unit_of_work() as session:
            return ledger.restock(session, restock)

    def reverse(self, document=INVOICE, by=NOTE):
        with self.runtime.unit_of_work() as session:
            return self.undo(session, by, document)

    def undo(self, session, by, document=INVOICE):
        return ledger.reverse(session, document, by, utc_now())

    def receive(self, *received, document=RECEIPT):
        with self.runtime.unit_of_work() as session:
            return ledger.receive(session, document, self.place, received, occurred_at=utc_now())

    def moved_by(self, document=INVOICE):
        with self.runtime.unit_of_work() as session:
            return {(m.document_line, m.effect): m.quantity for m in ledger.moved_by(session, document)}

    def document(self, wanted, document=INVOICE, policy="block", options=None):
        return Issue(
            document=document,
            warehouse_id=self.place,
            occurred_at=utc_now(),
            lines=lines(*wanted),
            default_policy=policy,
            **options or {},
        )
