"""What posting needs to know of a variant, read in one statement.

This is the hot path's only read of the catalogue, hence plain SQL.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection

from tillhook.db import begin_writing, fetch


class Item(NamedTuple):
    """A variant, its product, and its level without lot at one warehouse; integers of 1/10,000."""

    variant_id: int
    product_id: int
    product_name: str
    sku: str
    variant_name: str
    is_default: bool
    has_variants: bool
    is_active: bool
    status: str
    owner_id: int | None
    tracking: str
    price_mode: str
    price: int
    last_price: int | None
    cost_price: int | None
    tax_id: int | None
    unit_id: int | None
    category_id: int | None
    threshold: int | None
    warehouse_threshold: int | None
    on_hand: int
    reserved: int
    total_available: int

    @property
    def is_single_level(self) -> bool:
        """Whether the product's stock at a warehouse is one level row."""
        return self.tracking == "quantity" and not self.has_variants

    @property
    def elsewhere(self) -> int:
        """What is available of the product besides this level: at other warehouses, of other lots and variants."""
        return self.total_available - self.on_hand + self.reserved


_COLUMNS = """
v.id, p.id, p.name, COALESCE(v.sku, p.sku), v.name, v.is_default, p.has_variants, v.is_active, p.status,
p.owner_id, p.tracking, p.price_mode, COALESCE(v.price, p.price), p.last_price,
COALESCE(v.cost_price, p.cost_price), p.tax_id, p.unit_id, p.category_id, p.low_stock_threshold, t.threshold,
COALESCE(l.on_hand, 0), COALESCE(l.reserved, 0),
COALESCE((SELECT SUM(x.on_hand - x.reserved) FROM stock_level x JOIN variant y ON y.id = x.variant_id
  WHERE y.product_id = p.id), 0)
FROM variant v
JOIN product p ON p.id = v.product_id
LEFT JOIN stock_level l ON l.variant_id = v.id AND l.location_id = {place} AND l.lot_id = 0
LEFT JOIN stock_threshold t ON t.product_id = p.id AND t.warehouse_id = {place}
"""
_BY_VARIANT = "v.id {in_}"
# A product without variants is sold by its product id alone.
_BY_PRODUCT = "p.id {in_} AND v.is_default"


def load_items(
    connection: Connection,
    warehouse_id: int,
    *,
    variant_ids: Iterable[int] = (),
    product_ids: Iterable[int] = (),
) -> list[Item]:
    """Return the items of the variants, and of the default variants of the products; unknown ones are left out.

    What is planned by them has to be true when it is written: on SQLite nobody else writes from here on.
    """
    begin_writing(connection)
    items: list[Item] = []
    for condition, keys in ((_BY_VARIANT, list(variant_ids)), (_BY_PRODUCT, list(product_ids))):
        if keys:
            items += _select(connection, condition, warehouse_id, keys)
    return items


def _select(connection: Connection, condition: str, warehouse_id: int, keys: list[int]) -> list[Item]:
    parameters: tuple[Any, ...]
    if connection.dialect.name == "postgresql":
        sql = f"SELECT {_COLUMNS} WHERE {condition}".format(place="%s", in_="= ANY(%s)")
        parameters = (warehouse_id, warehouse_id, keys)
    else:
        sql = f"SELECT {_COLUMNS} WHERE {condition}".format(place="?", in_="IN (SELECT value FROM json_each(?))")
        parameters = (warehouse_id, warehouse_id, "[" + ",".join(map(str, keys)) + "]")
    rows = fetch(connection, sql, parameters)
    # SUM of bigint is numeric on PostgreSQL.
    return [Item(*(*row[:-1], int(row[-1]))) for row in rows]
