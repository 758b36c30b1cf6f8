"""Importing products and their stock from a file: every bad row named, all rows or none, safe to run again.

A row is found again by its SKU: a new SKU makes a product, a known one is updated by the cells that are not
empty. A row with ``parent_sku`` is a variant of that product. A further row of the same SKU has the stock in another
warehouse or lot. What is new gets it as opening stock; what the stock of known ones means is said by ``stock_mode``,
so that a second run adds nothing unasked.

The file is read without a transaction, and all of it is checked in one that only reads: a dry run ends here. Then
products are written some hundred rows at a time, each time checked again, and others write in between; how far it has
come is a row of ``product_import``. So when it is stopped, the same file sent again goes on where it was. Why it is so
is in docs/adr/0021-an-import-writes-in-parts.md.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import IO, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tillhook.access import audit
from tillhook.actor import SYSTEM, Actor
from tillhook.catalogue.columns import is_known
from tillhook.catalogue.drafts import PLAIN, REFERENCES, Fault, ProductDraft, VariantDraft, all_variants
from tillhook.catalogue.import_result import COUNTS, ImportFailed, ImportResult, ImportStopped
from tillhook.catalogue.import_rows import Entry, Progress, read_entries
from tillhook.catalogue.import_runs import Run, begin, end, keep, release
from tillhook.catalogue.import_stock import Wanted, check_stock, post_stock
from tillhook.catalogue.rules import check, why_not_editable
from tillhook.catalogue.setup import Missing
from tillhook.catalogue.tables import read_table
from tillhook.catalogue.writing import Written, tell, would_write, write
from tillhook.db import Base, among, is_unavailable, retrying
from tillhook.errors import DomainError
from tillhook.products import Category, Product, Unit, Variant, kind_of
from tillhook.runtime import Runtime, actor_of

#: Rows that one transaction writes, unless a single product has more.
PART = 250
#: Of the time that a part takes, how much others have to write before the next one, on SQLite.
_PAUSE = 0.5
_GTIN_LENGTHS = (8, 12, 13)
#: What belongs on the row of a product, not on those of its variants.
_NOT_OF_VARIANTS = (*REFERENCES, "list_price", "description", "tracking", "price_mode", "low_stock_threshold")
#: What a new product has that a row need not say.
_DEFAULTS: dict[str, Any] = {
    "description": "",
    "list_price": None,
    "cost_price": None,
    "attributes": {},
    "price_mode": "bounded",
    "low_stock_threshold": None,
    "tracking": "quantity",
}


@dataclass(slots=True)
class _Known:
    """Products and variants that have an SKU of the file, by SKU."""

    products: dict[str, Product]
    variants: dict[str, Variant]
    #: The variants that stand for products themselves, by the product's key.
    defaults: dict[int, Variant]


@dataclass(frozen=True, slots=True)
class Import:
    """A file that was imported, or in a dry run only looked at; :func:`finish_import` ends it."""

    result: ImportResult
    run: Run | None


@dataclass(frozen=True, slots=True)
class _Sent:
    """Who sent which file, and how it is to be read."""

    runtime: Runtime
    actor: Actor
    request_id: str
    filename: str
    wanted: Wanted


def import_products(
    runtime: Runtime,
    stream: IO[bytes],
    filename: str = "",
    *,
    actor: Actor = SYSTEM,
    request_id: str = "",
    warehouse_id: int | None = None,
    stock_mode: str | None = None,
    create_units: bool = False,
    dry_run: bool = False,
    progress: Progress = lambda step, done, total: None,
    replay: Callable[[Session], None] = lambda session: None,
) -> Import:
    """Import a CSV or XLSX file, in transactions of its own; the caller ends it by :func:`finish_import`.

    Args:
        filename: For the audit log.
        warehouse_id: Where the stock is of rows that name no warehouse.
        stock_mode: What the stock of known products is: ``set`` a count, ``add`` a receipt, ``ignore`` nothing to act
            on. With ``None`` it is an error.
        create_units: Whether units that are not there are made, of whole pieces.
        dry_run: Only look; nothing is written, and no lock taken.
        progress: Called with what is being done, how many rows are, and of how many.
        replay: Called in the transaction that begins the import, before anything is written.

    Returns:
        The counts and warnings; with ``dry_run`` the errors too.

    Raises:
        ValidationFailed: 422 naming ``file``: it cannot be read, or lacks a column.
        ImportFailed: 422 ``import-failed``, unless ``dry_run``: names every bad row; nothing was written.
        ImportStopped: 409 or 503 ``import-stopped``: a part was written; the same file sent again goes on.
        ImportRunning: 409 ``import-running``: another import has not ended.
        PermissionDenied: 403: units are to be made, or stock is to be posted, by somebody who may not.
    """
    if create_units:
        actor.require("catalogue:setup:manage")
    result = ImportResult(dry_run=dry_run)
    table = read_table(stream, is_known)
    result.encoding = table.encoding
    if table.encoding == "cp1252":
        result.warn(1, None, "The file is not UTF-8; it was read as Windows-1252.")
    products = _by_product(read_entries(table, result, progress))
    sent = _Sent(runtime, actor, request_id, filename, Wanted(warehouse_id, stock_mode, create_units))
    if dry_run:
        _look(sent, products, result)
        return Import(result, None)
    run = begin(runtime, _digest(stream, sent), replay)
    try:
        ahead = ImportResult()
        _look(sent, products[run.products_done :], ahead)
        _write(sent, products, run, result.with_messages_of(ahead), progress)
    except BaseException:
        release(runtime, run)
        raise
    return Import(result, run)


def finish_import(session: Session, done: Import) -> ImportResult:
    """End an import in the caller's transaction, the one that keeps its answer; return what it did."""
    if done.run is not None:
        end(session, done.run)
    return done.result


def _digest(stream: IO[bytes], sent: _Sent) -> str:
    """Return what tells this import from others: sent again after it was stopped, it goes on."""
    stream.seek(0)
    content = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    who = f"{sent.actor.user_id} {sent.actor.api_key_id}"
    return hashlib.sha256(f"{who} {sent.wanted} {content}".encode()).hexdigest()


#: What a file says of a product, its variants and their stock.
_OfProduct = list[Entry]


def _by_product(entries: dict[str, Entry]) -> list[_OfProduct]:
    """Return the entries product by product, in the order of the file: one is written with its variants."""
    products: dict[str, _OfProduct] = {}
    for entry in entries.values():
        products.setdefault(entry.parent_sku or entry.sku, []).append(entry)
    return list(products.values())


def _look(sent: _Sent, products: Sequence[_OfProduct], result: ImportResult) -> None:
    """Check everything and count what would be done, in a transaction that only reads."""
    entries = {entry.sku: entry for each in products for entry in each}
    missing, wanted = Missing(), sent.wanted
    with sent.runtime.unit_of_work(sent.actor, write=False) as session:
        drafts = _drafts(session, entries, result, for_update=False)
        _fault(check(session, drafts, create_units=wanted.create_units, missing=missing), result)
        variants = {each.where: (draft, each) for draft, each in all_variants(drafts)}
        stock = check_stock(session, entries.values(), variants, wanted, result, missing)
        result.categories_created, result.units_created = missing.count(Category), missing.count(Unit)
        result.stock_lines = len(stock)
        _count_rows(result, drafts, len(entries), would_write(session, drafts))
        # What was changed in memory is not to be written.
        session.rollback()


def _write(sent: _Sent, products: Sequence[_OfProduct], run: Run, result: ImportResult, progress: Progress) -> None:
    """Write what is not yet written, part by part.

    Raises:
        ImportFailed: Something is wrong, and nothing was written.
        ImportStopped: A part was written.
    """
    if result.error_count:
        raise (
            ImportStopped(ImportFailed(result), run.products_done, len(products))
            if run.products_done
            else ImportFailed(result)
        )
    total = sum(map(len, products))
    for part in _parts(products[run.products_done :]):
        started = time.monotonic()
        try:
            run = retrying(partial(_write_part, sent, part, run))
        except Exception as error:
            if run.products_done and (isinstance(error, DomainError) or is_unavailable(error)):
                raise ImportStopped(error, run.products_done, len(products)) from error
            raise
        progress("products", sum(map(len, products[: run.products_done])), total)
        if not sent.runtime.database.is_postgresql:
            time.sleep(_PAUSE * (time.monotonic() - started))
    for name, count in run.counts.items():
        setattr(result, name, count)
    result.unchanged = total - result.created - result.updated


def _parts(products: Sequence[_OfProduct]) -> Iterator[list[_OfProduct]]:
    part: list[_OfProduct] = []
    rows = 0
    for each in products:
        if part and rows + _rows(each) > PART:
            yield part
            part, rows = [], 0
        part.append(each)
        rows += _rows(each)
    if part:
        yield part


def _rows(product: _OfProduct) -> int:
    """Return how many rows of the file a product has: of an entry the first, and those that bring more stock."""
    return sum(len({entry.number, *(number for number, _ in entry.stock)}) for entry in product)


def _write_part(sent: _Sent, products: Sequence[_OfProduct], run: Run) -> Run:
    """Check some products once more and write them with their stock, in one transaction; return how far it has come."""
    entries = {entry.sku: entry for each in products for entry in each}
    result, wanted = ImportResult(rows=sum(map(_rows, products))), sent.wanted
    with sent.runtime.unit_of_work(sent.actor, request_id=sent.request_id) as session:
        drafts = _drafts(session, entries, result, for_update=True)
        categories, units = _count(session, Category), _count(session, Unit)
        _fault(check(session, drafts, create_units=wanted.create_units), result)
        result.categories_created = _count(session, Category) - categories
        result.units_created = _count(session, Unit) - units
        variants = {each.where: (draft, each) for draft, each in all_variants(drafts)}
        stock = check_stock(session, entries.values(), variants, wanted, result)
        if result.error_count:
            raise ImportFailed(result)
        is_new = [draft.product is None for draft in drafts]
        result.created = sum(is_new) + _new_variants(drafts)
        written = write(session, drafts)
        result.updated = len(written.changed)
        post_stock(session, stock, result)
        if result.error_count:
            raise ImportFailed(result)
        _tell(session, written, sent.filename, result)
        counts = {name: run.counts.get(name, 0) + getattr(result, name) for name in COUNTS}
        return keep(session, run, run.products_done + len(products), counts)


def _fault(faults: Sequence[Fault], result: ImportResult) -> None:
    for fault in faults:
        result.bad(int(fault.where), fault.field, fault.message)


def _count_rows(result: ImportResult, drafts: list[ProductDraft], entries: int, written: Written) -> None:
    result.created = sum(draft.product is None for draft in drafts) + _new_variants(drafts)
    result.updated = len(written.changed)
    result.unchanged = entries - result.created - result.updated
    rows = {id(draft.product): int(draft.where) for draft in drafts}
    for product in written.pending:
        result.warn(rows[id(product)], None, "Changed beyond what was approved: it is pending again.")


def _new_variants(drafts: list[ProductDraft]) -> int:
    return sum(each.variant is None and not each.is_default for _, each in all_variants(drafts))


def _count(session: Session, model: type[Base]) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


def _tell(session: Session, written: Written, filename: str, result: ImportResult) -> None:
    """Tell audit log, hooks and outbox; one entry of the audit log stands for all that is new in this part."""
    for product, before, after in written.changed:
        audit(session, "update", "product", product.id, before, after)
    for product in written.pending:
        audit(session, "update", "product", product.id, {"status": "published"}, {"status": "pending"})
    counts = {name: getattr(result, name) for name in ("rows", "created", "updated", "stock_lines")}
    audit(session, "import", "product", "", after={"file": filename[:200], **counts})
    tell(session, written)


# --- from what the file says to drafts -----------------------------------------------------------------------


def _drafts(
    session: Session, entries: dict[str, Entry], result: ImportResult, *, for_update: bool
) -> list[ProductDraft]:
    """Return the drafts of the file's products, those of variants in them; ``where`` is the number of the row."""
    known = _find(session, entries, for_update)
    parents = {entry.parent_sku for entry in entries.values() if entry.parent_sku is not None}
    drafts: dict[str, ProductDraft] = {}
    for entry in entries.values():
        _warn_of_codes(entry, result)
        if entry.parent_sku is None and entry.sku in known.variants:
            result.bad(entry.number, "sku", "This is the SKU of a variant; name its product in parent_sku.")
        elif entry.parent_sku is None:
            drafts[entry.sku] = _product_draft(session, entry, entry.sku in parents, known, result)
    for entry in entries.values():
        if entry.parent_sku is not None:
            _add_variant(session, entry, entry.parent_sku, drafts, known, result)
    return list(drafts.values())


def _find(session: Session, entries: dict[str, Entry], for_update: bool) -> _Known:
    skus = list({*entries, *(entry.parent_sku for entry in entries.values() if entry.parent_sku is not None)})
    query = select(Product).where(among(Product.sku, skus)).order_by(Product.id)
    if for_update and not actor_of(session).can("catalogue:product:approve"):
        # So that none is approved meanwhile on terms that it no longer has.
        query = query.with_for_update()
    products = {each.sku: each for each in session.scalars(query)}
    ids = [product.id for product in products.values()]
    defaults = select(Variant).where(among(Variant.product_id, ids), Variant.is_default)
    return _Known(
        products,
        {str(each.sku): each for each in session.scalars(select(Variant).where(among(Variant.sku, skus)))},
        {each.product_id: each for each in session.scalars(defaults)},
    )


def _product_draft(
    session: Session, entry: Entry, is_parent: bool, known: _Known, result: ImportResult
) -> ProductDraft:
    values, product = entry.values, known.products.get(entry.sku)
    draft = ProductDraft(
        sku=entry.sku,
        values={name: values[name] for name in (*PLAIN, "tracking") if name in values},
        references={name: values[name] for name in REFERENCES if name in values},
        where=entry.number,
        product=product,
    )
    for fault in _product_faults(session, entry, is_parent, known):
        result.bad(entry.number, fault.field or None, fault.message)
    if product is None:
        status = "published" if actor_of(session).can("catalogue:product:approve") else "pending"
        fixed = {"sku": entry.sku, "status": status, "owner_id": actor_of(session).user_id, "has_variants": is_parent}
        draft.values = {**_DEFAULTS, "category_id": None, **draft.values, **fixed}
    elif "attributes" in draft.values:
        draft.values["attributes"] = {**product.attributes, **draft.values["attributes"]}
    if not is_parent and not (product is not None and product.has_variants):
        default = None if product is None else known.defaults[product.id]
        only = VariantDraft(values={}, codes=_codes(entry), where=entry.number, variant=default, is_default=True)
        draft.variants.append(only)
    return draft


def _product_faults(session: Session, entry: Entry, is_parent: bool, known: _Known) -> list[Fault]:
    values, product, faults = entry.values, known.products.get(entry.sku), []
    if product is None:
        faults += [Fault(0, name, "Required for a new product.") for name in ("name", "price") if name not in values]
    elif (refusal := why_not_editable(actor_of(session), product)) is not None:
        faults.append(Fault(0, "sku", refusal.detail))
    if product is not None and is_parent and not product.has_variants:
        faults.append(Fault(0, "sku", "This product is sold without variants."))
    if (is_parent or (product is not None and product.has_variants)) and (values["barcodes"] or entry.stock):
        faults.append(Fault(0, "", "Barcodes and stock belong on the rows of its variants."))
    return faults


def _add_variant(
    session: Session,
    entry: Entry,
    parent_sku: str,
    drafts: dict[str, ProductDraft],
    known: _Known,
    result: ImportResult,
) -> None:
    product = known.products.get(parent_sku)
    draft = drafts.get(parent_sku)
    if draft is None:
        if product is None:
            result.bad(entry.number, "parent_sku", f"There is no product {parent_sku}.")
            return
        draft = drafts[parent_sku] = ProductDraft(sku=parent_sku, values={}, where=entry.number, product=product)
        if (refusal := why_not_editable(actor_of(session), product)) is not None:
            result.bad(entry.number, "parent_sku", refusal.detail)
    variant = known.variants.get(entry.sku)
    for name, message in _variant_faults(entry, product, variant, known):
        result.bad(entry.number, name, message)
    draft.variants.append(_variant_draft(entry, variant))


def _variant_faults(
    entry: Entry, product: Product | None, variant: Variant | None, known: _Known
) -> list[tuple[str, str]]:
    faults = [
        (name, "Belongs on the product's row, not on a variant's.") for name in _NOT_OF_VARIANTS if name in entry.values
    ]
    if product is not None and not product.has_variants:
        faults.append(("parent_sku", "This product is sold without variants."))
    if entry.sku in known.products:
        faults.append(("sku", "This is the SKU of a product."))
    if variant is not None and (product is None or variant.product_id != product.id):
        faults.append(("parent_sku", "The variant belongs to another product."))
    return faults


def _variant_draft(entry: Entry, variant: Variant | None) -> VariantDraft:
    named = ("price", "cost_price", "attributes")
    values: dict[str, Any] = {name: entry.values[name] for name in named if name in entry.values}
    if name := entry.values.get("variant_name") or entry.values.get("name"):
        values["name"] = name
    if variant is None:
        values["sku"] = entry.sku
    elif "attributes" in values:
        values["attributes"] = {**variant.attributes, **values["attributes"]}
    return VariantDraft(values=values, codes=_codes(entry), where=entry.number, variant=variant)


def _codes(entry: Entry) -> dict[str, Decimal]:
    return dict.fromkeys(entry.values["barcodes"], Decimal(1))


def _warn_of_codes(entry: Entry, result: ImportResult) -> None:
    for code in entry.values["barcodes"]:
        if kind_of(code) == "free" and len(code) in _GTIN_LENGTHS and code.isdigit():
            result.warn(entry.number, "barcode", f"{code} has a wrong check digit; kept as is.")
