"""From what a code says to the product that it is on: the catalogue is asked, and refuses to guess."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from biip import ParseError
from biip.upc import Upc
from sqlalchemy.orm import Session

from tillhook.access import default_warehouse, require_warehouse
from tillhook.errors import NotFound, ValidationFailed
from tillhook.ledger import Item, load_items
from tillhook.products import ScannedCode, check_digit, find_codes, kind_of
from tillhook.runtime import actor_of, snapshot_of
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


class Shelf:
    """What this seller may sell at one warehouse, by its codes; the catalogue is asked once for each."""

    def __init__(self, session: Session, warehouse_id: int | None) -> None:
        """Open the shelf of a warehouse.

        Args:
            warehouse_id: ``None`` for the seller's only warehouse.

        Raises:
            ValidationFailed: 422: there is no such warehouse, or not just one.
            PermissionDenied: 403 ``foreign-warehouse``.
        """
        actor = actor_of(session)
        self.warehouse_id = default_warehouse(session) if warehouse_id is None else warehouse_id
        require_warehouse(session, self.warehouse_id)
        self._session = session
        self._seller_id = actor.user_id
        self._known: dict[str, tuple[ScannedCode, Item] | None] = {}

    def look_up(self, codes: Iterable[str]) -> None:
        """Ask for codes that have not been asked for yet: three statements at most, however many they are."""
        new = {code for code in codes if code not in self._known}
        scanned = find_codes(self._session.connection(), new)
        asked = {(self.warehouse_id, each.product_id, each.variant_id) for each in scanned.values()}
        items = {item.variant_id: item for item in load_items(self._session, asked) if _may_sell(item, self._seller_id)}
        self._known |= dict.fromkeys(new)
        self._known |= {
            code: (each, items[each.variant_id]) for code, each in scanned.items() if each.variant_id in items
        }

    def get(self, code: str) -> tuple[ScannedCode, Item] | None:
        """Return what has exactly this code, in one of the ways to write it; ``None`` for nothing for sale."""
        if code not in self._known:
            self.look_up([code])
        return self._known[code]

    def prepare(self, codes: Iterable[str]) -> None:
        """Look up all that codes may mean together, so that resolving each of them asks for nothing more."""
        plain = {code: _plain(code) for code in codes}
        self.look_up(each for forms in plain.values() for each in forms)
        unknown = [code for code, forms in plain.items() if not any(self._known[each] for each in forms)]
        meant: set[str] = set()
        for code in unknown:
            # What cannot be read is said when it is resolved.
            with suppress(ValidationFailed):
                readings = _readings(self._session, *split_symbology(code.strip(_BLANKS)))
                meant.update(each for reading in readings for group in reading.codes for each in group)
        self.look_up(meant)


def resolve(session: Session, code: str, warehouse_id: int | None) -> Found:
    """Return what the code stands for at the warehouse, the seller's only one for ``None``. Raises as Shelf and
    :func:`resolve_on`.
    """
    return resolve_on(session, Shelf(session, warehouse_id), code)


def resolve_on(session: Session, shelf: Shelf, code: str) -> Found:
    """Return what the code stands for. A code that a product has wins over whatever else it might mean.

    Raises:
        NotFound: 404 ``pos-unknown-code``: nothing that this seller may sell has the code; ``understood`` says what the
            code itself told.
        ValidationFailed: 422 ``pos-ambiguous-code`` or ``pos-bad-element-string``, with a ``hint``.
    """
    for plain in _plain(code):
        sellable = shelf.get(plain)
        if sellable is not None:
            return Found(plain, Reading(kind=sellable[0].kind, codes=((plain,),)), *sellable, shelf.warehouse_id)
    symbology, data = split_symbology(code.strip(_BLANKS))
    readings = list(_readings(session, symbology, data))
    named = [found for reading in readings if (found := _named(shelf, data, reading)) is not None]
    if len(named) > 1:
        raise _ambiguous(data, named)
    if not named:
        raise _unknown(data, readings)
    return named[0]


def _plain(code: str) -> tuple[str, ...]:
    """Return the code with and without the symbology that the scanner put in front."""
    text = code.strip(_BLANKS)
    return tuple(dict.fromkeys((text, split_symbology(text)[1])))


def _readings(session: Session, symbology: str, data: str) -> Iterator[Reading]:
    """Yield what the code may mean when no product has it as it is."""
    if is_gs1(symbology, data):
        yield read_gs1(data)
        return
    if may_be_gs1(data):
        try:
            yield read_gs1(data)
        except ValidationFailed as error:
            if error.code == "pos-ambiguous-code":
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


def _named(shelf: Shelf, data: str, reading: Reading) -> Found | None:
    """Return the reading with its product, the first group of codes deciding that knows any."""
    if reading.fault:
        return None
    for group in reading.codes:
        known: dict[int, Found] = {}
        for each in group:
            found = shelf.get(each)
            if found is not None:
                known.setdefault(found[0].variant_id, Found(data, reading, *found, shelf.warehouse_id))
        if len(known) > 1:
            raise _ambiguous(data, list(known.values()))
        if known:
            return next(iter(known.values()))
    return None


def _may_sell(item: Item, user_id: int | None) -> bool:
    own = item.owner_id is not None and item.owner_id == user_id
    return item.is_active and (item.status == "published" or (item.status == "pending" and own))


def _ambiguous(data: str, named: Sequence[Found]) -> ValidationFailed:
    message = f"{data!r} can be read in {len(named)} ways."
    return ValidationFailed(
        message,
        code="pos-ambiguous-code",
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
    message = f"Nothing for sale has the code {data!r}."
    return NotFound(
        message,
        code="pos-unknown-code",
        errors=[{"field": "code", "message": message}],
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
