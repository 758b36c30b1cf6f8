"""``bin/bench retail FILE``: a retailer's real till lines go through the API, and must come out as they are.

FILE is a CSV with the columns of the data set "Online Retail"; ``docs/retail-replay.md`` says what its odd rows
do. What is to be posted follows from the file alone, and so do all keys: a second replay says exactly the same
and adds nothing. What must come out is computed from the file's rows by itself, not from what was posted.
"""

import argparse
import contextlib
import csv
import http.client
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from tillhook.config import Settings
from tillhook.testing import Databases, PostgresServer, RunningServer
from tillhook.testing.databases import ENGINES, SECRET
from tillhook.testing.people import PASSWORD
from tillhook.testing.template import environment_of, fill

COLUMNS = (
    "invoice_no",
    "stock_code",
    "description",
    "quantity",
    "invoice_date",
    "unit_price",
    "customer_id",
    "country",
)
#: The most lines that the API takes in one sale or return.
MAX_LINES = 1_000
#: Sales per request.
BATCH = 50
WAREHOUSE = "RETAIL"
DEVICE = "retail-replay"
#: Every key of the replay is made from this and what it stands for.
_KEYS = uuid.UUID("6f1c4f0e-54a5-5b53-9d0e-1f3f5d1c7a10")
_ZERO = Decimal(0)

#: Quantity and revenue by stock code and day.
Totals = dict[tuple[str, str], tuple[Decimal, Decimal]]


class ReplayError(Exception):
    """The file has a row that the replay does not understand, or the server refused a request."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of the file; ``quantity`` is negative for what came back or was written off."""

    row: int
    invoice: str
    code: str
    description: str
    quantity: Decimal
    at: str
    price: Decimal
    customer: str
    country: str

    @property
    def day(self) -> str:
        return self.at[:10]

    @property
    def is_return(self) -> bool:
        return self.invoice.startswith("C")

    @property
    def is_adjustment(self) -> bool:
        return self.quantity < 0 and not self.is_return


@dataclass
class SaleLine:
    """A line to sell, and how much of it no return has taken back yet."""

    code: str
    quantity: Decimal
    price: Decimal
    left: Decimal


@dataclass
class Sale:
    """A sale to post."""

    key: str
    at: str
    customer: str
    notes: str
    lines: list[SaleLine] = field(default_factory=list)


@dataclass
class Return:
    """Goods of one sale to take back: the positions of its lines, and quantities."""

    key: str
    sale: Sale
    at: str
    reason: str
    lines: list[tuple[int, Decimal]] = field(default_factory=list)


@dataclass
class Adjustment:
    """A correction of stock to post: stock codes and signed quantities."""

    key: str
    at: str
    reason: str
    lines: list[tuple[str, Decimal]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Product:
    """A product to import; ``stock`` is ``None`` for a service, which has none."""

    code: str
    name: str
    price: Decimal
    stock: Decimal | None


@dataclass
class Posted:
    """What one pass through the file has done: documents that are new, and those that were there."""

    seconds: float = 0.0
    created: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)

    def count(self, kind: str, is_new: bool) -> None:
        """Add a document."""
        (self.created if is_new else self.known)[kind] += 1


@dataclass
class Result:
    """The report on one server: what the file holds, what the passes did, and what does not agree."""

    engine: str
    products: int
    rows: int
    quantity: str
    revenue: str
    days: dict[str, dict[str, str]] = field(default_factory=dict)
    passes: list[dict[str, Any]] = field(default_factory=list)
    verified: bool | None = None
    differences: list[str] = field(default_factory=list)


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.url and not (options.email and options.password):
        _parser().error("--url needs --email and --password")
    try:
        lines = read(options.file)
        if options.url:
            api = Api(options.url, options.email, options.password)
            results = [Replay(urlsplit(options.url).netloc, lines, api, api.import_products).run(options.twice)]
        else:
            engines = [options.engine] if options.engine else list(reversed(ENGINES))
            results = [_on_own_server(engine, lines, options.twice) for engine in engines]
    except ReplayError as error:
        _say(f"bin/bench retail: {error}")
        return 1
    print(json.dumps([asdict(each) for each in results], indent=1) if options.json else "\n".join(map(_told, results)))
    return 1 if any(result.differences for result in results) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/bench retail", description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV with the columns " + ", ".join(COLUMNS))
    parser.add_argument("--engine", choices=ENGINES, help="on this engine only (default: on both, servers of its own)")
    parser.add_argument("--url", help="on a running server instead, whose days must be those of UTC")
    parser.add_argument("--email", help="an administrator there")
    parser.add_argument("--password")
    parser.add_argument(
        "--twice", action=argparse.BooleanOptionalAction, default=True, help="replay twice (default): nothing is added"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser


# The file


def read(path: Path) -> list[Line]:
    """Return the rows, invoices in order of time.

    Raises:
        ReplayError: The file cannot be read, or holds a row of a kind that is not known.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            if missing := set(COLUMNS) - set(reader.fieldnames or ()):
                raise ReplayError(f"{path} has no column {', '.join(sorted(missing))}")
            lines = [_line(reader.line_num, cells) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReplayError(f"{path} cannot be read: {error}") from error
    if not lines:
        raise ReplayError(f"{path} has no rows")
    begun: dict[str, str] = {}
    for line in lines:
        begun.setdefault(line.invoice, line.at)
    return sorted(lines, key=lambda line: (begun[line.invoice], line.invoice, line.row))


def _line(row: int, cells: dict[str, str]) -> Line:
    try:
        quantity, price = Decimal(cells["quantity"]), Decimal(cells["unit_price"])
        date.fromisoformat(cells["invoice_date"][:10])
    except (InvalidOperation, TypeError, ValueError):
        raise ReplayError(f"row {row}: no quantity, price or date") from None
    line = Line(
        row=row,
        invoice=cells["invoice_no"],
        code=cells["stock_code"],
        description=cells["description"].strip(),
        quantity=quantity,
        at=cells["invoice_date"],
        price=price,
        customer=cells["customer_id"],
        country=cells["country"],
    )
    if not line.invoice or not line.code or not quantity or price < 0:
        raise ReplayError(f"row {row}: no invoice, no stock code, a quantity of 0 or a price below 0")
    if line.is_return and quantity > 0:
        raise ReplayError(f"row {row}: a positive quantity on a return")
    if line.is_adjustment and price:
        raise ReplayError(f"row {row}: a negative quantity with a price, on an invoice that is no return")
    return line


def is_service(code: str) -> bool:
    """Say whether a code stands for no goods: those begin with a digit, ``POST`` and ``BANK CHARGES`` do not."""
    return not code[:1].isdigit()


def totals_of(lines: Iterable[Line]) -> Totals:
    """Return what the file says was sold, less what came back; stock corrections are neither."""
    totals: Totals = {}
    for line in lines:
        if not line.is_adjustment:
            quantity, revenue = totals.get((line.code, line.day), (_ZERO, _ZERO))
            totals[line.code, line.day] = (quantity + line.quantity, revenue + line.quantity * line.price)
    return totals


class Plan:
    """The documents that the file's rows become, in the order in which they are posted."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self.first_day = min(line.day for line in lines)
        self.last_day = max(line.day for line in lines)
        self._day_before = (date.fromisoformat(self.first_day) - timedelta(days=1)).isoformat()
        self.sales: list[Sale] = []
        self.earlier_sales: list[Sale] = []
        self.returns: list[Return] = []
        self.adjustments: list[Adjustment] = []
        #: Lines that are still to come back, oldest first, by customer, code and price.
        self._sold: dict[tuple[str, str, Decimal], list[tuple[Sale, int]]] = defaultdict(list)
        self._earlier: dict[str, list[Sale]] = defaultdict(list)
        for invoice in _by_invoice(lines):
            self._add(invoice)

    def products(self) -> list[Product]:
        """Return a product per stock code, with enough opening stock for all that goes out."""
        names: dict[str, Counter[str]] = defaultdict(Counter)
        prices: dict[str, Counter[Decimal]] = defaultdict(Counter)
        out: dict[str, Decimal] = defaultdict(Decimal)
        for line in self._lines:
            names[line.code].update([line.description] if line.description else [])
            prices[line.code].update([line.price] if line.price else [])
            if line.is_adjustment or line.quantity > 0:
                out[line.code] += abs(line.quantity)
        for code, quantity in self.sold_earlier().items():
            out[code] += quantity
        return [
            Product(
                code=code,
                name=_most_common(names[code], code),
                price=_most_common(prices[code], _ZERO),
                stock=None if is_service(code) else out[code],
            )
            for code in names
        ]

    def sold_earlier(self) -> dict[str, Decimal]:
        """Return what was sold before the file begins, by code."""
        sold: dict[str, Decimal] = defaultdict(Decimal)
        for sale in self.earlier_sales:
            for line in sale.lines:
                sold[line.code] += line.quantity
        return sold

    def _add(self, lines: list[Line]) -> None:
        if lines[0].is_return:
            self._add_returns(lines)
            return
        self._add_sales([line for line in lines if not line.is_adjustment])
        corrections = [line for line in lines if line.is_adjustment]
        if corrections:
            first = corrections[0]
            why = first.description or "no description"
            made = [(line.code, line.quantity) for line in corrections]
            reason = f"Till, invoice {first.invoice}: {why}"
            self.adjustments.append(Adjustment(_key("adjustment", first.invoice), first.at, reason, made))

    def _add_sales(self, lines: list[Line]) -> None:
        """Add an invoice, in parts when it has more lines than a sale may have."""
        for start in range(0, len(lines), MAX_LINES):
            part = lines[start : start + MAX_LINES]
            first = part[0]
            names = [first.invoice] if not start else [first.invoice, str(start // MAX_LINES + 1)]
            sale = Sale(_key(*names), first.at, first.customer, f"Invoice {first.invoice}, {first.country}")
            for line in part:
                self._sell(sale, line.code, line.quantity, line.price)
            self.sales.append(sale)

    def _sell(self, sale: Sale, code: str, quantity: Decimal, price: Decimal) -> None:
        self._sold[sale.customer, code, price].append((sale, len(sale.lines)))
        sale.lines.append(SaleLine(code, quantity, price, quantity))

    def _add_returns(self, lines: list[Line]) -> None:
        """Take each line back from the sales that it can be of; one document per sale."""
        made: dict[str, Return] = {}
        for line in lines:
            for sale, position, quantity in self._find(line):
                document = made.get(sale.key)
                if document is None or len(document.lines) == MAX_LINES:
                    key = _key(line.invoice, sale.key, str(len(made)))
                    reason = f"Invoice {line.invoice}, {line.country}"
                    document = made[sale.key] = Return(key, sale, line.at, reason)
                    self.returns.append(document)
                document.lines.append((position, quantity))

    def _find(self, line: Line) -> Iterator[tuple[Sale, int, Decimal]]:
        """Yield where the goods were sold, oldest first; what no sale in the file explains was sold before it."""
        wanted = -line.quantity
        for sale, position in self._sold[line.customer, line.code, line.price]:
            sold = sale.lines[position]
            quantity = min(wanted, sold.left)
            if quantity:
                sold.left -= quantity
                wanted -= quantity
                yield sale, position, quantity
        if wanted:
            sale = self._earlier_sale(line)
            sale.lines.append(SaleLine(line.code, wanted, line.price, _ZERO))
            yield sale, len(sale.lines) - 1, wanted

    def _earlier_sale(self, line: Line) -> Sale:
        """Return the customer's sale before the file begins."""
        sales = self._earlier[line.customer]
        if not sales or len(sales[-1].lines) == MAX_LINES:
            key = _key("before", self.first_day, line.customer, str(len(sales)))
            notes = f"Sale before the file begins, {line.country}"
            sales.append(Sale(key, f"{self._day_before}T12:00:00Z", line.customer, notes))
            self.earlier_sales.append(sales[-1])
        return sales[-1]


def _by_invoice(lines: Iterable[Line]) -> list[list[Line]]:
    invoices: dict[str, list[Line]] = {}
    for line in lines:
        invoices.setdefault(line.invoice, []).append(line)
    return list(invoices.values())


def _most_common(counter: Counter[Any], default: Any) -> Any:
    return counter.most_common(1)[0][0] if counter else default


def _key(*names: str) -> str:
    return str(uuid.uuid5(_KEYS, "\n".join(names)))


# The server


class Api:
    """A logged-in client on one connection. Every request of the replay may be sent twice without harm."""

    def __init__(self, url: str, email: str, password: str) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=300)
        self._prefix = parts.path.rstrip("/") + "/api"
        self._login = {"email": email, "password": password}
        self._token = ""

    def get(self, path: str, **query: Any) -> Any:
        return self.request("GET", f"{path}?{urlencode(query)}")[1]

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        sent = {"Content-Type": "application/json", **headers}
        return self.request("POST", path, json.dumps(body).encode(), sent)

    def pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, page after page."""
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, **query, limit=200, **cursor)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}

    def import_products(self, table: bytes, warehouse: int) -> str:
        """Upload a table of products; return what came of it, in words."""
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="retail.csv"\r\n'
        body = (head + "Content-Type: text/csv\r\n\r\n").encode() + table + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        result = self.request("POST", f"/products/import?warehouse={warehouse}&stock_mode=ignore", body, headers)[1]
        told = ("rows", "created", "updated", "unchanged", "stock_lines")
        return ", ".join(f"{result[name]} {name.replace('_', ' ')}" for name in told)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return the status and the answer's JSON.

        Raises:
            ReplayError: The server cannot be reached, or refuses.
        """
        if not self._token:
            self._log_in()
        status, answer = self._send(method, path, body, headers)
        if status == 401:  # the token's time is over
            self._log_in()
            status, answer = self._send(method, path, body, headers)
        if status >= 400:
            raise ReplayError(f"{method} {path.partition('?')[0]} was refused: {status} {json.dumps(answer)[:2000]}")
        return status, answer

    def _log_in(self) -> None:
        headers = {"Content-Type": "application/json"}
        status, answer = self._send("POST", "/auth/login", json.dumps(self._login).encode(), headers)
        if status != 200:
            raise ReplayError(f"cannot log in as {self._login['email']}: {status} {json.dumps(answer)[:500]}")
        self._token = answer["access_token"]

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str] | None, *, again: bool = True
    ) -> tuple[int, Any]:
        sent = {**(headers or {}), "Authorization": f"Bearer {self._token}"} if self._token else headers or {}
        try:
            self._connection.request(method, self._prefix + path, body, sent)
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            # A server closes connections that were quiet for a while.
            if again and isinstance(error, ConnectionError):
                return self._send(method, path, body, headers, again=False)
            raise ReplayError(f"{method} {path.partition('?')[0]}: {error!r}") from error
        is_json = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, json.loads(text) if is_json else text.decode(errors="replace")


class Replay:
    """The replay of a file on one server, and the comparison of what came out.

    Args:
        import_products: Imports a CSV with opening stock for a warehouse, and says what came of it.
        verify: Runs ``tillhook verify`` and returns what it found; ``None`` when that is out of reach.
    """

    def __init__(
        self,
        name: str,
        lines: Sequence[Line],
        api: Api,
        import_products: Callable[[bytes, int], str],
        verify: Callable[[], list[str]] | None = None,
    ) -> None:
        self._name = name
        self._lines = lines
        self._api = api
        self._import_products = import_products
        self._verify = verify
        self._plan = Plan(lines)
        self._products = self._plan.products()
        self._ids: dict[str, int] = {}
        self._warehouse = 0

    def run(self, twice: bool) -> Result:
        """Replay the file, compare, and do both again."""
        expected = totals_of(self._lines)
        quantity, revenue = _sum(expected.values())
        result = Result(self._name, len(self._products), len(self._lines), f"{quantity:f}", f"{revenue:f}")
        for day in sorted({day for _, day in expected}):
            total = _sum(value for (_, each), value in expected.items() if each == day)
            result.days[day] = {"quantity": f"{total[0]:f}", "revenue": f"{total[1]:f}"}
        self._warehouse = self._find_warehouse()
        result.passes.append(self._pass(result, expected))
        if twice:
            before = self._documents()
            again = self._pass(result, expected)
            result.passes.append(again)
            after = self._documents()
            if again["created"] or before != after:
                result.differences.append(
                    f"the second replay added {again['created'] or 'no document'};"
                    f" sales and movements were {before} and are {after}"
                )
        if self._verify is not None:
            self._say("tillhook verify")
            found = self._verify()
            result.verified = not found
            result.differences += found
        return result

    def _pass(self, result: Result, expected: Totals) -> dict[str, Any]:
        """Post the whole file, and compare."""
        self._say(f"importing {len(self._products)} products")
        begin = time.perf_counter()
        self._say(self._import_products(self._table(), self._warehouse))
        imported = time.perf_counter()
        wanted = {product.code for product in self._products}
        self._ids = {each["sku"]: each["id"] for each in self._api.pages("/products") if each["sku"] in wanted}
        if missing := wanted - self._ids.keys():
            raise ReplayError(f"not imported: {', '.join(sorted(missing))}")
        posted = Posted()
        replaying = time.perf_counter()
        sales = self._post_sales(posted)
        self._post_adjustments(posted)
        self._post_returns(posted, sales)
        posted.seconds = time.perf_counter() - replaying
        self._say("comparing")
        for found in (*self._compare_totals(expected), *self._compare_stock()):
            if found not in result.differences:
                result.differences.append(found)
        return {
            "import_s": round(imported - begin, 2),
            "replay_s": round(posted.seconds, 2),
            "created": dict(posted.created),
            "known": dict(posted.known),
        }

    def _find_warehouse(self) -> int:
        """Return the replay's own warehouse, so that nobody else's stock is in the comparison."""
        for warehouse in self._api.get("/warehouses")["items"]:
            if warehouse["code"] == WAREHOUSE:
                return int(warehouse["id"])
        return int(self._api.post("/warehouses", {"name": "Retail replay", "code": WAREHOUSE})[1]["id"])

    def _table(self) -> bytes:
        table = io.StringIO(newline="")
        writer = csv.writer(table)
        writer.writerow(["sku", "name", "price", "price_mode", "tracking", "stock"])
        for product in self._products:
            tracking = "none" if product.stock is None else "quantity"
            stock = "" if product.stock is None else f"{product.stock:f}"
            writer.writerow([product.code, product.name, f"{product.price:f}", "open", tracking, stock])
        return table.getvalue().encode()

    def _post_sales(self, posted: Posted) -> dict[str, dict[str, Any]]:
        """Post the sales in batches; return the server's answers by key."""
        answers: dict[str, dict[str, Any]] = {}
        waiting = [*self._plan.earlier_sales, *self._plan.sales]
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            results = self._api.post("/sales/sync", {"sales": [self._sale(sale) for sale in batch]})[1]["results"]
            for sale, each in zip(batch, results, strict=True):
                if each["status"] == "rejected":
                    raise ReplayError(f"the sale {sale.notes} was refused: {json.dumps(each['error'])[:2000]}")
                posted.count("sales", each["status"] == "created")
                answers[sale.key] = each["sale"]
            self._say(f"sales {start + len(batch)} of {len(waiting)}")
        return answers

    def _sale(self, sale: Sale) -> dict[str, Any]:
        return {
            "external_id": sale.key,
            "channel": "pos",
            "source_device": DEVICE,
            "client_timestamp": sale.at,
            "warehouse": self._warehouse,
            "customer_name": f"Customer {sale.customer}" if sale.customer else "",
            "payment_method": "cash",
            "notes": sale.notes,
            "items": [
                {
                    "product_id": self._ids[line.code],
                    "quantity": f"{line.quantity:f}",
                    "unit_price": f"{line.price:f}",
                }
                for line in sale.lines
            ],
        }

    def _post_adjustments(self, posted: Posted) -> None:
        query = {"warehouse": self._warehouse, "document_type": "adjustment"}
        # A repeated key is answered with the document that it made the first time.
        known = {each["document_id"] for each in self._api.pages("/inventory/movements", **query)}
        for adjustment in self._plan.adjustments:
            body = {
                "warehouse": self._warehouse,
                "occurred_at": adjustment.at,
                "reason": adjustment.reason,
                "lines": [
                    {"product_id": self._ids[code], "quantity": f"{quantity:f}"} for code, quantity in adjustment.lines
                ],
            }
            document = self._api.post("/inventory/adjustments", body, **{"Idempotency-Key": adjustment.key})[1]
            posted.count("adjustments", document["id"] not in known)
        self._say(f"stock adjustments {len(self._plan.adjustments)}")

    def _post_returns(self, posted: Posted, sales: dict[str, dict[str, Any]]) -> None:
        total = len(self._plan.returns)
        for start in range(0, total, BATCH):
            batch = self._plan.returns[start : start + BATCH]
            bodies = [self._return(document, sales[document.sale.key]) for document in batch]
            results = self._api.post("/sales/sync", {"sales": bodies})[1]["results"]
            for document, each in zip(batch, results, strict=True):
                if each["status"] == "rejected":
                    raise ReplayError(f"the return {document.key} was refused: {json.dumps(each['error'])[:2000]}")
                posted.count("returns", each["status"] == "created")
            self._say(f"returns {start + len(batch)} of {total}")

    def _return(self, document: Return, sale: dict[str, Any]) -> dict[str, Any]:
        return {
            "external_id": document.key,
            "channel": "pos",
            "client_timestamp": document.at,
            "refund": "cash",
            "returns": {
                "sale_id": sale["id"],
                "reason": document.reason,
                "lines": [
                    {"line_id": sale["items"][position]["id"], "quantity": f"{quantity:f}"}
                    for position, quantity in document.lines
                ],
            },
        }

    def _compare_totals(self, expected: Totals) -> Iterator[str]:
        """Yield what differs in quantity or revenue, of a product on a day, and of whole days."""
        actual: Totals = {}
        for code, product_id in self._ids.items():
            query = {"product_id": product_id, "start_date": self._plan.first_day, "end_date": self._plan.last_day}
            for each in self._api.get("/sales/analytics", **query, period="daily")["period_breakdown"]:
                actual[code, each["period"]] = (Decimal(each["quantity"]), Decimal(each["revenue"]))
        nothing = (_ZERO, _ZERO)
        for code, day in sorted(expected.keys() | actual.keys()):
            wanted, found = expected.get((code, day), nothing), actual.get((code, day), nothing)
            if wanted != found:
                yield f"{code} on {day}: {_both(wanted)} in the file, {_both(found)} in the analytics"
        for day in sorted({day for _, day in expected} | {day for _, day in actual}):
            wanted = _sum(value for (_, each), value in expected.items() if each == day)
            found = _sum(value for (_, each), value in actual.items() if each == day)
            if wanted != found:
                yield f"all of {day}: {_both(wanted)} in the file, {_both(found)} in the analytics"

    def _compare_stock(self) -> Iterator[str]:
        """Yield the products whose stock is not the opening less all that went out, and what came back."""
        expected = {product.code: product.stock for product in self._products if product.stock is not None}
        for code, quantity in self._plan.sold_earlier().items():
            if code in expected:
                expected[code] -= quantity
        for line in self._lines:
            if line.code in expected:
                expected[line.code] += line.quantity if line.is_adjustment else -line.quantity
        codes = {product_id: code for code, product_id in self._ids.items()}
        actual: dict[str, Decimal] = defaultdict(Decimal)
        for level in self._api.pages("/inventory", warehouse=self._warehouse):
            if level["product_id"] in codes:
                actual[codes[level["product_id"]]] += Decimal(level["on_hand"])
        for code in sorted(expected.keys() | actual.keys()):
            if expected.get(code, _ZERO) != actual[code]:
                yield f"{code}: {expected.get(code, _ZERO):f} should be in stock, and {actual[code]:f} are"

    def _documents(self) -> tuple[int, int]:
        """Return how many sales and movements the replay's warehouse has."""
        lists = ("/sales", "/inventory/movements")
        sales, movements = (sum(1 for _ in self._api.pages(path, warehouse=self._warehouse)) for path in lists)
        return sales, movements

    def _say(self, text: str) -> None:
        _say(f"{self._name}: {text}")


def _on_own_server(engine: str, lines: Sequence[Line], twice: bool) -> Result:
    """Replay on a fresh database behind a server that is there for this alone."""
    folder = PostgresServer.make_folder()
    postgres = PostgresServer(folder, durable=True)
    with contextlib.ExitStack() as stack:
        stack.callback(postgres.stop)
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = Databases(folder, postgres, fill)
        stack.callback(databases.close)
        url = stack.enter_context(databases.copy(engine, ("pos",)))
        settings = Settings(data_dir=scratch, database_url=url, secret=SECRET, modules=("pos",), demo=False)
        environment = environment_of(settings)
        server = RunningServer(environment, scratch / "server.log")
        server.start()
        stack.callback(server.stop)
        command = _Command(environment, scratch)
        api = Api(server.url, "admin@test.com", PASSWORD)
        return Replay(engine, lines, api, command.import_products, command.verify).run(twice)


class _Command:
    """``tillhook`` on the server's database."""

    def __init__(self, environment: dict[str, str], scratch: Path) -> None:
        self._environment = environment
        self._scratch = scratch

    def import_products(self, table: bytes, warehouse: int) -> str:
        file = self._scratch / "products.csv"
        file.write_bytes(table)
        status, out, errors = self._run(
            "products", "import", str(file), "--warehouse", str(warehouse), "--stock-mode", "ignore"
        )
        if status:
            raise ReplayError(f"tillhook products import failed:\n{errors[-3000:]}{out}")
        return out.strip()

    def verify(self) -> list[str]:
        status, out, errors = self._run("verify")
        if not status:
            return []
        return [f"tillhook verify: {line}" for line in out.splitlines()] or [f"tillhook verify: {errors[-3000:]}"]

    def _run(self, *arguments: str) -> tuple[int, str, str]:
        program = Path(sys.executable).with_name("tillhook")
        others = {name: value for name, value in os.environ.items() if not name.startswith("TILLHOOK_")}
        done = subprocess.run(
            [program, *arguments], env={**others, **self._environment}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout, done.stderr


def _sum(values: Iterable[tuple[Decimal, Decimal]]) -> tuple[Decimal, Decimal]:
    quantity = revenue = _ZERO
    for each in values:
        quantity, revenue = quantity + each[0], revenue + each[1]
    return quantity, revenue


def _both(value: tuple[Decimal, Decimal]) -> str:
    return f"{value[0]:f} for {value[1]:f}"


def _told(result: Result) -> str:
    """Return the report in words."""
    lines = [
        f"{result.engine}: {result.rows} rows, {result.products} products,"
        f" {result.quantity} sold for {result.revenue} net of returns"
    ]
    lines += [f"  {day}: {total['quantity']} for {total['revenue']}" for day, total in result.days.items()]
    for number, each in enumerate(result.passes, 1):
        new = ", ".join(f"{count} {kind}" for kind, count in each["created"].items()) or "nothing"
        known = ", ".join(f"{count} {kind}" for kind, count in each["known"].items()) or "nothing"
        times = f"import {each['import_s']} s, replay {each['replay_s']} s"
        lines.append(f"  replay {number}: {new} new; {known} known ({times})")
    checked = {True: "clean", False: "finds differences", None: "not run: run it on the server"}[result.verified]
    lines.append(f"  tillhook verify: {checked}")
    lines += [f"  DIFFERS: {each}" for each in result.differences[:50]]
    lines.append(f"  {len(result.differences)} differences")
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
