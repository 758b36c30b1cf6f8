"""What must always be true of the journal: ``tillhook verify`` computes it again from the rows.

A unit price itself cannot be: what was charged is a fact, whatever the catalogue says.
"""

from tillhook.hooks import Invariant
from tillhook.sales.invariants import documents, lines, tenders

INVARIANTS = (
    Invariant(name="sale totals", check=documents.totals),
    Invariant(name="sale payments", check=documents.payments),
    Invariant(name="sale lines", check=lines.sold_lines),
    Invariant(name="returned lines", check=lines.returned_lines),
    Invariant(name="lines as sold", check=lines.lines_as_sold),
    Invariant(name="tenders", check=tenders.payments),
    Invariant(name="refunds", check=tenders.refunds),
    Invariant(name="goods of sales", check=documents.goods),
    Invariant(name="returns", check=documents.returns),
    Invariant(name="taken back once", check=documents.taken_back),
    Invariant(name="whole documents", check=documents.orphans),
    Invariant(name="sale numbers", check=documents.numbers),
)

__all__ = ["INVARIANTS"]
