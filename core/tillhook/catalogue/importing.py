"""Importing products and opening stock from a file: every bad row named, all rows or none, safe to run again.

A row is found again by its SKU: a new SKU makes a product, a known one is updated by the cells that are not
empty. A row with ``parent_sku`` is a variant of that product. A further row of the same SKU adds opening stock
in another warehouse or lot. Opening stock is received only where the variant never moved, so that a second run
adds none. A dry run does all of it and then rolls back, so what it says is what will happen.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import IO, Any, TypeVar

from marshmallow import ValidationError
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from tillhook import events, ledger
from tillhook.access import audit, sees_warehouse
from tillhook.catalogue import setup
from tillhook.catalogue.answers import event_payloads
from tillhook.catalogue.columns import ATTRIBUTE, ImportRow, column_of, decimal_text, is_known
from tillhook.catalogue.products import changed, flush, has_stock, may_edit, resolve_alerts
from tillhook.catalogue.tables import Row, Table, read_table
from tillhook.errors import ValidationFailed
from tillhook.products.barcodes import canonical, kind_of
from tillhook.products.models import Barcode, Category, Product, Variant
from tillhook.products.search import search_text
from tillhook.runtime import actor_of, runtime_of, snapshot_of

Progress = Callable[[str, int, int], None]
Item = TypeVar("Item")

#: An advisory lock's key: two imports at a time would each find no opening stock.
_IMPORT_LOCK = 7_411_003
_CHUNK = 5_000
_MAX_MESSAGES = 1_000
_GTIN_LENGTHS = (8, 12, 13)
_NUMBERS = ("price", "list_price", "cost_price", "low_stock_threshold", "stock")
#: Set on a product as they come; all but ``name`` and ``price`` are no business of a variant's row.
_PLAIN = (
    "name",
    "description",
    "price",
    "list_price",
    "cost_price",
    "tracking",
    "price_mode",
    "low_stock_threshold",
)
_NOT_OF_VARIANTS = (
    "category",
    "unit",
    "tax",
    "list_price",
    "description",
    "tracking",
    "price_mode",
    "low_stock_threshold",
)
_STOCK = ("stock", "warehouse", "batch_number", "expiry_date")
_RESOLVERS = {
    "category": setup.resolve_category,
    "unit": setup.resolve_unit,
    "tax": setup.resolve_tax,
}
_ROW = ImportRow()


class ImportFailed(ValidationFailed):
    """Some rows are bad, so none was imported (422); ``errors`` names each."""

    code = "import-failed"

    def __init__(self, result: "ImportResult") -> None:
        self.result = result
        first = result.errors[0]
        super().__init__(
            f"{result.error_count} problems, nothing imported. Row {first.row}: {first.message}",
            errors=[message.answer() | {"field": message.field} for message in result.errors],
            error_count=result.error_count,
        )


@dataclass(frozen=True, slots=True)
class RowMessage:
    """What there is to say of one cell, or of a whole row for column ``None``."""

    row: int
    column: str | None
    message: str

    @property
    def field(self) -> str:
        return f"rows.{self.row}" + (f".{self.column}" if self.column else "")

    def answer(self) -> dict[str, Any]:
        """Return the message as the API shows it."""
        return {"row": self.row, "column": self.column, "message": self.message}


@dataclass(slots=True)
class ImportResult:
    """What an import did, or in a dry run would do; of messages the first thousand are kept."""

    dry_run: bool = False
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    categories_created: int = 0
    stock_lines: int = 0
    encoding: str | None = None
    error_count: int = 0
    errors: list[RowMessage] = field(default_factory=list)
    warnings: list[RowMessage] = field(default_factory=list)

    def bad(self, row: int, column: str | None, message: str) -> None:
        """Add an error."""
        self.error_count += 1
        if len(self.errors) < _MAX_MESSAGES:
            self.errors.append(RowMessage(row, column, message))

    def warn(self, row: int, column: str | None, message: str) -> None:
        """Add a warning, which does not keep the file from being imported."""
        if len(self.warnings) < _MAX_MESSAGES:
            self.warnings.append(RowMessage(row, column, message))

    def answer(self) -> dict[str, Any]:
        """Return the result as the API shows it."""
        counts = ("dry_run", "rows", "created", "updated", "unchanged", "categories_created", "stock_lines")
        return {
            **{name: getattr(self, name) for name in counts},
            "valid": not self.error_count,
            "encoding": self.encoding,
            "error_count": self.error_count,
            "errors": [message.answer() for message in self.errors],
            "warnings": [message.answer() for message in self.warnings],
        }


@dataclass(slots=True)
class _Entry:
    """A product or a variant of the file: its first row, and the rows with stock of it."""

    number: int
    values: dict[str, Any]
    stock: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    product: Product | None = None
    variant_id: int = 0
    is_new: bool = False

    @property
    def sku(self) -> str:
        return str(self.values["sku"])


def import_products(
    session: Session,
    stream: IO[bytes],
    filename: str = "",
    *,
    warehouse_id: int | None = None,
    dry_run: bool = False,
    progress: Progress = lambda step, done, total: None,
) -> ImportResult:
    """Import a CSV or XLSX file in the caller's transaction.

    Args:
        filename: For the audit log.
        warehouse_id: Where opening stock goes whose row names no warehouse.
        progress: Called with what is being done, how many rows are, and of how many.

    Returns:
        The counts and warnings; with ``dry_run`` the errors too.

    Raises:
        ValidationFailed: 422 naming ``file``: it cannot be read, or lacks a column.
        ImportFailed: 422 ``import-failed``, unless ``dry_run``: names every bad row.
    """
    session.flush()
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _IMPORT_LOCK})
    result = ImportResult(dry_run=dry_run)
    table = read_table(stream, is_known)
    result.encoding = table.encoding
    if table.encoding == "cp1252":
        result.warn(1, None, "The file is not UTF-8; it was read as Windows-1252.")
    savepoint = session.begin_nested()
    _Import(session, result, warehouse_id, progress).run(table, filename)
    if dry_run:
        savepoint.rollback()
        session.expire_all()
    elif result.error_count:
        raise ImportFailed(result)
    else:
        savepoint.commit()
    return result


class _Import:
    """One file on its way in. Each step leaves its errors in the result; without any, writing begins."""

    def __init__(self, session: Session, result: ImportResult, warehouse_id: int | None, progress: Progress) -> None:
        self._session = session
        self._result = result
        self._default_warehouse = warehouse_id
        self._progress = progress
        self._actor = actor_of(session)
        self._entries: dict[str, _Entry] = {}
        self._columns: list[str | None] = []
        self._references: dict[tuple[str, str], int | None] = {}
        self._threshold_changed: list[int] = []
        self._updates: list[tuple[Product, dict[str, Any], dict[str, Any]]] = []

    def run(self, table: Table, filename: str) -> None:
        self._columns = self._read_header(table.header)
        for row in table.rows:
            self._result.rows += 1
            self._read_row(row)
            if self._result.rows % 1_000 == 0:
                self._progress("reading", self._result.rows, 0)
        self._find_existing()
        self._check_entries()
        self._check_barcodes()
        self._resolve_references()
        if self._result.error_count:
            return
        self._write(filename)

    # Reading

    def _read_header(self, header: Sequence[str]) -> list[str | None]:
        columns: list[str | None] = []
        for title in header:
            column = column_of(title)
            if column is None and title:
                self._result.warn(1, title[:60], "Unknown column, left out.")
            if column is not None and column in columns:
                raise ValidationFailed.at("file", f"Two columns mean {column}.", code="duplicate-column")
            columns.append(column)
        if "sku" not in columns:
            raise ValidationFailed.at("file", "There is no column sku.", code="missing-column")
        return columns

    def _read_row(self, row: Row) -> None:
        cells = {name: cell for name, cell in zip(self._columns, row.cells, strict=False) if name is not None and cell}
        if len(row.cells) > len(self._columns) and any(row.cells[len(self._columns) :]):
            self._result.bad(row.number, None, "More cells than the header has columns.")
            return
        values = self._load(row.number, cells)
        if values is None:
            return
        known = self._entries.get(values["sku"])
        if known is None:
            entry = self._entries[values["sku"]] = _Entry(row.number, values)
        else:
            entry = known
            self._compare(row.number, values, known)
        if "stock" in values:
            entry.stock.append((row.number, values))

    def _load(self, number: int, cells: dict[str, str]) -> dict[str, Any] | None:
        given: dict[str, Any] = {}
        attributes: dict[str, Any] = {}
        for name, cell in cells.items():
            if name.startswith(ATTRIBUTE):
                attributes[name.removeprefix(ATTRIBUTE)] = cell
            else:
                given[name] = decimal_text(cell) if name in _NUMBERS else cell
        if attributes:
            given["attributes"] = attributes
        try:
            values: dict[str, Any] = _ROW.load(given)
        except ValidationError as error:
            for name, messages in error.normalized_messages().items():
                self._result.bad(number, str(name), str(messages[0] if isinstance(messages, list) else messages))
            return None
        return values

    def _compare(self, number: int, values: dict[str, Any], known: _Entry) -> None:
        """Refuse a second row of an SKU that says something else than the first, stock apart."""
        for name, value in values.items():
            if name not in _STOCK and value and value != known.values.get(name):
                column = "barcode" if name == "barcodes" else name
                self._result.bad(number, column, f"Differs from row {known.number}, which has the same SKU.")
        if "stock" not in values:
            self._result.bad(number, "sku", f"Row {known.number} has the same SKU.")

    # Checking

    def _find_existing(self) -> None:
        skus = list(self._entries)
        parents = [entry.values["parent_sku"] for entry in self._entries.values() if "parent_sku" in entry.values]
        self._products: dict[str, Product] = {}
        self._variants: dict[str, Variant] = {}
        for chunk in _chunks(list(dict.fromkeys(skus + parents))):
            for product in self._session.scalars(select(Product).where(Product.sku.in_(chunk))):
                self._products[product.sku] = product
            for variant in self._session.scalars(select(Variant).where(Variant.sku.in_(chunk))):
                self._variants[str(variant.sku)] = variant
        self._parents = set(parents)

    def _check_entries(self) -> None:
        for entry in self._entries.values():
            if "parent_sku" in entry.values:
                self._check_variant(entry)
            else:
                self._check_product(entry)

    def _check_product(self, entry: _Entry) -> None:
        bad, values = self._result.bad, entry.values
        entry.product = self._products.get(entry.sku)
        entry.is_new = entry.product is None
        if entry.sku in self._variants:
            bad(entry.number, "sku", "This is the SKU of a variant; name its product in parent_sku.")
        if entry.product is None:
            for name in ("name", "price"):
                if name not in values:
                    bad(entry.number, name, "Required for a new product.")
        else:
            self._check_known(entry, entry.product)
        by_variant = entry.sku in self._parents or (entry.product is not None and entry.product.has_variants)
        if by_variant and (values["barcodes"] or entry.stock):
            bad(entry.number, None, "Barcodes and stock belong on the rows of its variants.")
        tracking = values.get("tracking") or (entry.product.tracking if entry.product else "quantity")
        self._check_stock(entry, tracking)

    def _check_known(self, entry: _Entry, product: Product) -> None:
        if product.status == "archived":
            self._result.bad(entry.number, "sku", "This product is archived.")
        elif not may_edit(self._actor, product):
            self._result.bad(entry.number, "sku", "This product belongs to somebody else.")
        if entry.values.get("tracking", product.tracking) != product.tracking and has_stock(self._session, product.id):
            self._result.bad(entry.number, "tracking", "Cannot change while there is stock.")
        if entry.sku in self._parents and not product.has_variants:
            self._result.bad(entry.number, "sku", "This product is sold without variants.")

    def _check_variant(self, entry: _Entry) -> None:
        bad, values = self._result.bad, entry.values
        parent_sku = values["parent_sku"]
        parent = self._entries.get(parent_sku)
        known = self._products.get(parent_sku)
        if (parent is None and known is None) or (parent is not None and "parent_sku" in parent.values):
            bad(entry.number, "parent_sku", f"There is no product {parent_sku}.")
            return
        if known is not None and not known.has_variants:
            bad(entry.number, "parent_sku", "This product is sold without variants.")
        if known is not None and parent is None and not may_edit(self._actor, known):
            bad(entry.number, "parent_sku", "This product belongs to somebody else.")
        if entry.sku in self._products:
            bad(entry.number, "sku", "This is the SKU of a product.")
        variant = self._variants.get(entry.sku)
        entry.is_new, entry.product = variant is None, known
        if variant is not None:
            entry.variant_id = variant.id
            if known is None or variant.product_id != known.id:
                bad(entry.number, "parent_sku", "The variant belongs to another product.")
        for name in _NOT_OF_VARIANTS:
            if name in values:
                bad(entry.number, name, "Belongs on the product's row, not on a variant's.")
        parent_values = parent.values if parent else {}
        tracking = parent_values.get("tracking") or (known.tracking if known else "quantity")
        self._check_stock(entry, tracking)

    def _check_stock(self, entry: _Entry, tracking: str) -> None:
        for number, values in entry.stock:
            if not values["stock"]:
                continue
            if tracking == "none":
                self._result.bad(number, "stock", "This product's stock is not tracked.")
            elif tracking == "lot" and "batch_number" not in values:
                self._result.bad(number, "batch_number", "Required: this product is tracked by lot.")
            elif tracking == "quantity" and ("batch_number" in values or "expiry_date" in values):
                self._result.bad(number, "batch_number", "This product is not tracked by lot.")
            else:
                self._find_warehouse(number, values)

    def _find_warehouse(self, number: int, values: dict[str, Any]) -> None:
        wanted = values.get("warehouse")
        warehouses = {
            key: warehouse
            for key, warehouse in snapshot_of(self._session).warehouses.items()
            if warehouse.is_active and warehouse.kind == "warehouse" and sees_warehouse(self._session, key)
        }
        if wanted is None:
            default = self._default_warehouse or snapshot_of(self._session).setting("default_warehouse")
            found = [default] if default in warehouses else list(warehouses) if default is None else []
        else:
            folded = wanted.casefold()
            found = [
                key
                for key, warehouse in warehouses.items()
                if folded in (warehouse.name.casefold(), (warehouse.code or "").casefold(), str(key))
            ]
        if len(found) == 1:
            values["warehouse_id"] = found[0]
        elif wanted is None:
            self._result.bad(number, "warehouse", "Required: there is not just one warehouse of yours.")
        else:
            self._result.bad(number, "warehouse", f"There is no warehouse {wanted} of yours.")

    def _check_barcodes(self) -> None:
        """Refuse a barcode that two rows have, or that something else has already."""
        rows: dict[str, _Entry] = {}
        for entry in self._entries.values():
            for code in entry.values["barcodes"]:
                other = rows.setdefault(canonical(code), entry)
                if other is not entry:
                    self._result.bad(entry.number, "barcode", f"{code} is in row {other.number} already.")
                elif kind_of(code) == "free" and len(code) in _GTIN_LENGTHS and code.isdigit():
                    self._result.warn(entry.number, "barcode", f"{code} has a wrong check digit; kept as is.")
        for chunk in _chunks(list(rows)):
            query = select(Barcode.key, Barcode.variant_id, Variant.sku, Product.sku)
            query = query.join(Variant, Variant.id == Barcode.variant_id).join(Product)
            for key, _, variant_sku, product_sku in self._session.execute(query.where(Barcode.key.in_(chunk))):
                if (variant_sku or product_sku) != rows[key].sku:
                    owner = variant_sku or product_sku
                    self._result.bad(rows[key].number, "barcode", f"{key} belongs to {owner} already.")

    def _resolve_references(self) -> None:
        """Find the categories, units and taxes that the rows name, each once; make missing categories."""
        before = self._session.scalar(select(Category.id).order_by(Category.id.desc()).limit(1)) or 0
        for entry in self._entries.values():
            for name, resolve in _RESOLVERS.items():
                said = entry.values.get(name)
                if said is None or (name, said) in self._references:
                    continue
                try:
                    self._references[name, said] = resolve(self._session, said)
                except ValidationFailed as error:
                    self._references[name, said] = None
                    self._result.bad(entry.number, name, error.errors[0]["message"])
        made = select(Category.id).where(Category.id > before)
        self._result.categories_created = len(self._session.scalars(made).all())

    # Writing

    def _write(self, filename: str) -> None:
        self._insert_products()
        self._insert_variants()
        self._update_known()
        self._insert_barcodes()
        self._refresh_search()
        flush(self._session)
        self._receive_stock()
        self._tell(filename)

    def _insert_products(self) -> None:
        unit_id = setup.resolve_unit(self._session, None)
        tax_id = setup.default_tax(self._session)
        status = "published" if self._actor.can("catalogue:product:approve") else "pending"
        new = [entry for entry in self._entries.values() if entry.is_new and "parent_sku" not in entry.values]
        done = 0
        for chunk in _chunks(new):
            rows = []
            for entry in chunk:
                row = {
                    "sku": entry.sku,
                    "status": status,
                    "owner_id": self._actor.user_id,
                    "has_variants": entry.sku in self._parents,
                    "category_id": self._reference(entry, "category"),
                    "unit_id": self._reference(entry, "unit") or unit_id,
                    "tax_id": self._reference(entry, "tax") or tax_id,
                    "attributes": entry.values.get("attributes", {}),
                }
                defaults = {"description": "", "tracking": "quantity", "price_mode": "bounded"}
                row |= {name: entry.values.get(name, defaults.get(name)) for name in _PLAIN}
                rows.append(row)
            made = self._session.scalars(insert(Product).returning(Product), rows)
            for product in made:
                self._products[product.sku] = self._entries[product.sku].product = product
            done += len(chunk)
            self._progress("products", done, len(new))
        self._result.created += len(new)

    def _insert_variants(self) -> None:
        """Make the default variants of new products, and the variants that are new themselves."""
        rows: list[dict[str, Any]] = []
        for entry in self._entries.values():
            values = entry.values
            if "parent_sku" in values:
                entry.product = self._products[values["parent_sku"]]
            assert entry.product is not None
            if not entry.is_new or (entry.product.has_variants and "parent_sku" not in values):
                continue
            named = "parent_sku" in values
            rows.append(
                {
                    "product_id": entry.product.id,
                    "is_default": not named,
                    "sku": entry.sku if named else None,
                    "name": values.get("variant_name") or values.get("name", "") if named else "",
                    "attributes": values.get("attributes", {}) if named else {},
                    "price": values.get("price") if named else None,
                    "cost_price": values.get("cost_price") if named else None,
                }
            )
            self._result.created += named
        for chunk in _chunks(rows):
            self._session.execute(insert(Variant), chunk)
        self._find_variant_ids()

    def _find_variant_ids(self) -> None:
        defaults: dict[int, int] = {}
        named: dict[str, int] = {}
        products = {entry.product.id for entry in self._entries.values() if entry.product}
        for chunk in _chunks(sorted(products)):
            query = select(Variant.id, Variant.product_id, Variant.sku, Variant.is_default)
            for key, product_id, sku, is_default in self._session.execute(query.where(Variant.product_id.in_(chunk))):
                if is_default:
                    defaults[product_id] = key
                elif sku is not None:
                    named[sku] = key
        for entry in self._entries.values():
            assert entry.product is not None
            known = named if "parent_sku" in entry.values else None
            entry.variant_id = known[entry.sku] if known is not None else defaults.get(entry.product.id, 0)

    def _update_known(self) -> None:
        for entry in self._entries.values():
            if entry.is_new:
                continue
            assert entry.product is not None
            if "parent_sku" in entry.values:
                target: Any = self._variants[entry.sku]
                named = ("price", "cost_price")
                wanted: dict[str, Any] = {name: entry.values[name] for name in named if name in entry.values}
                if name := entry.values.get("variant_name") or entry.values.get("name"):
                    wanted["name"] = name
            else:
                target = entry.product
                wanted = self._wanted(entry)
            if "attributes" in entry.values:
                wanted["attributes"] = {**target.attributes, **entry.values["attributes"]}
            before = {name: getattr(target, name) for name in wanted}
            before, after = changed(before, wanted)
            if not after:
                self._result.unchanged += 1
                continue
            for name, value in after.items():
                setattr(target, name, value)
            self._result.updated += 1
            self._updates.append((entry.product, before, after))
            if "low_stock_threshold" in after:
                self._threshold_changed.append(entry.product.id)
            if after.get("tracking") == "none":
                resolve_alerts(self._session, entry.product.id)
        flush(self._session)

    def _wanted(self, entry: _Entry) -> dict[str, Any]:
        assert entry.product is not None
        wanted = {name: entry.values[name] for name in _PLAIN if name in entry.values}
        for name in _RESOLVERS:
            if name in entry.values:
                wanted[f"{name}_id"] = self._reference(entry, name)
        if wanted.get("unit_id", entry.product.unit_id) != entry.product.unit_id and has_stock(
            self._session, entry.product.id
        ):
            raise ValidationFailed.at(
                f"rows.{entry.number}.unit", "Cannot change while there is stock.", code="stock-on-hand"
            )
        if entry.product.status == "rejected":
            wanted |= {"status": "pending", "reject_reason": ""}
        return wanted

    def _insert_barcodes(self) -> None:
        wanted = {
            canonical(code): (code, entry) for entry in self._entries.values() for code in entry.values["barcodes"]
        }
        for chunk in _chunks(list(wanted)):
            known = set(self._session.scalars(select(Barcode.key).where(Barcode.key.in_(chunk))))
            rows = [
                {"code": wanted[key][0], "key": key, "variant_id": wanted[key][1].variant_id}
                for key in chunk
                if key not in known
            ]
            if rows:
                self._session.execute(insert(Barcode), rows)

    def _refresh_search(self) -> None:
        products = {entry.product.id: entry.product for entry in self._entries.values() if entry.product}
        for chunk in _chunks(sorted(products)):
            variants = _by_product(
                self._session.execute(
                    select(Variant.product_id, Variant).where(Variant.product_id.in_(chunk)).order_by(Variant.id)
                )
            )
            barcodes = _by_product(
                self._session.execute(
                    select(Variant.product_id, Barcode)
                    .join(Barcode, Barcode.variant_id == Variant.id)
                    .where(Variant.product_id.in_(chunk))
                    .order_by(Barcode.id)
                )
            )
            for key in chunk:
                found = search_text(products[key], variants.get(key, []), barcodes.get(key, []))
                if products[key].search_text != found:
                    products[key].search_text = found

    def _receive_stock(self) -> None:
        lines: dict[int, list[tuple[int, ledger.StockLine]]] = {}
        moved = self._moved()
        for entry in self._entries.values():
            for number, values in entry.stock:
                if not values["stock"]:
                    continue
                if (entry.variant_id, values["warehouse_id"]) in moved:
                    self._result.warn(number, "stock", "Left out: its stock has moved here before.")
                    continue
                lines.setdefault(values["warehouse_id"], []).append((number, _stock_line(entry, values)))
        total = sum(map(len, lines.values()))
        for warehouse_id, received in sorted(lines.items()):
            for chunk in _chunks(received):
                self._receive(warehouse_id, chunk)
                self._result.stock_lines += len(chunk)
                self._progress("stock", self._result.stock_lines, total)

    def _receive(self, warehouse_id: int, lines: Sequence[tuple[int, "ledger.StockLine"]]) -> None:
        command = ledger.StockCommand(
            warehouse=warehouse_id, lines=tuple(line for _, line in lines), reason="Opening stock"
        )
        try:
            ledger.receive(self._session, command)
        except ValidationFailed as error:
            for each in error.errors:
                _, _, rest = each["field"].partition("lines.")
                place, _, column = rest.partition(".")
                number = lines[int(place)][0] if place.isdigit() else 1
                self._result.bad(number, "stock" if column == "quantity" else column or None, each["message"])

    def _moved(self) -> set[tuple[int, int]]:
        """Return the (variant, warehouse) of the file's stock that have any movement."""
        variants = sorted({entry.variant_id for entry in self._entries.values() if entry.stock})
        moved: set[tuple[int, int]] = set()
        query = (
            "SELECT DISTINCT l.variant_id, l.location_id FROM stock_level l WHERE l.variant_id IN ({})"
            " AND EXISTS (SELECT 1 FROM stock_movement m WHERE m.variant_id = l.variant_id"
            " AND (m.source_id = l.location_id OR m.destination_id = l.location_id))"
        )
        for chunk in _chunks(variants):
            found = self._session.execute(text(query.format(",".join(map(str, chunk)))))
            moved.update((row[0], row[1]) for row in found)
        return moved

    def _tell(self, filename: str) -> None:
        """Tell the audit log, the hooks and the outbox; one entry stands for all that is new."""
        session = self._session
        new = {
            entry.product.id: entry.product
            for entry in self._entries.values()
            if entry.is_new and entry.product and "parent_sku" not in entry.values
        }
        touched = [product for product, _, _ in self._updates]
        touched += [entry.product for entry in self._entries.values() if entry.is_new and entry.product]
        known = {product.id: product for product in touched if product.id not in new}
        for product, before, after in self._updates:
            audit(session, "update", "product", product.id, before, after)
        counts = {name: getattr(self._result, name) for name in ("rows", "created", "updated", "stock_lines")}
        audit(session, "import", "product", "", after={"file": filename[:200], **counts})
        hooks = runtime_of(session).hooks
        if hooks.implemented("product_saved"):
            for product in (*new.values(), *known.values()):
                hooks.hook.product_saved(session=session, product=product)
        self._record("product:created", list(new.values()))
        self._record("product:updated", list(known.values()))
        if self._threshold_changed:
            ledger.refresh_alerts(session, self._threshold_changed)

    def _record(self, name: str, products: list[Product]) -> None:
        for chunk in _chunks(products):
            payloads = event_payloads(self._session, chunk)
            events.record_many(self._session, [(name, payload, None) for payload in payloads])

    def _reference(self, entry: _Entry, name: str) -> int | None:
        said = entry.values.get(name)
        return None if said is None else self._references[name, said]


def _stock_line(entry: _Entry, values: dict[str, Any]) -> "ledger.StockLine":
    assert entry.product is not None
    expiry: date | None = values.get("expiry_date")
    quantity: Decimal = values["stock"]
    return ledger.StockLine(
        product_id=entry.product.id,
        variant_id=entry.variant_id,
        quantity=quantity,
        unit_cost=entry.values.get("cost_price"),
        batch_number=values.get("batch_number"),
        expiry_date=expiry,
    )


def _by_product(rows: Iterable[Any]) -> dict[int, list[Any]]:
    groups: dict[int, list[Any]] = {}
    for product_id, row in rows:
        groups.setdefault(product_id, []).append(row)
    return groups


def _chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
