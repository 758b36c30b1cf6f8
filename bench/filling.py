"""A business of any number of sales, written set by set: about 3 minutes for a million.

Two of them differ in how many sales there were on the same days, and in nothing else: equally many products,
warehouses, customers and sellers, and 20 sales, all of the first tenth of the time, of each rare thing. What is rare,
in ``_SALE``, is a channel, a payment method, a seller, a warehouse, a customer and a product.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text, true

from tillhook.ledger import create_warehouse
from tillhook.products.models import Unit
from tillhook.runtime import Runtime
from tillhook.sales.rollups.names import enter_names

DAYS = 365
PRODUCTS, CUSTOMERS, SELLERS = 20_000, 20_000, 10
#: Fewer sales have no 20 of each rare thing.
LEAST = 4_000
#: The warehouse of 20 sales, the customers of 20 sales and of every hundredth, a product of 20 lines and one of every
#: twentieth first line.
RARE_WAREHOUSE, RARE_CUSTOMER, FREQUENT_CUSTOMER, RARE_PRODUCT, FREQUENT_PRODUCT = 4, 1, 2, PRODUCTS, 1
#: The one lot of the rare product.
RARE_BATCH = "RARE"
RARE_NAME, RARE_PHONE = "Zacharias Quill", "+99 700 1234"


def first_day() -> date:
    """Return the day of the first sales; the last ones were yesterday."""
    return datetime.now(UTC).date() - timedelta(days=DAYS)


def key_of(sales: int, number: int) -> int:
    """Return the key of one of the sales, counted from 1; the keys before are of what was taken back."""
    return number + sales // 100 + sales // 200


def fill(runtime: Runtime, sales: int) -> None:
    """Write products, stock and sales with all that comes of them, but for the rollups."""
    with runtime.unit_of_work() as session:
        session.add(Unit(code="pc", name="piece"))
        for name in ("Third shop", "Closed shop"):
            create_warehouse(session, name=name)
    with runtime.unit_of_work() as session:
        connection = session.connection(execution_options={"no_parameters": True})
        if runtime.database.is_postgresql:
            # Nothing of this is to be safe from a power cut, and no foreign key is broken.
            for setting in ("statement_timeout = 0", "synchronous_commit = off", "session_replication_role = replica"):
                connection.execute(text(f"SET LOCAL {setting}"))
        values = _values(connection, sales, is_postgresql=runtime.database.is_postgresql)
        indexes = _drop_indexes(connection)
        for statement in _STATEMENTS:
            connection.exec_driver_sql(statement.format(**values))
        for index in indexes:
            connection.exec_driver_sql(index)
        enter_names(connection, true())
    if runtime.database.is_postgresql:
        # Statistics as a database that has run for a while has them; on SQLite nobody makes any.
        with runtime.database.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")


def _values(connection: Connection, sales: int, *, is_postgresql: bool) -> dict[str, Any]:
    people = {row.email: row.id for row in connection.execute(text("SELECT email, id FROM user_account"))}
    begin = datetime.combine(first_day(), datetime.min.time(), UTC)
    # Half a second before the last day ends.
    step = (DAYS * 86_400 - 0.5) / sales
    seconds = f"{begin.timestamp():.0f} + i * {step:.9f}"
    return {
        "sales": sales,
        "back": key_of(sales, 0),
        "products": PRODUCTS,
        "rare_product": RARE_PRODUCT,
        "frequent_product": FREQUENT_PRODUCT,
        "rare_warehouse": RARE_WAREHOUSE,
        "customers": CUSTOMERS,
        "cashier": people["cashier@test.com"],
        "supplier": people["supplier@test.com"],
        "admin": people["admin@test.com"],
        "begin": _moment(f"{begin.timestamp():.0f}", is_postgresql),
        "now": _moment(f"{datetime.now(UTC).timestamp():.0f}", is_postgresql),
        "moment": _moment(seconds, is_postgresql),
        # Every hundredth sale was synced ten days after it happened.
        "happened": _moment(f"{seconds} - CASE i % 100 WHEN 50 THEN 864000 ELSE 0 END", is_postgresql),
        "adjusted": _moment(f"{begin.timestamp():.0f} + i * {step * 20:.9f}", is_postgresql),
        "day": f"to_char({_moment(seconds, True)}, 'YYMMDD')"
        if is_postgresql
        else f"substr(strftime('%Y%m%d', {seconds}, 'unixepoch'), 3)",
        "json": "jsonb" if is_postgresql else "text",
        **{f"{name}_numbers": _numbers(count) for name, count in _counts(sales).items()},
    }


def _counts(sales: int) -> dict[str, int]:
    return {
        "sale": sales,
        "cancellation": sales // 200,
        "return": sales // 100,
        "exception": sales // 100,
        "audit": sales // 100,
        "document": sales // 20,
        "product": PRODUCTS,
        "customer": CUSTOMERS,
    }


def _numbers(count: int) -> str:
    return f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"


def _moment(seconds: str, is_postgresql: bool) -> str:
    if is_postgresql:
        return f"to_timestamp({seconds})"
    return f"strftime('%Y-%m-%dT%H:%M:%S', {seconds}, 'unixepoch') || '.000000Z'"


def _drop_indexes(connection: Connection) -> list[str]:
    """Drop the indexes of what is filled, which is quicker than keeping them up, and return how to make them."""
    if connection.dialect.name == "postgresql":
        found = connection.execute(
            text(
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY(:tables)"
                " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
            ),
            {"tables": list(_FILLED)},
        )
    else:
        tables = ", ".join(f"'{table}'" for table in _FILLED)
        found = connection.execute(
            text(f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql > '' AND tbl_name IN ({tables})")
        )
    indexes = found.all()
    for name, _ in indexes:
        connection.exec_driver_sql(f'DROP INDEX "{name}"')
    return [definition for _, definition in indexes]


_FILLED = (
    *("sale", "sale_line", "sale_payment", "stock_movement", "outbox", "audit_entry", "sale_exception"),
    *("pos_document", "product", "variant", "stock_level"),
)

# One of 20 in the first tenth of the sales; which of them, the number after it says.
_RARE = "i <= {sales} / 10 AND i % ({sales} / 200) = "

_PRODUCT = """
INSERT INTO product (id, name, sku, description, unit_id, price, attributes, tracking, price_mode, status,
  reject_reason, has_variants, search_text, created_at, updated_at)
{product_numbers} SELECT i, 'Article ' || i, 'BENCH-' || i, '', (SELECT MIN(id) FROM unit), (i % 500 + 1) * 10000,
  CAST('{{}}' AS {json}), 'quantity', 'bounded', 'published', '', FALSE, 'article ' || i || '\n' || 'bench-' || i,
  {begin}, {begin} FROM n
"""
_VARIANT = """
INSERT INTO variant (id, product_id, is_default, name, attributes, is_active)
{product_numbers} SELECT i, i, TRUE, '', CAST('{{}}' AS {json}), TRUE FROM n
"""
_PARTY = f"""
INSERT INTO party (id, name, phone, email, address, tax_id, is_customer, is_vendor, search_text, created_at, updated_at)
{{customer_numbers}} SELECT i, CASE i WHEN 1 THEN '{RARE_NAME}' ELSE 'Customer ' || i END,
  CASE i WHEN 1 THEN '{RARE_PHONE}' ELSE '+99 5' || (1000000 + i) END, '', '', '', TRUE, FALSE, '', {{begin}}, {{begin}}
FROM n
"""
# Every twentieth product is low, wherever it is.
_LEVEL = """
INSERT INTO stock_level (variant_id, location_id, lot_id, on_hand, reserved, updated_at)
{product_numbers} SELECT i, l.id, 0, CASE i % 20 WHEN 0 THEN i / 20 % 10 ELSE 100 + i % 50 END * 10000, 0, {now}
FROM n CROSS JOIN location l WHERE l.id > 0
"""
_ALERT = """
INSERT INTO stock_alert (product_id, warehouse_id, current_stock, threshold, status, created_at)
{product_numbers} SELECT i, 1, i / 20 % 10 * 10000, 100000, CASE WHEN i % 200 = 0 THEN 'resolved' ELSE 'open' END, {now}
FROM n WHERE i % 20 = 0
"""
_RECEIPT = """
INSERT INTO stock_document (id, kind, number, warehouse_id, reason, actor_id, request_id, occurred_at, recorded_at)
SELECT l.id, 'receipt', 'BENCH-' || l.id, l.id, '', {admin}, '', {begin}, {begin} FROM location l WHERE l.id > 0
"""
_RECEIVED = """
INSERT INTO stock_movement (product_id, variant_id, lot_id, quantity, source_id, destination_id, occurred_at,
  recorded_at, document_type, document_id, document_line, effect)
{product_numbers} SELECT i, i, 0, 1000000000, -1, l.id, {begin}, {begin}, 'receipt', l.id, i, 'receive'
FROM n CROSS JOIN location l WHERE l.id > 0
"""
# For every twentieth sale. The first twenty are rare in all: transfers of the supplier's, of one product and batch.
_DOCUMENT = """
INSERT INTO stock_document (id, kind, number, warehouse_id, to_warehouse_id, reason, actor_id, request_id, occurred_at,
  recorded_at)
{document_numbers} SELECT 100 + i, CASE WHEN i <= 20 THEN 'transfer' ELSE 'adjustment' END, 'ADJ-' || i,
  CASE WHEN i <= 20 THEN 1 ELSE i % 2 + 2 END, CASE WHEN i <= 20 THEN {rare_warehouse} END, '',
  CASE WHEN i <= 20 THEN {supplier} ELSE {admin} END, '', {adjusted}, {adjusted} FROM n
"""
_LOT = f"""
INSERT INTO lot (id, variant_id, batch_number, expiry_date, created_at)
VALUES (1, {{rare_product}}, '{RARE_BATCH}', NULL, {{begin}}), (2, {{frequent_product}}, 'OFTEN', NULL, {{begin}})
"""
_ADJUSTED = """
INSERT INTO stock_movement (product_id, variant_id, lot_id, quantity, source_id, destination_id, occurred_at,
  recorded_at, document_type, document_id, document_line, effect)
{document_numbers}, moved AS (SELECT i, CASE WHEN i <= 20 THEN {rare_product} WHEN i % 3 = 0 THEN {frequent_product}
  ELSE i % {products} + 1 END AS product FROM n)
SELECT product, product, CASE WHEN i <= 20 THEN 1 WHEN i % 3 = 0 THEN 2 ELSE 0 END, 10000, d.warehouse_id,
  COALESCE(d.to_warehouse_id, -3), d.occurred_at, d.recorded_at, d.kind, d.id, 0, d.kind
FROM moved JOIN stock_document d ON d.id = 100 + i
"""
# The cashier works in the first warehouse and so does the rare seller; the others have one each as well.
_SALE = f"""
INSERT INTO sale (id, kind, external_id, sale_number, channel, warehouse_id, seller_id, seller_name, customer_id,
  customer_name, customer_phone, customer_email, source_device, device_number, is_offline, clock_suspect, sale_date,
  created_at, synced_at, currency, currency_places, tax_rounding, subtotal, tax_amount, discount_amount, total_amount,
  cash_rounding, change_due, reason, notes, request_id)
{{sale_numbers}}, s AS (SELECT i, CASE WHEN {_RARE} 11 THEN {RARE_CUSTOMER} WHEN i % 100 = 1 THEN {FREQUENT_CUSTOMER}
    WHEN i % 20 = 5 THEN 3 + (i % 10007 * 7919 + i) % ({{customers}} - 2) END AS customer,
  {{moment}} AS recorded FROM n)
SELECT i + {{back}}, 'sale',
  CASE i % 10 WHEN 0 THEN '00000000-0000-4000-8000-' || substr(CAST(1000000000000 + i AS TEXT), 2) END,
  'OS' || {{day}} || substr(CAST(10000000 + i + {{back}} AS TEXT), 2), CASE WHEN {_RARE} 7 THEN 'phone' ELSE 'pos' END,
  CASE WHEN {_RARE} 10 THEN {RARE_WAREHOUSE} WHEN {_RARE} 9 THEN 1 ELSE i % {SELLERS} % 3 + 1 END,
  CASE WHEN {_RARE} 9 THEN {{supplier}} WHEN i % {SELLERS} = 0 THEN {{cashier}} ELSE 1000 + i % {SELLERS} END, 'Seller',
  customer, COALESCE(p.name, ''), COALESCE(p.phone, ''), '', 'till-' || (i % 5), CASE i % 10 WHEN 0 THEN i / 10 END,
  i % 100 = 50, FALSE, {{happened}}, recorded, recorded, 'EUR', 2, 'line',
  (i % 10007 * 7919 + i) % 100003 * 100 + 10000, 0, 0, (i % 10007 * 7919 + i) % 100003 * 100 + 10000, 0, 0, '', '', ''
FROM s LEFT JOIN party p ON p.id = customer
"""
# What takes back others: every 200th sale is cancelled, of every 100th something came back.
_TAKEN_BACK = """
INSERT INTO sale (id, kind, origin_id, sale_number, channel, warehouse_id, seller_id, seller_name, customer_id,
  customer_name, customer_phone, customer_email, source_device, is_offline, clock_suspect, sale_date, created_at,
  synced_at, currency, currency_places, tax_rounding, subtotal, tax_amount, discount_amount, total_amount,
  cash_rounding, change_due, reason, notes, request_id)
{{{kind}_numbers}} SELECT {{sales}} / 100 * {offset} + i, '{kind}', o.id,
  substr(o.sale_number, 1, 8) || (5000000 + {offset} * 1000000 + i), o.channel, o.warehouse_id, o.seller_id,
  o.seller_name, o.customer_id, o.customer_name, o.customer_phone, '', o.source_device, FALSE, FALSE, o.created_at,
  o.created_at, o.created_at, 'EUR', 2, 'line', -o.subtotal, 0, 0, -o.total_amount, 0, 0, 'Wrong', '', ''
FROM n JOIN sale o ON o.id = i * {every} - 10 + {{back}}
"""
# The product of the square of an even spread: a tenth of the products makes a third of the lines.
_LINE = f"""
INSERT INTO sale_line (sale_id, line_number, product_id, variant_id, product_name, variant_details, quantity,
  unit_price, discount_per_item, discount_share, tax_rate, tax_inclusive, tax_amount, total_price, batch_number)
{{sale_numbers}}, line(number) AS (SELECT 0 UNION ALL SELECT 1),
picked AS (SELECT i, number, (i % 997 * 6131 + i % 10007 * 71 + number * 3889) % 10000 AS spread
  FROM n CROSS JOIN line),
sold AS (SELECT i, number, CASE WHEN number = 0 AND {_RARE} 12 THEN {RARE_PRODUCT} WHEN number = 0 AND i % 20 = 3
  THEN {FREQUENT_PRODUCT} ELSE spread * spread / 10000 * 19 / 10 + 2 END AS product FROM picked)
SELECT i + {{back}}, number, product, product, 'Article', '', 10000 * (number + 1), 100000, 0, 0, 0, FALSE, 0,
  100000 * (number + 1), CASE product WHEN {RARE_PRODUCT} THEN '{RARE_BATCH}' END FROM sold
"""
_PAYMENT = f"""
INSERT INTO sale_payment (sale_id, method, amount, change, reference)
{{sale_numbers}} SELECT i + {{back}},
  CASE WHEN {_RARE} 8 THEN 'cheque' WHEN i % 7 = 0 THEN 'mobile' WHEN i % 7 < 3 THEN 'card' ELSE 'cash' END,
  300000, 0, '' FROM n
"""
_MOVEMENT = """
INSERT INTO stock_movement (product_id, variant_id, lot_id, quantity, source_id, destination_id, occurred_at,
  recorded_at, channel, document_type, document_id, document_line, effect)
SELECT l.product_id, l.variant_id, COALESCE(b.id, 0), l.quantity, s.warehouse_id, -2, s.sale_date, s.created_at,
  s.channel, 'sale', s.id, l.line_number, 'issue' FROM sale s JOIN sale_line l ON l.sale_id = s.id
LEFT JOIN lot b ON b.variant_id = l.variant_id AND b.batch_number = l.batch_number ORDER BY s.id, l.line_number
"""
_EVENT = """
INSERT INTO outbox (id, seq, name, payload, warehouse_id, occurred_at)
SELECT id - {back}, id - {back}, 'sale:created',
  CAST('{{"sale_id": ' || id || ', "kind": "sale", "seller_id": ' || seller_id || ', "items": []}}' AS {json}),
  warehouse_id, created_at FROM sale WHERE kind = 'sale'
"""
# The rare ones are those that nobody has looked at.
_EXCEPTION = """
INSERT INTO sale_exception (id, digest, channel, source_device, seller_id, warehouse_id, code, detail, payload,
  attempts, status, resolution, created_at, last_seen_at)
{exception_numbers} SELECT i, 'bench-' || i, 'pos', 'till-' || (i % 5),
  CASE i WHEN 1 THEN {supplier} ELSE {cashier} END, 1,
  CASE WHEN i <= 20 THEN 'bad-price' ELSE 'insufficient-stock' END, '', CAST('{{}}' AS {json}), 1,
  CASE WHEN i <= 20 THEN 'open' ELSE 'accepted' END, '', {begin}, {begin} FROM n
"""
_AUDIT = """
INSERT INTO audit_entry (created_at, actor_id, actor_name, request_id, action, entity, entity_id)
{audit_numbers} SELECT {moment}, CASE WHEN i <= 20 THEN {supplier} ELSE {admin} END,
  CASE WHEN i <= 20 THEN 'Supplier' ELSE 'Admin' END, '', CASE WHEN i <= 20 THEN 'write-off' ELSE 'update' END,
  CASE WHEN i <= 20 THEN 'sale_device' ELSE 'product' END, CAST(i % {products} + 1 AS TEXT) FROM n
"""
_NOTE = """
INSERT INTO pos_document (sale_id, till, is_late) SELECT id, 'till', FALSE FROM sale
"""

_STATEMENTS = (
    *(_PRODUCT, _VARIANT, _PARTY, _LEVEL, _ALERT, _RECEIPT, _RECEIVED, _DOCUMENT, _LOT, _ADJUSTED, _SALE),
    _TAKEN_BACK.format(kind="return", offset=0, every=100),
    _TAKEN_BACK.format(kind="cancellation", offset=1, every=200),
    *(_LINE, _PAYMENT, _MOVEMENT, _EVENT, _EXCEPTION, _AUDIT, _NOTE),
)
