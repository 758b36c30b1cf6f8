"""What a scanned code means here and now."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from tillhook.errors import DomainError, ValidationFailed
from tillhook.ledger import Item, stock_check, today_of
from tillhook.quantities import ZERO, format_money, format_quantity, from_units, multiply, round_half_up, to_units
from tillhook.runtime import snapshot_of
from tillhook_pos.scanning.amounts import Charged, charge, in_unit, is_currency, is_measured
from tillhook_pos.scanning.lots import Lot, lots_here, next_lot, scanned_lot
from tillhook_pos.scanning.readings import Reading
from tillhook_pos.scanning.resolving import Found, Shelf, resolve_on


@dataclass(frozen=True, slots=True)
class Goods:
    """What the customer has in hand: a variant, how much of it, of which lot, at which printed price."""

    found: Found
    line: Charged
    lot: Lot | None
    next_lot: Lot | None

    @property
    def variant_id(self) -> int | None:
        """The variant, ``None`` for a product that is sold without naming one."""
        return None if self.found.item.is_default else self.found.item.variant_id


def understand(session: Session, code: str, warehouse_id: int | None) -> Goods:
    """Return what the code stands for at the warehouse, the seller's only one for ``None``.

    Raises:
        NotFound: 404 ``pos-unknown-code``.
        ValidationFailed: 422 ``pos-ambiguous-code``, ``pos-bad-element-string``, ``pos-price-not-chargeable``; or the
            label says an amount that stock is not counted in.
        Conflict: 409 ``pos-lot-not-in-stock`` or ``lot-expiry-differs``.
    """
    return understand_all(session, Shelf(session, warehouse_id), {0: code})[0]


def understand_all(
    session: Session, shelf: Shelf, codes: Mapping[int, str], refused: Callable[[DomainError, int], None] | None = None
) -> dict[int, Goods]:
    """Return what each of the codes stands for; the catalogue is asked for all of them together.

    Args:
        refused: Told of an error before it is raised, and of the number of the code whose it is.

    Raises:
        DomainError: As :func:`understand`, for the first one that is refused.
    """
    shelf.prepare(codes.values())
    numbers: dict[str, int] = {}
    for number, code in codes.items():
        numbers.setdefault(code, number)
    found: dict[str, Found] = {}
    goods: dict[str, Goods] = {}
    for code, number in numbers.items():
        with _telling(refused, number):
            found[code] = resolve_on(session, shelf, code)
    lots_of = lots_here(session, shelf, found.values())
    for code, number in numbers.items():
        with _telling(refused, number):
            lots = lots_of.get(found[code].item.variant_id, [])
            lot = scanned_lot(session, found[code], lots)
            goods[code] = Goods(found[code], _line(session, found[code]), lot, next_lot(lots, today_of(session)))
    return {number: goods[code] for number, code in codes.items()}


@contextmanager
def _telling(refused: Callable[[DomainError, int], None] | None, number: int) -> Iterator[None]:
    try:
        yield
    except DomainError as error:
        if refused is not None:
            refused(error, number)
        raise


def scan(session: Session, code: str, warehouse_id: int | None) -> dict[str, Any]:
    """Return the product, its price, the stock here, and the lot that is sold, for a code.

    ``price`` is for one stock unit, ``pack_price`` for the ``pack_quantity`` units that the code stands for.
    ``stock`` is what can be sold, ``expired`` what is there beside it; both are ``None`` for an untracked product, as
    the prices are for one of open price that was never sold. ``quantity``, ``unit_price`` and ``total`` are of the
    line that selling the code makes; ``item`` is that line for a sale's body, though there the role's own limits hold
    for every price that a label says.
    """
    goods = understand(session, code, warehouse_id)
    found, item, reading = goods.found, goods.found.item, goods.found.reading
    stock = stock_check(session, item.product_id, goods.variant_id, found.warehouse_id)
    price = _price(item)
    unit_price = price if goods.line.unit_price is None else goods.line.unit_price
    lot = goods.lot or goods.next_lot
    return {
        "code": found.code,
        "kind": reading.kind,
        "product": {
            "id": item.product_id,
            "name": item.product_name,
            "sku": item.sku,
            "price_mode": item.price_mode,
            "tracking": item.tracking,
        },
        "variant": None if goods.variant_id is None else {"id": goods.variant_id, "name": item.variant_name},
        "price": None if price is None else format_money(price),
        "pack_quantity": format_quantity(found.scanned.pack_quantity),
        "pack_price": None if price is None else format_money(multiply(price, found.scanned.pack_quantity)),
        "warehouse": found.warehouse_id,
        "stock": stock["available"],
        "expired": stock["expired"],
        "is_low_stock": stock["is_low_stock"],
        "lot": None if lot is None else lot.shown(today_of(session)),
        "quantity": format_quantity(goods.line.quantity),
        "unit_price": None if unit_price is None else format_money(unit_price),
        "total": None if unit_price is None else format_money(_total(session, goods.line.quantity, unit_price)),
        "is_printed_price": goods.line.unit_price is not None,
        "item": _item_body(goods),
        "understood": {"code": found.code} | reading.understood(),
    }


def _line(session: Session, found: Found) -> Charged:
    """Return how many stock units the label is on, and the price of one when the label says what is to be paid.

    What a label says binds where the catalogue can't know what a piece costs: weighed goods, and an open price. A code
    can be typed too, so of others it is a price that the seller asks for, and never that of a list price.
    """
    reading, item = found.reading, found.item
    snapshot = snapshot_of(session)
    unit = snapshot.units[item.unit_id] if item.unit_id is not None else None
    unit_code = unit.code if unit else ""
    quantity = _said_quantity(reading, unit_code, found.scanned.pack_quantity)
    is_binding = item.price_mode == "open" or is_measured(unit_code)
    total = _said_price(session, reading)
    if total is None or (item.price_mode == "list" and not is_binding):
        return Charged(stock_units(found.scanned.pack_quantity if quantity is None else quantity, Decimal(1), "code"))
    by_price = quantity is None and is_measured(unit_code) and item.price_mode != "open"
    if quantity is None and not (by_price and item.price):
        quantity = found.scanned.pack_quantity
    unit_price = ZERO if item.price_mode == "open" else from_units(item.price)
    charged = charge(total, unit_price, quantity, unit.precision if unit else 0, snapshot.setting("currency_places"))
    return replace(charged, is_binding=is_binding)


def _said_quantity(reading: Reading, unit_code: str, pack_quantity: Decimal) -> Decimal | None:
    if reading.measure is not None:
        measured = in_unit(reading.measure, reading.measure_of, unit_code)
        if measured is not None:
            return measured
    return None if reading.count is None else multiply(Decimal(reading.count), pack_quantity)


def _said_price(session: Session, reading: Reading) -> Decimal | None:
    """Return the price that is charged because the label says so.

    Raises:
        ValidationFailed: 422 ``pos-foreign-currency``.
    """
    snapshot = snapshot_of(session)
    if reading.price is None or (reading.kind == "gs1" and not snapshot.setting("pos.gs1_prices")):
        return None
    currency = snapshot.setting("currency")
    if reading.currency is not None and not is_currency(reading.currency, currency):
        message = f"The label's price is in the currency {reading.currency}, not in {currency}."
        raise ValidationFailed.at("code", message, code="pos-foreign-currency")
    return reading.price


def stock_units(packages: Decimal, pack_quantity: Decimal, field: str = "quantity") -> Decimal:
    """Return how many stock units the packages hold."""
    units = multiply(packages, pack_quantity)
    try:
        to_units(units)
    except ValueError:
        message = f"{format_quantity(units)} stock units are more, or finer, than stock is counted in."
        raise ValidationFailed.at(field, message) from None
    return units


def _item_body(goods: Goods) -> dict[str, Any]:
    line, lot = goods.line, goods.lot
    body = {
        "product_id": goods.found.item.product_id,
        "variant_id": goods.variant_id,
        "quantity": format_quantity(line.quantity),
        "unit_price": None if line.unit_price is None else format_money(line.unit_price),
        "batch_number": lot and lot.batch_number,
        "expiry_date": lot and lot.expiry_date and lot.expiry_date.isoformat(),
    }
    return {name: value for name, value in body.items() if value is not None}


def _total(session: Session, quantity: Decimal, unit_price: Decimal) -> Decimal:
    return round_half_up(multiply(quantity, unit_price), snapshot_of(session).setting("currency_places"))


def _price(item: Item) -> Decimal | None:
    if item.price_mode != "open":
        return from_units(item.price)
    units = item.price if item.last_price is None else item.last_price
    return from_units(units) if units else None
