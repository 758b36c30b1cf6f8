"""What must always be true of the journal."""

from collections.abc import Iterator

from sqlalchemy import Connection, text

from tillhook.hooks import Difference, Invariant
from tillhook.quantities import from_units

_TOTALS = text(
    """
    SELECT s.sale_number, s.total_amount AS actual, COALESCE(SUM(l.total_price - l.discount_share
           + CASE WHEN l.tax_inclusive THEN 0 ELSE l.tax_amount END), 0) AS expected
      FROM sale s LEFT JOIN sale_line l ON l.sale_id = s.id
     GROUP BY s.id, s.sale_number, s.total_amount
    HAVING s.total_amount <> COALESCE(SUM(l.total_price - l.discount_share
           + CASE WHEN l.tax_inclusive THEN 0 ELSE l.tax_amount END), 0)
     ORDER BY s.sale_number
    """
)
_PAYMENTS = text(
    """
    SELECT s.sale_number, s.total_amount AS expected, COALESCE(SUM(p.amount - p.change), 0) AS actual
      FROM sale s LEFT JOIN sale_payment p ON p.sale_id = s.id
     GROUP BY s.id, s.sale_number, s.total_amount HAVING s.total_amount <> COALESCE(SUM(p.amount - p.change), 0)
     ORDER BY s.sale_number
    """
)
# Goods of a sale that left, or came back, against what its lines say; untracked products have no movements at all.
_GOODS = text(
    """
    SELECT s.sale_number, l.line_number, ABS(l.quantity) AS expected, m.quantity AS actual
      FROM sale s JOIN sale_line l ON l.sale_id = s.id
      JOIN (SELECT document_type, document_id, document_line, SUM(quantity) AS quantity FROM stock_movement
             WHERE effect IN ('issue', 'return', 'reverse-issue') GROUP BY document_type, document_id, document_line) m
        ON m.document_id = s.id AND m.document_type = s.kind AND m.document_line = l.line_number
     WHERE m.quantity <> ABS(l.quantity)
     ORDER BY s.sale_number
    """
)
_RETURNS = text(
    """
    SELECT o.sale_id, o.id, o.quantity AS expected, -SUM(r.quantity) AS actual
      FROM sale_line r JOIN sale s ON s.id = r.sale_id AND s.kind = 'return'
      JOIN sale_line o ON o.id = r.origin_line_id
     GROUP BY o.sale_id, o.id, o.quantity HAVING -SUM(r.quantity) > o.quantity
    """
)
_ORPHANS = text(
    """
    SELECT 'sale line' AS what, l.id FROM sale_line l LEFT JOIN sale s ON s.id = l.sale_id WHERE s.id IS NULL
    UNION ALL
    SELECT 'sale payment', p.id FROM sale_payment p LEFT JOIN sale s ON s.id = p.sale_id WHERE s.id IS NULL
    UNION ALL
    SELECT 'stock movement', m.id FROM stock_movement m LEFT JOIN sale s ON s.id = m.document_id
     WHERE m.document_type IN ('sale', 'return', 'cancellation') AND s.id IS NULL
    UNION ALL
    SELECT 'sale without lines', s.id FROM sale s LEFT JOIN sale_line l ON l.sale_id = s.id WHERE l.id IS NULL
    """
)
_NUMBERS = text(
    "SELECT id, sale_number FROM sale"
    " WHERE CAST(SUBSTR(sale_number, LENGTH(sale_number) - 6) AS BIGINT) <> id % 10000000"
)


def _totals(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_TOTALS):
        yield _amounts("sale totals", f"sale {row.sale_number}: total", row.expected, row.actual)


def _payments(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_PAYMENTS):
        yield _amounts("sale payments", f"sale {row.sale_number}: paid", row.expected, row.actual)


def _goods(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_GOODS):
        subject = f"sale {row.sale_number}, line {row.line_number}: goods moved"
        yield _amounts("goods of sales", subject, row.expected, row.actual)


def _returns(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_RETURNS):
        yield _amounts("returns", f"sale {row.sale_id}, line {row.id}: returned", row.expected, row.actual)


def _orphans(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_ORPHANS):
        yield Difference(invariant="whole documents", subject=f"{row.what} {row.id}", expected="whole", actual="half")


def _numbers(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_NUMBERS):
        yield Difference(
            invariant="sale numbers",
            subject=f"sale {row.id}",
            expected=f"{row.id % 10_000_000:07d}",
            actual=row.sale_number,
        )


def _amounts(invariant: str, subject: str, expected: int, actual: int) -> Difference:
    return Difference(
        invariant=invariant,
        subject=subject,
        expected=f"{from_units(int(expected)):f}",
        actual=f"{from_units(int(actual)):f}",
    )


INVARIANTS = (
    Invariant(name="sale totals", check=_totals),
    Invariant(name="sale payments", check=_payments),
    Invariant(name="goods of sales", check=_goods),
    Invariant(name="returns", check=_returns),
    Invariant(name="whole documents", check=_orphans),
    Invariant(name="sale numbers", check=_numbers),
)
