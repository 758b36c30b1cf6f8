"""From what a code says to the product that it is on: the catalogue is asked, and refuses to guess."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from biip import ParseError
from biip.upc import Upc
from sqlalchemy.orm import Session

from tillhook.access import require_warehouse
from tillhook.catalogue import ScannedCode, check_digit, find_code, kind_of
from tillhook.errors import NotFound, ValidationFailed
from tillhook.ledger import Item, load_items
from tillhook.runtime import actor_of, snapshot_of
from tillhook.sales import default_warehouse
from tillhook_pos.scanning.gs1 import is_gs1, may_be_gs1, read_gs1, split_symbology
from tillhook_pos.scanning.patterns import parse_patterns, read_embedded
from tillhook_pos.scanning.readings import Reading

_BLANKS = " \t\r\n"
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_GTIN_LENGTHS = (8, 12, 13, 14)
#: The digit of a GTIN-14 that stands for goods of variable measure; 1 to 8 are packages.
_VARIABLE = "9"


@dataclass(frozen=True, slots=True)
class Found:
    """A code's reading, and the variant that it stands for at one warehouse."""

    code: str
    reading: Reading
    scanned: ScannedCode
    item: Item
    warehouse_id: int


def resolve(session: Session, code: str, warehouse_id: int | None) -> Found:
    """Return what the code stands for. A code that a product has wins over whatever else it might mean.

    Args:
        warehouse_id: ``None`` for the seller's only warehouse.

    Raises:
        NotFound: 404 ``unknown-code``: nothing that this seller may sell has the code; ``understood`` says what the
            code itself told.
        ValidationFailed: 422 ``ambiguous-code`` or ``bad-element-string``, with a ``hint``.
    """
    place = default_warehouse(session, actor_of(session)) if warehouse_id is None else warehouse_id
    require_warehouse(session, place)
    text = code.strip(_BLANKS)
    symbology, data = split_symbology(text)
    for plain in dict.fromkeys((text, data)):
        sellable = _sellable(session, find_code(session.connection(), plain), place)
        if sellable is not None:
            return Found(plain, Reading(kind=sellable[0].kind, codes=((plain,),)), *sellable, place)
    readings = list(_readings(session, symbology, data))
    named = [found for reading in readings if (found := _named(session, data, reading, place)) is not None]
    if len(named) > 1:
        raise _ambiguous(data, named)
    if not named:
        raise _unknown(data, readings)
    return named[0]


def _readings(session: Session, symbology: str, data: str) -> Iterator[Reading]:
    """Yield what the code may mean when no product has it as it is."""
    if is_gs1(symbology, data):
        yield read_gs1(data)
        return
    if may_be_gs1(data):
        try:
            yield read_gs1(data)
        except ValidationFailed as error:
            if error.code == "ambiguous-code":
                raise
    upc_a = _upc_a(data)
    if upc_a is not None:
        yield Reading(kind="upce", codes=((upc_a,),), gtin="00" + upc_a)
    snapshot = snapshot_of(session)
    patterns = parse_patterns(snapshot.setting("pos.embedded_codes"))
    yield from read_embedded(data, patterns, snapshot.setting("currency_places"))


def _upc_a(data: str) -> str | None:
    """Return the UPC-A that eight digits are short for."""
    if len(data) != 8 or not _DIGITS.fullmatch(data) or data[0] not in "01":
        return None
    try:
        return Upc.parse(data).as_upc_a()
    except ParseError:
        return None


def _named(session: Session, data: str, reading: Reading, place: int) -> Found | None:
    """Return the reading with its product, the first group of codes deciding that knows any."""
    if reading.fault:
        return None
    for group in reading.codes:
        known: dict[int, Found] = {}
        for each in group:
            found = _sellable(session, find_code(session.connection(), each), place)
            if found is not None:
                known.setdefault(found[0].variant_id, Found(data, reading, *found, place))
        if len(known) > 1:
            raise _ambiguous(data, list(known.values()))
        if known:
            return next(iter(known.values()))
    return None


def _sellable(session: Session, scanned: ScannedCode | None, place: int) -> tuple[ScannedCode, Item] | None:
    if scanned is None:
        return None
    items = load_items(session.connection(), place, variant_ids=[scanned.variant_id])
    return (scanned, items[0]) if items and _may_sell(items[0], actor_of(session).user_id) else None


def _may_sell(item: Item, user_id: int | None) -> bool:
    own = item.owner_id is not None and item.owner_id == user_id
    return item.is_active and (item.status == "published" or (item.status == "pending" and own))


def _ambiguous(data: str, named: Sequence[Found]) -> ValidationFailed:
    message = f"{data!r} can be read in {len(named)} ways."
    return ValidationFailed(
        message,
        code="ambiguous-code",
        errors=[{"field": "code", "message": message}],
        readings=[
            each.reading.understood() | {"product_id": each.item.product_id, "product_name": each.item.product_name}
            for each in named
        ],
        hint="Give the product this very code as a barcode, or make the patterns and the items' numbers differ.",
    )


def _unknown(data: str, readings: Sequence[Reading]) -> NotFound:
    """Return the 404, with the likeliest reading and what to do about it."""
    plain = Reading(kind=kind_of(data), codes=(), gtin=data.zfill(14) if kind_of(data) != "free" else None)
    best = next((each for each in readings if not each.fault), readings[0] if readings else plain)
    understood = {"code": data} | best.understood()
    if len(readings) > 1:
        understood["readings"] = [each.understood() for each in readings]
    return NotFound(
        f"Nothing for sale has the code {data!r}.",
        code="unknown-code",
        scanned=data,
        understood=understood,
        hint=best.fault or _hint(data, best),
    )


def _hint(data: str, reading: Reading) -> str:
    if reading.kind == "embedded":
        return f"No product for sale has the barcode or SKU {reading.item}, with or without zeros in front."
    gtin = reading.gtin
    if reading.kind == "gs1" and gtin is None:
        return "It names no product: there is no GTIN in it."
    if gtin is not None and gtin[0] not in "0" + _VARIABLE:
        return f"{gtin} is a package: give it to its product as a barcode with the pack's quantity."
    if gtin is not None:
        return f"Give {gtin.lstrip('0') if reading.kind == 'gs1' else data} to its product as a barcode."
    if len(data) in _GTIN_LENGTHS and _DIGITS.fullmatch(data):
        right = check_digit(data[:-1])
        return f"If it is a GTIN, its last digit should be {right}: scan again, or type it without a mistake."
    return "Give it to a product as a barcode, or look the product up by its name."
