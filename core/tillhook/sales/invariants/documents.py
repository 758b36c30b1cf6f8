"""Documents as wholes: sums, goods, what was taken back, numbers."""

from collections.abc import Iterator

from sqlalchemy import Connection, text

from tillhook.hooks import Difference
from tillhook.sales.invariants.differences import of_rule, of_units

_TOTALS = text(
    """
    SELECT s.sale_number, s.total_amount, s.tax_amount, s.discount_amount,
           COALESCE(l.total, 0) AS total, COALESCE(l.tax, 0) AS tax, COALESCE(l.discount, 0) AS discount
      FROM sale s LEFT JOIN (
           SELECT sale_id, SUM(tax_amount) AS tax, SUM(discount_share) AS discount, SUM(total_price - discount_share
                  + CASE WHEN tax_inclusive THEN 0 ELSE tax_amount END) AS total
             FROM sale_line GROUP BY sale_id) l ON l.sale_id = s.id
     WHERE s.total_amount <> COALESCE(l.total, 0) OR s.tax_amount <> COALESCE(l.tax, 0)
        OR s.discount_amount <> COALESCE(l.discount, 0)
     ORDER BY s.sale_number
    """
)
_PAYMENTS = text(
    """
    SELECT s.sale_number, s.total_amount + s.cash_rounding AS total_amount, s.change_due,
           COALESCE(p.paid, 0) AS paid, COALESCE(p.given, 0) AS given
      FROM sale s LEFT JOIN (
           SELECT sale_id, SUM(amount - change) AS paid, SUM(change) AS given FROM sale_payment GROUP BY sale_id) p
        ON p.sale_id = s.id
     WHERE s.total_amount + s.cash_rounding <> COALESCE(p.paid, 0) OR s.change_due <> COALESCE(p.given, 0)
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
# Goods that left and, though their line was taken back, have not moved again.
_LEFT_BEHIND = text(
    """
    SELECT s.sale_number, l.line_number, ABS(l.quantity) AS expected, 0 AS actual
      FROM sale s JOIN sale_line l ON l.sale_id = s.id JOIN sale_line o ON o.id = l.origin_line_id
      JOIN sale f ON f.id = o.sale_id
     WHERE s.kind <> 'sale'
       AND EXISTS (SELECT 1 FROM stock_movement m WHERE m.document_type = f.kind AND m.document_id = f.id
           AND m.document_line = o.line_number AND m.effect = 'issue')
       AND NOT EXISTS (SELECT 1 FROM stock_movement m WHERE m.document_type = s.kind AND m.document_id = s.id
           AND m.document_line = l.line_number AND m.effect IN ('return', 'reverse-issue'))
    UNION ALL
    SELECT c.sale_number, m.document_line, m.quantity, 0
      FROM sale c JOIN stock_movement m ON m.document_type = 'sale' AND m.document_id = c.origin_id
      LEFT JOIN stock_movement r ON r.reverses_id = m.id AND r.document_id = c.id
     WHERE c.kind = 'cancellation' AND m.effect <> 'issue' AND r.id IS NULL
     ORDER BY 1, 2
    """
)
_RETURNS = text(
    """
    SELECT o.sale_id, o.id, o.quantity AS expected, -SUM(r.quantity) AS actual
      FROM sale_line r JOIN sale s ON s.id = r.sale_id AND s.kind IN ('return', 'exchange')
      JOIN sale_line o ON o.id = r.origin_line_id
     GROUP BY o.sale_id, o.id, o.quantity HAVING -SUM(r.quantity) > o.quantity
    """
)
_REFUNDS = text(
    """
    SELECT o.sale_id, o.id, o.total_price - o.discount_share AS expected,
           -SUM(r.total_price - r.discount_share) AS actual
      FROM sale_line r JOIN sale s ON s.id = r.sale_id AND s.kind IN ('return', 'exchange')
      JOIN sale_line o ON o.id = r.origin_line_id
     GROUP BY o.sale_id, o.id, o.total_price, o.discount_share
    HAVING -SUM(r.total_price - r.discount_share) > o.total_price - o.discount_share
    """
)
# A document that takes a sale back: of one that sold something, and a cancellation is of all of a sale and alone.
_TAKEN_BACK = text(
    """
    SELECT s.sale_number FROM sale s LEFT JOIN sale o ON o.id = s.origin_id
     WHERE s.kind <> 'sale' AND (o.id IS NULL OR o.kind NOT IN ('sale', 'exchange')
        OR (s.kind = 'cancellation' AND o.kind <> 'sale')
        OR (s.kind = 'cancellation' AND s.total_amount <> -o.total_amount)
        OR EXISTS (SELECT 1 FROM sale t WHERE t.origin_id = s.origin_id AND t.kind = 'cancellation' AND t.id <> s.id))
     ORDER BY s.sale_number
    """
)
_ORPHANS = text(
    """
    SELECT 'sale line' AS what, l.id FROM sale_line l LEFT JOIN sale s ON s.id = l.sale_id WHERE s.id IS NULL
    UNION ALL
    SELECT 'sale payment', p.id FROM sale_payment p LEFT JOIN sale s ON s.id = p.sale_id WHERE s.id IS NULL
    UNION ALL
    SELECT 'stock movement', m.id FROM stock_movement m LEFT JOIN sale s ON s.id = m.document_id
     WHERE m.document_type IN ('sale', 'return', 'exchange', 'cancellation')
       AND (s.id IS NULL OR s.kind <> m.document_type)
    UNION ALL
    SELECT 'sale without lines', s.id FROM sale s LEFT JOIN sale_line l ON l.sale_id = s.id WHERE l.id IS NULL
    """
)
_NUMBERS = text(
    "SELECT id, sale_number FROM sale WHERE SUBSTR(sale_number, LENGTH(sale_number) - 6)"
    " <> SUBSTR(CAST(id % 10000000 + 10000000 AS TEXT), 2)"
)


def totals(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_TOTALS):
        for what, expected, actual in (
            ("total", row.total, row.total_amount),
            ("tax", row.tax, row.tax_amount),
            ("discount", row.discount, row.discount_amount),
        ):
            if expected != actual:
                yield of_units("sale totals", f"sale {row.sale_number}: {what}", expected, actual)


def payments(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_PAYMENTS):
        if row.total_amount != row.paid:
            yield of_units("sale payments", f"sale {row.sale_number}: paid", row.total_amount, row.paid)
        if row.change_due != row.given:
            yield of_units("sale payments", f"sale {row.sale_number}: change", row.given, row.change_due)


def goods(connection: Connection) -> Iterator[Difference]:
    for query in (_GOODS, _LEFT_BEHIND):
        for row in connection.execute(query):
            subject = f"sale {row.sale_number}, line {row.line_number}: goods moved"
            yield of_units("goods of sales", subject, row.expected, row.actual)


def returns(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_RETURNS):
        yield of_units("returns", f"sale {row.sale_id}, line {row.id}: returned", row.expected, row.actual)
    for row in connection.execute(_REFUNDS):
        yield of_units("returns", f"sale {row.sale_id}, line {row.id}: paid back", row.expected, row.actual)


def taken_back(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_TAKEN_BACK):
        yield of_rule("taken back once", f"sale {row.sale_number}", "once", "otherwise")


def orphans(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_ORPHANS):
        yield of_rule("whole documents", f"{row.what} {row.id}", "whole", "half")


def numbers(connection: Connection) -> Iterator[Difference]:
    for row in connection.execute(_NUMBERS):
        yield of_rule("sale numbers", f"sale {row.id}", f"{row.id % 10_000_000:07d}", row.sale_number)
