"""The opening stock of an import: which rows may bring some, and receiving it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from tillhook import ledger
from tillhook.access import active_warehouses, which_warehouse
from tillhook.catalogue.drafts import ProductDraft, VariantDraft
from tillhook.catalogue.import_result import ImportResult
from tillhook.catalogue.import_rows import Entry
from tillhook.catalogue.writing import Progress, chunks
from tillhook.db import among
from tillhook.errors import ValidationFailed
from tillhook.ledger.models import StockLevel, StockMovement
from tillhook.runtime import snapshot_of

#: The drafts of the file's variants, each with its product's, by the number of the row.
Variants = Mapping[str | int, tuple[ProductDraft, VariantDraft]]


def check_stock(
    session: Session, entries: Iterable[Entry], variants: Variants, warehouse_id: int | None, result: ImportResult
) -> None:
    """Enter the warehouse of every row with stock; what is wrong with it is among the result's errors."""
    for entry in entries:
        if entry.number not in variants:
            continue
        tracking = _tracking(variants[entry.number][0])
        for number, values in entry.stock:
            if not values["stock"]:
                continue
            if tracking == "none":
                result.bad(number, "stock", "This product's stock is not tracked.")
            elif tracking == "lot" and "batch_number" not in values:
                result.bad(number, "batch_number", "Required: this product is tracked by lot.")
            elif tracking == "quantity" and ("batch_number" in values or "expiry_date" in values):
                result.bad(number, "batch_number", "This product is not tracked by lot.")
            else:
                _find_warehouse(session, number, values, warehouse_id, result)


def receive_stock(
    session: Session, entries: Iterable[Entry], variants: Variants, result: ImportResult, progress: Progress
) -> None:
    """Receive the opening stock of variants that never moved at the warehouse."""
    wanted = [
        (number, {"cost_price": entry.values.get("cost_price"), **values}, *variants[entry.number])
        for entry in entries
        for number, values in entry.stock
        if values["stock"]
    ]
    moved = _moved(session, [_variant_id(variant) for _, _, _, variant in wanted])
    lines: dict[int, list[tuple[int, ledger.StockLine]]] = {}
    for number, values, draft, variant in wanted:
        if (_variant_id(variant), values["warehouse_id"]) in moved:
            result.warn(number, "stock", "Left out: its stock has moved here before.")
            continue
        lines.setdefault(values["warehouse_id"], []).append((number, _line(values, draft, variant)))
    total = sum(map(len, lines.values()))
    for place, received in sorted(lines.items()):
        for chunk in chunks(received):
            _receive(session, place, chunk, result)
            result.stock_lines += len(chunk)
            progress("stock", result.stock_lines, total)


def _tracking(draft: ProductDraft) -> str:
    return str(draft.values.get("tracking") or (draft.product.tracking if draft.product else "quantity"))


def _find_warehouse(
    session: Session, number: int, values: dict[str, Any], default: int | None, result: ImportResult
) -> None:
    wanted = values.get("warehouse")
    warehouses = active_warehouses(session)
    if wanted is None:
        default = default or snapshot_of(session).setting("default_warehouse")
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
        result.bad(number, "warehouse", which_warehouse(len(warehouses)))
    else:
        result.bad(number, "warehouse", f"There is no warehouse {wanted} of yours.")


def _variant_id(draft: VariantDraft) -> int:
    assert draft.variant is not None
    return draft.variant.id


def _line(values: Mapping[str, Any], draft: ProductDraft, variant: VariantDraft) -> ledger.StockLine:
    assert draft.product is not None
    return ledger.StockLine(
        product_id=draft.product.id,
        variant_id=_variant_id(variant),
        quantity=values["stock"],
        unit_cost=values["cost_price"],
        batch_number=values.get("batch_number"),
        expiry_date=values.get("expiry_date"),
    )


def _receive(
    session: Session, warehouse_id: int, lines: Sequence[tuple[int, ledger.StockLine]], result: ImportResult
) -> None:
    command = ledger.StockCommand(
        warehouse=warehouse_id, lines=tuple(line for _, line in lines), reason="Opening stock"
    )
    try:
        ledger.post_receipt(session, command)
    except ValidationFailed as error:
        for each in error.errors:
            place, _, column = each["field"].partition("lines.")[2].partition(".")
            number = lines[int(place)][0] if place.isdigit() else 1
            result.bad(number, "stock" if column == "quantity" else column or None, each["message"])


def _moved(session: Session, variant_ids: Sequence[int]) -> set[tuple[int, int]]:
    """Return the (variant, warehouse) that have any movement."""
    place = StockLevel.location_id
    moved = exists().where(
        StockMovement.variant_id == StockLevel.variant_id,
        or_(StockMovement.source_id == place, StockMovement.destination_id == place),
    )
    rows = session.execute(
        select(StockLevel.variant_id, place).where(among(StockLevel.variant_id, list(set(variant_ids))), moved)
    )
    return {(row[0], row[1]) for row in rows}
