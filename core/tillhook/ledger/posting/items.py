"""What posting needs to know of variants, read in one statement for all documents of a warehouse.

This is the hot path's only read of the catalogue, hence plain SQL.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from tillhook.db import Statement, array_text, fetch, fetch_with_row
from tillhook.encoding import to_json

#: Warehouse, product, and variant or ``None`` for the product's default variant.
ItemKey = tuple[int, int, int | None]


class Item(NamedTuple):
    """A variant, its product, and its level without lot at one warehouse; integers of 1/10,000.

    ``is_elsewhere``: the product has other levels besides this one: at other warehouses, of lots or other variants.
    ``was_approved``: the product was for sale once, whatever it is now.
    """

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
    is_elsewhere: bool
    was_approved: bool = False

    @property
    def is_single_level(self) -> bool:
        """Whether the product's stock at a warehouse is one level row."""
        return self.tracking == "quantity" and not self.has_variants


@dataclass(frozen=True, slots=True)
class Items:
    """Items as they were when they were read, by warehouse, product and variant."""

    by_key: Mapping[ItemKey, Item]

    def find(self, warehouse_id: int, product_id: int, variant_id: int | None = None) -> Item | None:
        """Return the item of the variant, or of the product's default variant; ``None`` for one that is not there."""
        return self.by_key.get((warehouse_id, product_id, variant_id))

    def __iter__(self) -> Iterator[Item]:
        return (item for (_, _, variant_id), item in self.by_key.items() if variant_id is not None)


_SELECT = """
SELECT v.id, p.id, p.name, COALESCE(v.sku, p.sku), v.name, v.is_default, p.has_variants, v.is_active, p.status,
p.owner_id, p.tracking, p.price_mode, COALESCE(v.price, p.price), p.last_price,
COALESCE(v.cost_price, p.cost_price), p.tax_id, p.unit_id, p.category_id, p.low_stock_threshold, t.threshold,
COALESCE(l.on_hand, 0), COALESCE(l.reserved, 0),
EXISTS (SELECT 1 FROM stock_level x JOIN variant y ON y.id = x.variant_id WHERE y.product_id = p.id
  AND (x.variant_id <> v.id OR x.lot_id <> 0 OR x.location_id <> {place})), p.approved_terms IS NOT NULL
FROM variant v
JOIN product p ON p.id = v.product_id
LEFT JOIN stock_level l ON l.variant_id = v.id AND l.location_id = {place} AND l.lot_id = 0
LEFT JOIN stock_threshold t ON t.product_id = p.id AND t.warehouse_id = {place}
WHERE v.product_id {products} AND (v.is_default OR v.id {variants})
"""
# So written, PostgreSQL's one plan for any number of keys goes by the indexes; of a table of keys it expects a hundred.
_POSTGRESQL = _SELECT.format(
    place="%(place)s::bigint",
    products="= ANY(ARRAY(SELECT unnest(%(products)s::bigint[])))",
    variants="= ANY(ARRAY(SELECT unnest(%(variants)s::bigint[])))",
)
_SQLITE = _SELECT.format(
    place="?1", products="IN (SELECT value FROM json_each(?2))", variants="IN (SELECT value FROM json_each(?3))"
)


def load_items(session: Session, asked: Iterable[ItemKey]) -> Items:
    """Return the items of (warehouse, product, variant or ``None`` for the default one); unknown ones are left out.

    One statement per warehouse. Nothing is locked: what is planned by them may be old when it is written.
    """
    keys = set(asked)
    found: dict[ItemKey, Item] = {}
    for place in sorted({key[0] for key in keys}):
        here = {key for key in keys if key[0] == place}
        connection = session.connection()
        found |= _by_key(place, here, fetch(connection, *_statement(connection, place, here)))
    return Items(found)


def load_items_with(session: Session, asked: Collection[ItemKey], one: Statement, columns: int) -> tuple[Items, Any]:
    """Do as :func:`load_items` for few items of one warehouse, and run a statement that has one row.

    On PostgreSQL only; see :func:`tillhook.db.fetch_with_row`.
    """
    connection = session.connection()
    ((place, _, _), *_) = asked
    row, rows = fetch_with_row(connection, one, columns, _statement(connection, place, asked))
    return Items(_by_key(place, asked, rows)), row


def _statement(connection: Connection, place: int, keys: Collection[ItemKey]) -> Statement:
    # In one order, for a plan that is the same whatever the order of the lines.
    products = sorted({product for _, product, _ in keys})
    variants = [variant for _, _, variant in keys if variant is not None]
    if connection.dialect.name == "postgresql":
        names = {"place": str(place), "products": array_text(products), "variants": array_text(variants)}
        return Statement(_POSTGRESQL, names)
    return Statement(_SQLITE, (place, to_json(products).decode(), to_json(variants).decode()))


def _by_key(place: int, keys: Collection[ItemKey], rows: Iterable[Any]) -> dict[ItemKey, Item]:
    found: dict[ItemKey, Item] = {}
    for row in rows:
        item = Item(place, *row)
        asked_by = [item.variant_id, None] if item.is_default else [item.variant_id]
        if any((place, item.product_id, variant) in keys for variant in asked_by):
            found |= {(place, item.product_id, variant): item for variant in asked_by}
    return found
