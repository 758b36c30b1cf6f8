"""What posting needs to know of variants, read in one statement for all documents and warehouses.

This is the hot path's only read of the catalogue, hence plain SQL.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.orm import Session

from tillhook.db import begin_writing, fetch, json_records, records_sql

#: Warehouse, product, and variant or ``None`` for the product's default variant.
ItemKey = tuple[int, int, int | None]


class Item(NamedTuple):
    """A variant, its product, and its level without lot at one warehouse; integers of 1/10,000."""

    warehouse_id: int
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


@dataclass(frozen=True, slots=True)
class Items:
    """Items as they were when they were read, by warehouse, product and variant."""

    by_key: Mapping[ItemKey, Item]

    def find(self, warehouse_id: int, product_id: int, variant_id: int | None = None) -> Item | None:
        """Return the item of the variant, or of the product's default variant; ``None`` for one that is not there."""
        return self.by_key.get((warehouse_id, product_id, variant_id))

    def __iter__(self) -> Iterator[Item]:
        return (item for (_, _, variant_id), item in self.by_key.items() if variant_id is not None)


_KEY = ("w", "p", "v")
_SELECT = """
SELECT k.w, v.id, p.id, p.name, COALESCE(v.sku, p.sku), v.name, v.is_default, p.has_variants, v.is_active, p.status,
p.owner_id, p.tracking, p.price_mode, COALESCE(v.price, p.price), p.last_price,
COALESCE(v.cost_price, p.cost_price), p.tax_id, p.unit_id, p.category_id, p.low_stock_threshold, t.threshold,
COALESCE(l.on_hand, 0), COALESCE(l.reserved, 0),
COALESCE((SELECT SUM(x.on_hand - x.reserved) FROM stock_level x JOIN variant y ON y.id = x.variant_id
  WHERE y.product_id = p.id), 0)
FROM {keys}
JOIN variant v ON v.product_id = k.p AND (v.id = k.v OR (k.v IS NULL AND v.is_default))
JOIN product p ON p.id = v.product_id
LEFT JOIN stock_level l ON l.variant_id = v.id AND l.location_id = k.w AND l.lot_id = 0
LEFT JOIN stock_threshold t ON t.product_id = p.id AND t.warehouse_id = k.w
"""
_SQL = {dialect: _SELECT.format(keys=records_sql(dialect, *_KEY)) for dialect in ("postgresql", "sqlite")}


def load_items(session: Session, asked: Iterable[ItemKey]) -> Items:
    """Return the items of (warehouse, product, variant or ``None`` for the default one); unknown ones are left out.

    What is planned by them has to be true when it is written: on SQLite nobody else writes from here on.
    """
    keys = sorted(set(asked), key=lambda key: (key[0], key[1], key[2] or 0))
    if not keys:
        return Items({})
    connection = session.connection()
    begin_writing(connection)
    rows = fetch(connection, _SQL[connection.dialect.name], (json_records(keys, *_KEY),))
    found: dict[ItemKey, Item] = {}
    for row in rows:
        # SUM of bigint is numeric on PostgreSQL.
        item = Item(*(*row[:-1], int(row[-1])))
        found[item.warehouse_id, item.product_id, item.variant_id] = item
        if item.is_default:
            found[item.warehouse_id, item.product_id, None] = item
    return Items(found)
