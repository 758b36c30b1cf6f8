"""From what a code says to the product that it is on: the catalogue is asked, and refuses to guess."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from biip import ParseError
from biip.upc import Upc
from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access import default_warehouse, require_warehouse
from tillhook.errors import Conflict, DomainError, NotFound, ValidationFailed
from tillhook.ledger import Item, load_items
from tillhook.products import (
    Product,
    Refusal,
    ScannedCode,
    Variant,
    check_digit,
    find_codes,
    is_hidden,
    kind_of,
    visible_to,
    why_not_for_sale,
    why_not_there,
)
from tillhook.runtime import actor_of, snapshot_of
from tillhook_pos.scanning.gs1 import is_gs1, lost_separators, may_be_gs1, read_gs1, split_symbology
from tillhook_pos.scanning.patterns import parse_patterns, read_embedded
from tillhook_pos.scanning.readings import Reading

_BLANKS = " \t\r\n"
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_GTIN_LENGTHS = (8, 12, 13, 14)
#: The digit of a GTIN-14 that stands for goods of variable measure; 1 to 8 are packages.
_VARIABLE = "9"
#: EAN-13 and UPC-A that GS1 leaves to the shop.
_OF_THE_SHOP = re.compile(r"0?2[0-9]{11,12}", re.ASCII)


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
        self._refused: dict[str, Item] = {}

    def look_up(self, codes: Iterable[str]) -> None:
        """Ask for codes that have not been asked for yet: three statements at most, however many they are."""
        new = {code for code in codes if code not in self._known}
        scanned = find_codes(self._session.connection(), new)
        asked = {(self.warehouse_id, each.product_id, each.variant_id) for each in scanned.values()}
        items = {item.variant_id: item for item in load_items(self._session, asked)}
        self._known |= dict.fromkeys(new)
        for code, each in scanned.items():
            item = items.get(each.variant_id)
            if item is not None and _may_sell(item, self._seller_id):
                self._known[code] = (each, item)
            elif item is not None:
                self._refused[code] = item

    def get(self, code: str) -> tuple[ScannedCode, Item] | None:
        """Return what has exactly this code, in one of the ways to write it; ``None`` for nothing for sale."""
        if code not in self._known:
            self.look_up([code])
        return self._known[code]

    def why_not(self, codes: Sequence[str]) -> DomainError | None:
        """Return why the product of one of these codes is not sold; ``None`` when nothing that one may know has any."""
        item = next((self._refused[code] for code in codes if code in self._refused), None)
        if item is not None:
            actor = actor_of(self._session)
            if not is_hidden(actor, item.status, item.owner_id, was_approved=item.was_approved):
                return _not_sold(why_not_for_sale(item.product_name, item.status, item.is_active))
            why = why_not_there(self._session, item.product_id)
            return _not_sold(why) if why.code == "not-approved" else None
        by_variant = select(Product).where(
            Product.sku.in_(codes), Product.has_variants, visible_to(actor_of(self._session))
        )
        product = self._session.scalar(by_variant.limit(1))
        return None if product is None else _by_variant(self._session, product)

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
        Conflict: 409 ``pos-not-approved`` or ``pos-not-for-sale``.
        ValidationFailed: 422 ``pos-variant-needed``, with the ``variants``; ``pos-ambiguous-code`` or
            ``pos-bad-element-string``, with a ``hint``.
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
        asked = [*_plain(code), *(each for reading in readings for group in reading.codes for each in group)]
        raise shelf.why_not(asked) or lost_separators(data) or _unknown(data, readings)
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


def _not_sold(why: Refusal) -> Conflict:
    return Conflict(why.message, code=f"pos-{why.code}", errors=[{"field": "code", "message": why.message}])


def _by_variant(session: Session, product: Product) -> ValidationFailed:
    variants = session.scalars(
        select(Variant).where(Variant.product_id == product.id, Variant.is_active).order_by(Variant.id)
    )
    why = why_not_there(session, product.id)
    return ValidationFailed(
        why.message,
        code=f"pos-{why.code}",
        errors=[{"field": "code", "message": why.message}],
        product_id=product.id,
        variants=[{"id": each.id, "name": each.name, "sku": each.sku} for each in variants],
        hint="Scan the code of a variant, or name one.",
    )


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
        return (
            f"By the pattern {reading.pattern} of the setting pos.embedded_codes it is item {reading.item}: no product"
            " for sale has that as barcode or SKU, with or without zeros in front."
        )
    if reading.kind != "gs1" and _OF_THE_SHOP.fullmatch(data):
        return (
            "Codes that begin with 2 are a shop's own, mostly labels with a price or weight: say their pattern in the"
            " setting pos.embedded_codes, or give this very code to its product as a barcode."
        )
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
