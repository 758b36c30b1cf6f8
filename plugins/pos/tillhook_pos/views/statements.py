"""The SQL of the counter's totals and of what is read from them, for both engines.

One rule for every figure: a document counts on the business day of its ``sale_date``, with its sign. Sales and
exchanges count 1, cancellations -1, returns 0. What is taken back is taken off the figures of the seller who had sold
it, whoever took it back; an exchange is its own seller's. Revenue of a product is what its lines cost after all
discounts, without taxes that come on top. A sale that was paid by several methods counts once, at the one that paid
most of it.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, text

from tillhook_pos.documents import CHANNEL
from tillhook_pos.views.days import LENGTHS, Calendar

#: Stands for all warehouses, and for all sellers, in the totals.
ALL = -1
#: The "method" of documents that nothing was paid for.
UNPAID = "none"

# What the engines say differently. ``day_of`` is the business day of ``s.sale_date``, ``period_of`` the first day of
# the period of ``length`` days that ``day`` is in. ``daybreak`` is a day by the moment at which it begins.
_POSTGRESQL = {
    "daybreak": "daybreak AS (SELECT 1)",
    "day_of": "CAST(:first AS date) + width_bucket(s.sale_date, CAST(:begins AS timestamptz[])) - 1",
    "period_of": "day - CAST((day - DATE '0001-01-01') % length AS integer)",
    "period": (
        "period AS (SELECT * FROM json_to_recordset(CAST(:periods AS json))"
        " AS each(length bigint, first_day date, sign bigint))"
    ),
    "among": "= ANY(:{name})",
    "skip_locked": "FOR UPDATE SKIP LOCKED",
}
_SQLITE = {
    "daybreak": "daybreak AS MATERIALIZED (SELECT key AS day, value AS at FROM json_each(:begins))",
    "day_of": "(SELECT MAX(daybreak.day) FROM daybreak WHERE daybreak.at <= s.sale_date)",
    "period_of": "date(day, '-' || (CAST(julianday(day) - 1721425.5 AS INTEGER) % length) || ' days')",
    "period": (
        "period AS (SELECT value ->> 'length' AS length, value ->> 'first_day' AS first_day, value ->> 'sign' AS sign"
        " FROM json_each(:periods))"
    ),
    "among": "IN (SELECT value FROM json_each(:{name}))",
    "skip_locked": "",
}

# --- documents and what they count -------------------------------------------------------------------------

# Each document of the source, its day, and whose figures it is in.
_DOCUMENT = """
document AS MATERIALIZED (
    SELECT s.id, {{day_of}} AS day, s.warehouse_id,
           COALESCE(CASE WHEN o.id IS NULL THEN s.seller_id ELSE o.seller_id END, 0) AS seller_id,
           CASE s.kind WHEN 'return' THEN 0 WHEN 'cancellation' THEN -1 ELSE 1 END AS sign, s.total_amount AS amount
      FROM {source}
      LEFT JOIN sale o ON o.id = s.origin_id AND s.kind IN ('return', 'cancellation')
     WHERE {condition})
"""
_DAYS = """
    SELECT warehouse_id, seller_id, day, sign AS sales_count, 0 AS quantity, amount FROM document
    UNION ALL
    SELECT d.warehouse_id, d.seller_id, d.day, 0, l.quantity, 0 FROM document d JOIN sale_line l ON l.sale_id = d.id
"""
_TENDERS = f"""
    SELECT warehouse_id, seller_id, day, method, amount,
           CASE ROW_NUMBER() OVER (PARTITION BY id ORDER BY ABS(amount) DESC, method) WHEN 1 THEN sign ELSE 0 END
           AS payment_count
      FROM (SELECT d.id, d.warehouse_id, d.seller_id, d.day, d.sign, COALESCE(y.method, '{UNPAID}') AS method,
                   COALESCE(SUM(y.amount - y.change), 0) AS amount
              FROM document d LEFT JOIN sale_payment y ON y.sale_id = d.id
             GROUP BY d.id, d.warehouse_id, d.seller_id, d.day, d.sign, y.method) AS paid
"""
_PRODUCTS = """
    SELECT d.warehouse_id, d.seller_id, d.day, l.product_id, SUM(l.quantity) AS quantity,
           SUM(l.total_price - l.discount_share) AS revenue
      FROM document d JOIN sale_line l ON l.sale_id = d.id
     GROUP BY d.warehouse_id, d.seller_id, d.day, l.product_id
"""

# --- totals ------------------------------------------------------------------------------------------------

# Every figure thrice: for a seller at a warehouse, for the warehouse, for the whole business.
_SCOPE = f"""
CASE width WHEN 2 THEN {ALL} ELSE warehouse_id END AS warehouse_id,
CASE width WHEN 0 THEN seller_id ELSE {ALL} END AS seller_id
"""
# Rows go in as they are read, so that those of one scope lie side by side.
_WIDTHS = "(SELECT 0 AS width UNION ALL SELECT 1 UNION ALL SELECT 2) AS widths"
DAY_TOTALS = f"""
SELECT warehouse_id, seller_id, day, SUM(sales_count) AS sales_count, SUM(quantity) AS quantity, SUM(amount) AS amount
  FROM (SELECT {_SCOPE}, day, sales_count, quantity, amount FROM ({_DAYS}) AS each CROSS JOIN {_WIDTHS}) AS scoped
 WHERE TRUE GROUP BY warehouse_id, seller_id, day ORDER BY warehouse_id, seller_id, day
"""
DAY_TENDERS = f"""
SELECT warehouse_id, seller_id, day, method, SUM(payment_count) AS payment_count, SUM(amount) AS amount
  FROM (SELECT {_SCOPE}, day, method, payment_count, amount FROM ({_TENDERS}) AS each CROSS JOIN {_WIDTHS}) AS scoped
 WHERE TRUE GROUP BY warehouse_id, seller_id, day, method ORDER BY warehouse_id, seller_id, day, method
"""
PERIOD_PRODUCTS = f"""
SELECT length, first_day, warehouse_id, seller_id, product_id, SUM(quantity) AS quantity, SUM(revenue) AS revenue
  FROM (SELECT length, {{period_of}} AS first_day, {_SCOPE}, product_id, quantity, revenue
          FROM ({_PRODUCTS}) AS each CROSS JOIN {_WIDTHS} CROSS JOIN ({{lengths}}) AS lengths) AS scoped
 WHERE TRUE GROUP BY length, first_day, warehouse_id, seller_id, product_id
 ORDER BY length, first_day, warehouse_id, seller_id, product_id
"""
LONGER_PERIODS = """
INSERT INTO pos_period_product (length, first_day, warehouse_id, seller_id, product_id, quantity, revenue)
SELECT length, {period_of} AS first_day, warehouse_id, seller_id, product_id, SUM(quantity), SUM(revenue)
  FROM (SELECT CAST(:length AS BIGINT) AS length, first_day AS day, warehouse_id, seller_id, product_id, quantity,
               revenue FROM pos_period_product WHERE length = :shorter) AS shorter
 GROUP BY length, {period_of}, warehouse_id, seller_id, product_id
 ORDER BY 2, 3, 4, 5
"""
#: Keys and figures of each table of totals, and what it is made from.
TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "pos_day_total": (("warehouse_id", "seller_id", "day"), ("sales_count", "quantity", "amount"), DAY_TOTALS),
    "pos_day_tender": (("warehouse_id", "seller_id", "day", "method"), ("payment_count", "amount"), DAY_TENDERS),
    "pos_period_product": (
        ("length", "first_day", "warehouse_id", "seller_id", "product_id"),
        ("quantity", "revenue"),
        PERIOD_PRODUCTS,
    ),
}
# All documents that are counted, and those of a batch.
COUNTED = {"source": "pos_document p JOIN sale s ON s.id = p.sale_id", "condition": "p.is_counted"}
BATCH = {"source": "sale s", "condition": "s.id {ids}"}


def add_to(table: str) -> str:
    """Return the statement that adds the figures of documents to a table of totals."""
    keys, figures, select = TABLES[table]
    added = ", ".join(f"{each} = {table}.{each} + excluded.{each}" for each in figures)
    return (
        f"INSERT INTO {table} ({', '.join((*keys, *figures))}) WITH {{daybreak}}, {{document}} {select}"
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {added}"
    )


def compare(table: str) -> str:
    """Return the query for rows of a table of totals that are not what the documents add up to."""
    keys, figures, select = TABLES[table]
    names = ", ".join(keys)
    kept = ", ".join(f"{each} AS kept_{each}, 0 AS due_{each}" for each in figures)
    due = ", ".join(f"0, {each}" for each in figures)
    sums = ", ".join(f"SUM(kept_{each}) AS kept_{each}, SUM(due_{each}) AS due_{each}" for each in figures)
    differ = " OR ".join(f"SUM(kept_{each}) <> SUM(due_{each})" for each in figures)
    return (
        f"WITH {{daybreak}}, {{document}} SELECT {names}, {sums} FROM (SELECT {names}, {kept} FROM {table}"
        f" UNION ALL SELECT {names}, {due} FROM ({select}) AS found) AS both_sides"
        f" GROUP BY {names} HAVING {differ} ORDER BY {names}"
    )


# --- views -------------------------------------------------------------------------------------------------

_IS_KEPT = "(SELECT COUNT(*) FROM pos_calendar WHERE timezone = :timezone AND day_cutoff_hour = :hour) = 1"
_IN_RANGE = "s.sale_date >= :start AND s.sale_date < :stop"
# Documents that the totals do not have yet, and all of the journal, for when the totals are of another calendar.
_UNCOUNTED = {
    # SQLite keeps to the order of a CROSS JOIN; else it would go through the whole range to find the few.
    "source": "pos_document p CROSS JOIN sale s",
    "condition": f"NOT p.is_counted AND s.id = p.sale_id AND {_IS_KEPT} AND {_IN_RANGE}",
}
_JOURNAL = {"source": "sale s", "condition": f"s.channel = '{CHANNEL}' AND {_IN_RANGE}"}
_OF_SELLER = "COALESCE(CASE WHEN o.id IS NULL THEN s.seller_id ELSE o.seller_id END, 0) = :seller"
_KEPT = f"{_IS_KEPT} AND t.warehouse_id {{kept_warehouses}} AND t.seller_id = :kept_seller"
_KEPT_DAYS = f"{_KEPT} AND t.day >= :first AND t.day <= :last"

_KEPT_PARTS = {
    "days": f"SELECT t.day, t.sales_count, t.quantity, t.amount FROM pos_day_total t WHERE {_KEPT_DAYS}",
    "tenders": f"SELECT t.method, t.payment_count, t.amount FROM pos_day_tender t WHERE {_KEPT_DAYS}",
    "products": (
        "SELECT t.product_id, period.sign * t.quantity AS quantity, period.sign * t.revenue AS revenue FROM period"
        " JOIN pos_period_product t ON t.length = period.length AND t.first_day = period.first_day"
        f" WHERE {_KEPT}"
    ),
}
# The same columns, as integers: one sum among them would make PostgreSQL add up all of them as numerics.
_FOUND_PARTS = {
    "days": f"SELECT day, sales_count, quantity, amount FROM ({_DAYS}) AS found",
    "tenders": f"SELECT method, payment_count, CAST(amount AS BIGINT) AS amount FROM ({_TENDERS}) AS found",
    "products": (
        "SELECT l.product_id, l.quantity, l.total_price - l.discount_share AS revenue"
        " FROM document d JOIN sale_line l ON l.sale_id = d.id"
    ),
}
# All parts have the columns of the first.
_ANSWERS = {
    "days": (
        "SELECT 'days' AS part, CAST(day AS TEXT) AS name, CAST(NULL AS BIGINT) AS product_id,"
        " SUM(sales_count) AS number, SUM(quantity) AS quantity, SUM(amount) AS amount"
        " FROM ({rows}) AS rows_of_days GROUP BY day"
    ),
    "tenders": (
        "SELECT 'tenders', method, NULL, SUM(payment_count), 0, SUM(amount) FROM ({rows}) AS rows_of_tenders"
        " GROUP BY method"
    ),
    "products": (
        "SELECT * FROM (SELECT 'products', product.name, product.id, 0, sold.quantity, sold.revenue FROM"
        " (SELECT product_id, SUM(quantity) AS quantity, SUM(revenue) AS revenue FROM ({rows}) AS rows_of_products"
        " GROUP BY product_id) AS sold JOIN product ON product.id = sold.product_id"
        " WHERE sold.quantity > 0 OR sold.revenue > 0"
        " ORDER BY sold.revenue DESC, product.name, product.id LIMIT 10) AS top"
    ),
}


def from_totals(parts: Iterable[str]) -> str:
    """Return the query for parts of a view: totals and what they do not have yet, in one snapshot.

    Its first row is ``kept``, unless the totals are of another calendar; then there is no row at all.
    """
    answers = [_ANSWERS[part].format(rows=f"{_KEPT_PARTS[part]} UNION ALL {_FOUND_PARTS[part]}") for part in parts]
    kept = f"SELECT 'kept' AS part, '' AS name, CAST(NULL AS BIGINT), 0, 0, 0 WHERE {_IS_KEPT}"
    return "WITH {daybreak}, {period}, {document} " + " UNION ALL ".join([*answers, kept])


def from_journal(parts: Iterable[str]) -> str:
    """Return the query for the same parts from the journal alone: right at any time, and slow."""
    return "WITH {daybreak}, {document} " + " UNION ALL ".join(
        _ANSWERS[part].format(rows=_FOUND_PARTS[part]) for part in parts
    )


def source_of_view(*, is_kept: bool, warehouses: bool, seller: bool) -> dict[str, str]:
    """Return the documents that a view takes from the journal, of some ``warehouses`` or a ``seller`` only."""
    source = _UNCOUNTED if is_kept else _JOURNAL
    limits = ["", "s.warehouse_id {warehouses}"][warehouses], ["", _OF_SELLER][seller]
    return {**source, "condition": " AND ".join([source["condition"], *filter(None, limits)])}


# --- running them ------------------------------------------------------------------------------------------


def run(
    connection: Connection,
    statement: str,
    *,
    source: Mapping[str, str] | None = None,
    days: tuple[Calendar, date, date] | None = None,
    among: Mapping[str, Iterable[int]] | None = None,
    lengths: Iterable[int] = LENGTHS,
    **parameters: Any,
) -> list[Row[Any]]:
    """Run a statement of this module and return its rows, if it has any.

    Args:
        source: Where its documents come from.
        days: The calendar, and the first and last day on which any of the documents may be.
        among: Lists of keys that the statement mentions, by name.
        lengths: Of the periods that are made.
    """
    is_postgresql = connection.dialect.name == "postgresql"
    words = dict(_POSTGRESQL if is_postgresql else _SQLITE)
    words["lengths"] = " UNION ALL ".join(f"SELECT {length} AS length" for length in lengths)
    for name, keys in (among or {}).items():
        words[name] = words["among"].format(name=name)
        parameters[name] = list(keys) if is_postgresql else json.dumps(list(keys))
    if source is not None:
        words["document"] = _DOCUMENT.format(**source).format(**words)
    if days is not None:
        calendar, first, last = days
        begins = calendar.starts(first, last)
        parameters |= {"first": first.isoformat(), "last": last.isoformat()}
        parameters["begins"] = list(begins.values()) if is_postgresql else json.dumps(begins)
    result = connection.execute(text(statement.format(**words)), parameters)
    return list(result.all()) if result.returns_rows else []
