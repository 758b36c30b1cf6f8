"""The same rows as the product writes, by hand: Falcon and a driver, no token, no validation, no hooks, no policy.

As a competent person writes it: one connection per thread, prepared statements, several rows per statement where
they go into one table, the contended rows last. Served by the same gunicorn, on the same database.
"""

import fcntl
import hashlib
import json
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import falcon


def _words(text: str) -> list[str]:
    return text.split()


SALE = _words(
    "id kind external_id fingerprint body_digest sale_number channel warehouse_id seller_id seller_name customer_name"
    " customer_phone customer_email source_device is_offline client_timestamp clock_suspect sale_date created_at"
    " synced_at currency currency_places tax_rounding subtotal tax_amount discount_amount total_amount cash_rounding"
    " change_due reason notes request_id"
)
LINE = _words(
    "sale_id line_number product_id variant_id product_name variant_details quantity unit_price catalogue_price"
    " discount_per_item discount_share tax_rate tax_inclusive tax_amount total_price"
)
PAYMENT = ["sale_id", "method", "amount", "change", "reference"]
MOVEMENT = _words(
    "product_id variant_id lot_id quantity source_id destination_id occurred_at recorded_at channel document_type"
    " document_id document_line effect"
)
#: The counter's own row of a sale, where the sale comes in by it.
NOTE = ["sale_id", "till", "is_late"]
EVENT = ["name", "payload", "warehouse_id", "occurred_at"]

#: PostgreSQL's types of the columns that are not text.
_TYPES = {
    **dict.fromkeys(
        _words(
            "id warehouse_id seller_id currency_places subtotal tax_amount discount_amount total_amount cash_rounding"
            " change_due sale_id line_number product_id variant_id quantity unit_price catalogue_price"
            " discount_per_item discount_share tax_rate total_price amount change lot_id"
            " source_id destination_id document_id document_line"
        ),
        "bigint",
    ),
    **dict.fromkeys(_words("client_timestamp sale_date created_at synced_at occurred_at recorded_at"), "timestamptz"),
    **dict.fromkeys(_words("is_offline clock_suspect tax_inclusive is_late"), "boolean"),
    "payload": "jsonb",
}
_CUSTOMER = -2
_SCALE = 10_000
#: The seller whom every sale names; the product takes it from the token.
_SELLER = (int(os.environ.get("BENCH_SELLER", "1")), "Bench")
#: As long as a request's id.
_REQUEST = "0" * 32

Row = tuple[Any, ...]
Item = tuple[int, int, str, int, Any, int]  # product, variant, name, price, category, available


def create_app() -> Any:
    """Return the application of ``TILLHOOK_DATABASE_URL``."""
    # As the product does: a holder of SQLite's write lock must not wait 5 ms for the interpreter's.
    sys.setswitchinterval(0.0005)
    store = _postgresql() if os.environ["TILLHOOK_DATABASE_URL"].startswith("postgresql") else _sqlite()
    app: Any = falcon.App()
    app.add_route("/healthz", _Health())
    app.add_route("/echo", _Echo())
    app.add_route("/sales", _Sales(store))
    app.add_route("/sync", _Sync(store))
    return app


class _Short(Exception):
    pass


class _Health:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.media = {"status": "ok"}


class _Echo:
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        response.media = request.media


class _Sales:
    def __init__(self, store: "_Store") -> None:
        self._store = store

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        try:
            response.media = {"id": self._store.post(request.media)}
            response.status = falcon.HTTP_201
        except _Short:
            response.status = falcon.HTTP_409


class _Sync:
    def __init__(self, store: "_Store") -> None:
        self._store = store

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        created = self._store.ingest(request.media["sales"])
        response.media = {"results": [{"external_id": each, "status": "created"} for each in created]}


class _Store:
    """Statements of one engine; ``connect`` opens a connection of the calling thread."""

    def __init__(self, connect: Callable[[], Any], place: str) -> None:
        self._connect = connect
        self._place = place
        self._local = threading.local()
        self._sale_sql = _insert("sale", SALE, place, 1)
        self._line_sql = {n: _insert("sale_line", LINE, place, n) for n in (1, 2)}
        self._payment_sql = _insert("sale_payment", PAYMENT, place, 1)
        self._movement_sql = {n: _insert("stock_movement", MOVEMENT, place, n) for n in (1, 2)}
        self._note_sql = _insert("pos_document", NOTE, place, 1)
        self._uncounted_sql = _insert("sale_uncounted", ["sale_id"], place, 1)
        self._event_sql = {n: _insert("outbox", EVENT, place, n) for n in (2, 3)}
        self._level_sql = (
            f"UPDATE stock_level SET on_hand = on_hand - {place}, updated_at = {place} WHERE variant_id = {place}"
            f" AND location_id = {place} AND lot_id = 0 AND on_hand - reserved >= {place}"
        )

    def post(self, sale: dict[str, Any]) -> int:
        """Write one sale, statement after statement, and return its key.

        Raises:
            _Short: The stock does not suffice; nothing is written.
        """
        now = _now()
        lines = sale["items"]
        count = len(lines)
        with self.transaction() as cursor:
            items = self.items(cursor, sale["warehouse"], [line["product_id"] for line in lines])
            sale_id = self.next_ids(cursor, 1)[0]
            cursor.execute(self._sale_sql, _sale_row(sale, sale_id, now, offline=False))
            cursor.execute(self._line_sql[count], _flat(_line_rows(sale, sale_id, items)))
            cursor.execute(self._payment_sql, _payment_row(sale, sale_id))
            cursor.execute(self._uncounted_sql, (sale_id,))
            if sale["channel"] == "pos":
                cursor.execute(self._note_sql, _note_row(sale, sale_id))
            cursor.execute(self._movement_sql[count], _flat(_movement_rows(sale, sale_id, items, now, now)))
            changes = _changes([sale], items)
            told = [*_event_rows(changes, items, sale["warehouse"], now), _sale_event(sale, sale_id, items, now)]
            cursor.execute(self._event_sql[len(told)], _flat(told))
            # The locks that others wait for come last, in key order.
            for variant, units in changes:
                cursor.execute(self._level_sql, (units, now, variant, sale["warehouse"], units))
                if cursor.rowcount != 1:
                    raise _Short
        return sale_id

    def ingest(self, sales: Sequence[dict[str, Any]]) -> list[str]:
        """Write many sales, one statement per table; levels may go negative, the goods are gone."""
        now = _now()
        warehouse = sales[0]["warehouse"]
        with self.transaction() as cursor:
            wanted = sorted({line["product_id"] for sale in sales for line in sale["items"]})
            items = self.items(cursor, warehouse, wanted)
            ids = self.next_ids(cursor, len(sales))
            pairs = list(zip(sales, ids, strict=True))
            self.insert_many(cursor, "sale", SALE, [_sale_row(s, i, now, offline=True) for s, i in pairs])
            self.insert_many(cursor, "sale_line", LINE, [r for s, i in pairs for r in _line_rows(s, i, items)])
            self.insert_many(cursor, "sale_payment", PAYMENT, [_payment_row(s, i) for s, i in pairs])
            self.insert_many(cursor, "sale_uncounted", ["sale_id"], [(i,) for _, i in pairs])
            notes = [_note_row(s, i) for s, i in pairs if s["channel"] == "pos"]
            if notes:
                self.insert_many(cursor, "pos_document", NOTE, notes)
            moves = [r for s, i in pairs for r in _movement_rows(s, i, items, s["client_timestamp"], now)]
            self.insert_many(cursor, "stock_movement", MOVEMENT, moves)
            changes = _changes(sales, items)
            told = _event_rows(changes, items, warehouse, now)
            told += [_sale_event(s, i, items, now) for s, i in pairs]
            self.insert_many(cursor, "outbox", EVENT, told)
            self.change_levels(cursor, changes, warehouse, now)
        return [sale["external_id"] for sale in sales]

    def connection(self) -> Any:
        found = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._connect()
        return found

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        raise NotImplementedError

    def items(self, cursor: Any, warehouse: int, products: Sequence[int]) -> dict[int, Item]:
        raise NotImplementedError

    def next_ids(self, cursor: Any, count: int) -> list[int]:
        raise NotImplementedError

    def insert_many(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        raise NotImplementedError

    def change_levels(self, cursor: Any, changes: Sequence[tuple[int, int]], warehouse: int, now: str) -> None:
        raise NotImplementedError


_ITEMS = (
    "SELECT p.id, v.id, p.name, p.price, p.category_id, l.on_hand - l.reserved FROM product p"
    " JOIN variant v ON v.product_id = p.id AND v.is_default"
    # LEFT, or SQLite begins with every level of the warehouse.
    " LEFT JOIN stock_level l ON l.variant_id = v.id AND l.lot_id = 0 AND l.location_id = "
)


class _PostgresStore(_Store):
    @contextmanager
    def transaction(self) -> Iterator[Any]:
        connection = self.connection()
        with connection.transaction(), connection.cursor() as cursor:
            yield cursor

    def items(self, cursor: Any, warehouse: int, products: Sequence[int]) -> dict[int, Item]:
        # A bare array would be planned anew each time, for its length is unknown; ARRAY(…) has a plan that is kept.
        keys = "%s WHERE p.id = ANY(ARRAY(SELECT unnest(%s::bigint[])))"
        cursor.execute(_ITEMS + keys, (warehouse, list(products)))
        return {row[0]: row for row in cursor}

    def next_ids(self, cursor: Any, count: int) -> list[int]:
        # The same again: how many keys there will be must not be seen by the planner.
        cursor.execute("SELECT nextval('sale_id_seq') FROM generate_series(1, (SELECT %s::int))", (count,))
        return [row[0] for row in cursor]

    def insert_many(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        names = ",".join(columns)
        arrays = ",".join(f"%s::{_TYPES.get(column, 'text')}[]" for column in columns)
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})", [list(c) for c in zip(*rows, strict=True)]
        )

    def change_levels(self, cursor: Any, changes: Sequence[tuple[int, int]], warehouse: int, now: str) -> None:
        variants, units = zip(*changes, strict=True)
        cursor.execute(
            "WITH locked AS MATERIALIZED (SELECT l.variant_id, c.units FROM stock_level l"
            " JOIN unnest(%s::bigint[], %s::bigint[]) AS c(variant, units) ON c.variant = l.variant_id"
            " WHERE l.location_id = %s AND l.lot_id = 0 ORDER BY l.variant_id FOR UPDATE OF l)"
            " UPDATE stock_level l SET on_hand = on_hand - locked.units, updated_at = %s FROM locked"
            " WHERE l.variant_id = locked.variant_id AND l.location_id = %s AND l.lot_id = 0",
            (list(variants), list(units), warehouse, now, warehouse),
        )


class _SqliteStore(_Store):
    @contextmanager
    def transaction(self) -> Iterator[Any]:
        connection = self.connection()
        lock = self._local.lock
        # The file on which the product's writers queue too; it is fair, and SQLite's own waiting is not.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            cursor = connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)

    def connection(self) -> Any:
        connection = super().connection()
        if not hasattr(self._local, "lock"):
            self._local.lock = Path(_sqlite_path() + ".writer").open("ab")  # noqa: SIM115 - kept for the thread's life
        return connection

    def items(self, cursor: Any, warehouse: int, products: Sequence[int]) -> dict[int, Item]:
        condition = "? WHERE p.id IN (SELECT value FROM json_each(?))"
        cursor.execute(_ITEMS + condition, (warehouse, json.dumps(list(products))))
        return {row[0]: row for row in cursor}

    def next_ids(self, cursor: Any, count: int) -> list[int]:
        last = cursor.execute("SELECT COALESCE(MAX(id), 0) FROM sale").fetchone()[0]
        return list(range(last + 1, last + 1 + count))

    def insert_many(self, cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        cursor.executemany(_insert(table, columns, "?", 1), rows)

    def change_levels(self, cursor: Any, changes: Sequence[tuple[int, int]], warehouse: int, now: str) -> None:
        cursor.executemany(
            "UPDATE stock_level SET on_hand = on_hand - ?, updated_at = ?"
            " WHERE variant_id = ? AND location_id = ? AND lot_id = 0",
            [(units, now, variant, warehouse) for variant, units in changes],
        )


def _postgresql() -> _Store:
    import psycopg

    def connect() -> Any:
        url = os.environ["TILLHOOK_DATABASE_URL"]
        # Every statement is prepared the first time; this is what the name of the setting hides.
        return psycopg.connect(url, autocommit=True, prepare_threshold=0, options="-c jit=off -c timezone=UTC")

    return _PostgresStore(connect, "%s")


def _sqlite() -> _Store:
    def connect() -> Any:
        connection = sqlite3.connect(_sqlite_path(), isolation_level=None, timeout=30)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -32768")
        return connection

    return _SqliteStore(connect, "?")


def _sqlite_path() -> str:
    return unquote(os.environ["TILLHOOK_DATABASE_URL"].removeprefix("sqlite:///"))


def _insert(table: str, columns: Sequence[str], place: str, rows: int) -> str:
    values = ",".join([f"({','.join([place] * len(columns))})"] * rows)
    return f"INSERT INTO {table} ({','.join(columns)}) VALUES {values}"


def _flat(rows: Sequence[Row]) -> list[Any]:
    return [value for row in rows for value in row]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _units(text: str) -> int:
    whole, _, rest = text.partition(".")
    return int(whole) * _SCALE + int(rest.ljust(4, "0") or 0)


def _price(line: dict[str, Any]) -> int:
    return _units(line["quantity"]) * _units(line["unit_price"]) // _SCALE


def _sale_row(sale: dict[str, Any], sale_id: int, now: str, *, offline: bool) -> Row:
    total = sum(_price(line) for line in sale["items"])
    # One digest is enough by hand; it fills both columns, so that the rows are as long as the product's.
    digest = hashlib.sha256(json.dumps(sale, sort_keys=True).encode()).hexdigest()
    return (
        *(sale_id, "sale", sale["external_id"], digest, digest),
        _sale_number(sale_id, now),
        *(sale["channel"], sale["warehouse"], *_SELLER, "", "", "", sale["source_device"], offline),
        *(sale["client_timestamp"], False, sale["client_timestamp"] if offline else now, now, now),
        *("EUR", 2, "line", total, 0, 0, total, 0, 0, "", "", _REQUEST),
    )


def _sale_number(sale_id: int, now: str) -> str:
    return f"BL{now[2:4]}{now[5:7]}{now[8:10]}{sale_id % 10_000_000:07d}"


def _line_rows(sale: dict[str, Any], sale_id: int, items: dict[int, Item]) -> list[Row]:
    rows = []
    for number, line in enumerate(sale["items"]):
        product, variant, name, price, *_ = items[line["product_id"]]
        quantity, unit_price = _units(line["quantity"]), _units(line["unit_price"])
        rows.append(
            (sale_id, number, product, variant, name, "", quantity, unit_price, price, 0, 0, 0, False, 0, _price(line))
        )
    return rows


def _payment_row(sale: dict[str, Any], sale_id: int) -> Row:
    return (sale_id, sale["payment_method"], sum(_price(line) for line in sale["items"]), 0, "")


def _note_row(sale: dict[str, Any], sale_id: int) -> Row:
    return (sale_id, sale["source_device"], False)


def _movement_rows(sale: dict[str, Any], sale_id: int, items: dict[int, Item], occurred_at: str, now: str) -> list[Row]:
    return [
        (
            *(line["product_id"], items[line["product_id"]][1], 0, _units(line["quantity"])),
            *(sale["warehouse"], _CUSTOMER, occurred_at, now, sale["channel"], "sale", sale_id, number, "issue"),
        )
        for number, line in enumerate(sale["items"])
    ]


def _changes(sales: Sequence[dict[str, Any]], items: dict[int, Item]) -> list[tuple[int, int]]:
    """Return units sold by variant, in key order."""
    changes: dict[int, int] = {}
    for sale in sales:
        for line in sale["items"]:
            variant = items[line["product_id"]][1]
            changes[variant] = changes.get(variant, 0) + _units(line["quantity"])
    return sorted(changes.items())


def _event_rows(changes: Sequence[tuple[int, int]], items: dict[int, Item], warehouse: int, now: str) -> list[Row]:
    by_variant = {item[1]: item for item in items.values()}
    rows = []
    for variant, units in changes:
        product, _, name, price, category, available = by_variant[variant]
        summary = {
            "_id": product,
            "name": name,
            "inventory": (available - units) / _SCALE,
            "category": category,
            "price": price / _SCALE,
        }
        rows.append(("product:inventory-updated", json.dumps({"product": summary}), warehouse, now))
    return rows


def _sale_event(sale: dict[str, Any], sale_id: int, items: dict[int, Item], now: str) -> Row:
    payload = {
        "sale_id": sale_id,
        "sale_number": _sale_number(sale_id, now),
        "kind": "sale",
        "origin_id": None,
        "channel": sale["channel"],
        "warehouse_id": sale["warehouse"],
        "seller_id": _SELLER[0],
        "total_amount": sum(_price(line) for line in sale["items"]) / _SCALE,
        "currency": "EUR",
        "items": [
            {
                "product_id": line["product_id"],
                "product_name": items[line["product_id"]][2],
                "quantity": _units(line["quantity"]) / _SCALE,
            }
            for line in sale["items"]
        ],
    }
    return ("sale:created", json.dumps(payload), sale["warehouse"], now)
