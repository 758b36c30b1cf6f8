"""Things that tests need, made through the HTTP API as a person would make them."""

import itertools
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tillhook.testing.client import Client
from tillhook.testing.people import MAIN, OTHER, PASSWORD, Person
from tillhook.testing.plugins import COUNTER

if TYPE_CHECKING:
    from tillhook.runtime import Runtime


class Made(dict[str, Any]):
    """An answer of the API: ``product["price"]`` or ``product.price``; hashable, so ``{warehouse: 10}`` works."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self["id"])


Key = int | Made


class Factory:
    """The fixture ``make``. Every method takes further fields of the API's body as keywords.

    A plugin adds methods of its own in a subclass, which its ``conftest.py`` returns from the fixture ``make_class``.
    """

    def __init__(self, client: Client, runtime: "Runtime") -> None:
        self.client = client
        self.runtime = runtime
        self._numbers = itertools.count(1)
        self._template_warehouses: dict[str, int] = {}

    def number(self) -> int:
        """Return a number that this test has not used for a name yet."""
        return next(self._numbers)

    @property
    def main(self) -> int:
        """The template's warehouse where supplier and cashier work."""
        return self._template_warehouse(MAIN)

    @property
    def other(self) -> int:
        """The template's warehouse that only admin and accountant see."""
        return self._template_warehouse(OTHER)

    def warehouse(self, name: str | None = None, **fields: Any) -> Made:
        return self.post("/api/warehouses", {"name": name or f"Warehouse {self.number()}", **fields})

    def product(self, *, stock: Mapping[Key, Any] | Any = None, as_: Any = "admin", **fields: Any) -> Made:
        """Make a product of price 10.00, published unless ``as_`` says otherwise.

        Args:
            stock: Quantity by warehouse, or one quantity for the main one; received at ``cost_price``.
        """
        number = self.number()
        body = {"name": f"Product {number}", "sku": f"SKU-{number}", "price": "10.00", **fields}
        product = self.post("/api/products", body, as_=as_)
        quantities = stock if isinstance(stock, Mapping) else {} if stock is None else {self.main: stock}
        for warehouse, quantity in quantities.items():
            self.receipt(warehouse, [(product, quantity)])
        return product

    def category(self, name: str | None = None, **fields: Any) -> Made:
        return self.post("/api/categories", {"name": name or f"Category {self.number()}", **fields})

    def unit(self, code: str | None = None, **fields: Any) -> Made:
        code = code or f"u{self.number()}"
        return self.post("/api/units", {"code": code, "name": code, **fields})

    def tax(self, rate: Any = "0.2", **fields: Any) -> Made:
        """Make a tax; ``rate`` is a fraction."""
        return self.post("/api/taxes", {"name": f"Tax {self.number()}", "rate": str(rate), **fields})

    def payment_method(self, name: str = "scrip", **fields: Any) -> Made:
        """Make a payment method of the shop's own; its flags are false if nothing is said."""
        return self.post("/api/payment-methods", {"name": name, "title": name.title(), **fields})

    def customer(self, name: str | None = None, **fields: Any) -> Made:
        name = name or f"Customer {self.number()}"
        return self.post("/api/parties", {"name": name, "is_customer": True, **fields})

    def receipt(self, warehouse: Key, lines: Iterable[tuple[Key, Any]], **fields: Any) -> Made:
        """Receive ``(product, quantity)`` lines, or whole line bodies, into a warehouse."""
        body = [_line(line) for line in lines]
        return self.post("/api/inventory/receipts", {"warehouse": key_of(warehouse), "lines": body, **fields})

    def sale(
        self,
        items: Iterable[tuple[Any, ...] | Mapping[str, Any]],
        *,
        warehouse: Key | None = None,
        as_: Any = "admin",
        **fields: Any,
    ) -> Made:
        """Post a sale of ``(product, quantity[, unit_price])`` lines, or whole item bodies.

        With ``client_timestamp`` it is synced, as one that happened then: what is posted online happens now.
        """
        body = {
            "channel": COUNTER,
            "warehouse": self.main if warehouse is None else key_of(warehouse),
            "items": [_item(item) for item in items],
            **fields,
        }
        if "client_timestamp" not in fields:
            return self.post("/api/sales", body, as_=as_)
        (result,) = self.post("/api/sales/sync", {"sales": [body]}, as_=as_)["results"]
        if result["status"] == "rejected":
            raise AssertionError(f"{body!r}\nwas rejected: {result['error']!r}")
        return Made(result["sale"])

    def user(self, role: str = "cashier", *, warehouses: Iterable[Key] = (), **fields: Any) -> Person:
        """Make a user of ``role`` who works in ``warehouses``; of the main one when none is named."""
        number = self.number()
        body = {
            "email": f"{role}{number}@test.com",
            "name": f"{role.title()} {number}",
            "password": PASSWORD,
            "roles": [role],
            "warehouses": [key_of(each) for each in warehouses] or [self.main],
            **fields,
        }
        made = self.post("/api/users", body)
        return Person(made["id"], made["email"], role)

    def stock(self, product: Key, warehouse: Key | None = None) -> Decimal:
        """Return what the warehouse has on hand of the product, straight from the levels."""
        place = self.main if warehouse is None else key_of(warehouse)
        with self.runtime.database.connect() as connection:
            units = connection.exec_driver_sql(
                "SELECT COALESCE(SUM(l.on_hand), 0) FROM stock_level l JOIN variant v ON v.id = l.variant_id"
                f" WHERE v.product_id = {key_of(product)} AND l.location_id = {place}"
            ).scalar_one()
        return Decimal(int(units)) / 10_000

    def post(self, path: str, body: Mapping[str, Any], as_: Any = "admin") -> Made:
        """Return what a POST answered; anything but success fails the test."""
        result = self.client.post(path, body, as_=as_)
        if result.status_code not in (200, 201):
            raise AssertionError(f"POST {path} {body!r}\nanswered {result.status}: {result.text}")
        return Made(result.json)

    def _template_warehouse(self, name: str) -> int:
        if not self._template_warehouses:
            with self.runtime.database.connect() as connection:
                rows = connection.exec_driver_sql("SELECT name, id FROM location WHERE kind = 'warehouse'")
                self._template_warehouses = {row[0]: row[1] for row in rows}
        return self._template_warehouses[name]


def key_of(thing: Key | Mapping[str, Any]) -> int:
    """Return the key of what was made, or the key itself."""
    return int(thing["id"]) if isinstance(thing, Mapping) else int(thing)


def _line(line: tuple[Key, Any] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(line, Mapping):
        return dict(line)
    product, quantity = line
    return {"product_id": key_of(product), "quantity": str(quantity)}


def _item(item: tuple[Any, ...] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(item, Mapping):
        return dict(item)
    product, quantity, *price = item
    body: dict[str, Any] = {"product_id": key_of(product), "quantity": str(quantity)}
    if price:
        body["unit_price"] = str(price[0])
    return body
