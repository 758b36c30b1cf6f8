"""The stock of an import: which rows may bring some, and posting it.

What is new gets its opening stock. What is known is counted or received, as ``stock_mode`` says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook import ledger
from tillhook.access import active_warehouses, which_warehouse
from tillhook.catalogue.drafts import ProductDraft, VariantDraft
from tillhook.catalogue.import_result import ImportResult
from tillhook.catalogue.import_rows import Entry
from tillhook.catalogue.setup import DEFAULT_UNIT, Missing, find_setup
from tillhook.catalogue.writing import chunks
from tillhook.db import among
from tillhook.errors import ValidationFailed
from tillhook.ledger.models import Lot
from tillhook.products.models import Unit
from tillhook.reference import UnitRef
from tillhook.runtime import actor_of, snapshot_of

#: The drafts of the file's variants, each with its product's, by the number of the row.
Variants = Mapping[str | int, tuple[ProductDraft, VariantDraft]]
_NEEDS = {"opening": "stock:receipt:post", "add": "stock:receipt:post", "set": "stock:inventory:set"}
_COUNTS_ALL = "stock:level:change_all"
_REASONS = {"opening": "Opening stock", "add": "Import", "set": "Import"}
_SAY_MODE = "Known already: say what its stock means by stock_mode, which is set (count), add (receive) or ignore."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller says: the warehouse of rows that name none, ``stock_mode``, and whether to make units."""

    warehouse_id: int | None
    stock_mode: str | None
    create_units: bool


@dataclass(frozen=True, slots=True)
class StockRow:
    """A row with stock that may be posted; ``kind`` is ``opening``, ``add`` or ``set``."""

    number: int
    kind: str
    warehouse_id: int
    values: Mapping[str, Any]
    draft: ProductDraft
    variant: VariantDraft


def check_stock(
    session: Session,
    entries: Iterable[Entry],
    variants: Variants,
    wanted: Wanted,
    result: ImportResult,
    missing: Missing | None = None,
) -> list[StockRow]:
    """Return the rows whose stock is to be posted; what is wrong with others is among the result's errors.

    Args:
        missing: Units that would be made.

    Raises:
        PermissionDenied: 403: there is stock, and the actor may not receive or count.
    """
    rows: list[StockRow] = []
    # Read, for some may be new.
    units = {row.id: UnitRef(*row) for row in session.execute(select(Unit.id, Unit.code, Unit.precision))}
    if missing is not None:
        units |= {key: UnitRef(key, "", precision) for key, precision in missing.precisions.items()}
    # One that the import would make counts whole things.
    default = units.get(find_setup(session, Unit, DEFAULT_UNIT) or 0) or UnitRef(0, "pieces", 0)
    for entry in entries:
        if entry.number not in variants:
            continue
        draft, variant = variants[entry.number]
        kind = "opening" if variant.variant is None else wanted.stock_mode
        for number, values in entry.stock:
            if kind is None:
                result.bad(number, "stock", _SAY_MODE)
            elif kind != "ignore" and (values["stock"] or kind == "set"):
                said = {"cost_price": entry.values.get("cost_price"), **values}
                fault = _fault(draft, said) or _unit_fault(draft, said, units, default)
                place = None if fault else _find_warehouse(session, said, wanted.warehouse_id)
                if isinstance(place, int):
                    rows.append(StockRow(number, kind, place, said, draft, variant))
                else:
                    result.bad(number, *(fault or ("warehouse", str(place))))
    _refuse_twice(rows, result)
    _refuse_other_expiry(session, rows, result)
    for kind in {row.kind for row in rows}:
        actor_of(session).require(_NEEDS[kind])
    _require_own(session, rows)
    return rows


def post_stock(session: Session, rows: Sequence[StockRow], result: ImportResult) -> None:
    """Post the stock of the rows, whose products are written by now."""
    documents: dict[tuple[int, str], list[StockRow]] = {}
    for row in rows:
        documents.setdefault((row.warehouse_id, row.kind), []).append(row)
    for (warehouse_id, kind), of_document in sorted(documents.items()):
        for chunk in chunks(of_document):
            _post(session, warehouse_id, kind, chunk, result)
            result.stock_lines += len(chunk)


def _fault(draft: ProductDraft, values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the column that is wrong and why, for how the product is tracked."""
    tracking = str(draft.values.get("tracking") or (draft.product.tracking if draft.product else "quantity"))
    if tracking == "none":
        return ("stock", "This product's stock is not tracked.")
    if tracking == "lot" and "batch_number" not in values:
        return ("batch_number", "Required: this product is tracked by lot.")
    if tracking == "quantity" and ("batch_number" in values or "expiry_date" in values):
        return ("batch_number", "This product is not tracked by lot.")
    return None


def _unit_fault(
    draft: ProductDraft, values: Mapping[str, Any], units: Mapping[int, UnitRef], default: UnitRef
) -> tuple[str, str] | None:
    unit_id = draft.values.get("unit_id") or (draft.product.unit_id if draft.product else None)
    fault = (default if unit_id is None else units.get(unit_id, default)).fault(values["stock"])
    return None if fault is None else ("stock", fault)


def _find_warehouse(session: Session, values: Mapping[str, Any], default: int | None) -> int | str:
    """Return the warehouse's key, or why there is none."""
    named = values.get("warehouse")
    warehouses = active_warehouses(session)
    if named is None:
        default = default or snapshot_of(session).setting("default_warehouse")
        found = [default] if default in warehouses else list(warehouses) if default is None else []
    else:
        folded = named.casefold()
        found = [
            key
            for key, warehouse in warehouses.items()
            if folded in (warehouse.name.casefold(), (warehouse.code or "").casefold(), str(key))
        ]
    if len(found) == 1:
        return int(found[0])
    if named is None:
        return which_warehouse(len(warehouses))
    return f"There is no warehouse {named} of yours."


def _refuse_twice(rows: Iterable[StockRow], result: ImportResult) -> None:
    """Refuse two counts of the same, of which only one can be right."""
    first: dict[tuple[int, int, str | None], int] = {}
    for row in rows:
        key = (id(row.variant), row.warehouse_id, row.values.get("batch_number"))
        if row.kind == "set" and first.setdefault(key, row.number) != row.number:
            result.bad(row.number, "stock", f"Counted in row {first[key]} already.")


def _refuse_other_expiry(session: Session, rows: Iterable[StockRow], result: ImportResult) -> None:
    """Refuse a lot that would expire on two days; which of them is right nobody knows."""
    dated = [row for row in rows if "batch_number" in row.values]
    known = [row.variant.variant.id for row in dated if row.variant.variant is not None]
    lots = select(Lot.variant_id, Lot.batch_number, Lot.expiry_date).where(among(Lot.variant_id, known))
    expiry: dict[tuple[int, str], date | None] = {(row[0], row[1]): row[2] for row in session.execute(lots)}
    for row in dated:
        variant, said = row.variant.variant, row.values.get("expiry_date")
        # What has no key yet is told apart by its draft; keys of the database are above zero.
        lot = (-id(row.variant) if variant is None else variant.id, row.values["batch_number"])
        if said is not None and (expiry.get(lot) or said) != said:
            result.bad(row.number, "expiry_date", f"This lot expires on {expiry[lot]}.")
        expiry[lot] = expiry.get(lot) or said


def _require_own(session: Session, rows: Iterable[StockRow]) -> None:
    """Refuse to count what somebody else brought into the catalogue, as the ledger does."""
    actor = actor_of(session)
    if actor.can(_COUNTS_ALL):
        return
    for row in rows:
        product = row.draft.product
        if row.kind == "set" and product is not None and (product.owner_id or 0) != actor.user_id:
            message = f"Product {product.id} belongs to somebody else"
            raise actor.refusal(message, _COUNTS_ALL, code="not-your-product")


def _line(row: StockRow) -> ledger.StockLine:
    assert row.draft.product is not None and row.variant.variant is not None
    quantity: Decimal = row.values["stock"]
    of_line: dict[str, Any] = {
        "product_id": row.draft.product.id,
        "variant_id": row.variant.variant.id,
        "quantity": quantity,
        "unit_cost": row.values["cost_price"],
        "batch_number": row.values.get("batch_number"),
        "expiry_date": row.values.get("expiry_date"),
    }
    return ledger.CountLine(**of_line) if row.kind == "set" else ledger.StockLine(**of_line)


def _post(session: Session, warehouse_id: int, kind: str, rows: Sequence[StockRow], result: ImportResult) -> None:
    lines = tuple(_line(row) for row in rows)
    command = ledger.StockCommand(warehouse=warehouse_id, lines=lines, reason=_REASONS[kind])
    try:
        if kind == "set":
            ledger.post_count(session, command)
        else:
            ledger.post_receipt(session, command)
    except ValidationFailed as error:
        for each in error.errors:
            place, _, column = each["field"].partition("lines.")[2].partition(".")
            number = rows[int(place)].number if place.isdigit() else 1
            result.bad(number, "stock" if column == "quantity" else column or None, each["message"])
