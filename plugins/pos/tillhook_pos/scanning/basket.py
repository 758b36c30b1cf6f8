"""Selling what the scanner read: a whole basket at once, of which a single code is the smallest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from tillhook.errors import DomainError, ValidationFailed
from tillhook.quantities import ZERO, format_money, format_quantity
from tillhook.sales import (
    Outcome,
    SaleCommand,
    SaleItem,
    SaleReturn,
    Tender,
    by_device,
    find_repeated,
    post_sale,
    visible_sales,
)
from tillhook_pos.documents import CHANNEL
from tillhook_pos.scanning.readings import Reading
from tillhook_pos.scanning.resolving import Shelf
from tillhook_pos.scanning.services import Goods, stock_units, understand_all

_ONE = Decimal(1)
#: What a line's code stands for, in the journal's words.
_SAID_BY_CODE = ("product_id", "variant_id")
#: What a line's code may stand for.
_SAID_BY_LABEL = ("batch_number", "expiry_date")
#: Fields of the body of a sale by code that its only line has in a basket.
_OF_THE_LINE = ("quantity", "unit_price", "discount_per_item")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedItem:
    """A line as scanned; ``quantity`` counts packages, ``None`` for one, or for what the label says."""

    code: str
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    discount_per_item: Decimal = ZERO
    batch_number: str | None = None
    expiry_date: date | None = None


@dataclass(frozen=True, slots=True)
class Basket:
    """A sale at the counter; ``sale`` is all of it but its items, its payload the body as it came."""

    items: tuple[SaleItem | ScannedItem, ...]
    sale: SaleCommand


def sell(session: Session, code: str, body: Mapping[str, Any]) -> Outcome:
    """Post a sale of one line; the body is what ``SellIn`` loaded. As :func:`sell_basket`, the fields by its names."""
    fields = dict(body)
    payload, method, payments = (fields.pop(name) for name in ("payload", "payment_method", "payments"))
    line = {name: fields.pop(name) for name in _OF_THE_LINE}
    command = SaleCommand(
        items=(),
        payments=tuple(payments or ()) or (Tender(method=method),),
        payload={name: value for name, value in payload.items() if name not in _OF_THE_LINE},
        **fields,
    )
    try:
        return sell_basket(session, Basket((ScannedItem(code=code, **line),), command))
    except DomainError as error:
        own = {} if payments else {"payments.0.method": "payment_method"}
        _rename(error, lambda field: own.get(field, field.removeprefix("items.0.")))
        raise


def sell_basket(session: Session, basket: Basket) -> Outcome:
    """Post a basket, its codes read as they are now.

    The same basket with its ``external_id`` gives the first sale back, even if its codes have come to mean something
    else. One whose ``external_id`` another sale has is kept as the body that ``POST /api/sales`` would take.

    Raises:
        NotFound: 404 ``pos-unknown-code``, naming ``items.N.code`` as the others do.
        ValidationFailed: 422 ``pos-ambiguous-code``, ``pos-bad-element-string``, ``pos-price-not-chargeable``; or what
            the packages hold is no quantity of stock, or the code says by itself what is said beside it.
        Conflict: 409 ``pos-lot-not-in-stock``, ``lot-expiry-differs``; ``insufficient-stock``.
        DomainError: Whatever else the journal refuses.
    """
    command = by_device(session, replace(basket.sale, channel=CHANNEL))
    scanned = {number: item for number, item in enumerate(basket.items) if isinstance(item, ScannedItem)}
    if not scanned:
        items = tuple(item for item in basket.items if isinstance(item, SaleItem))
        return post_sale(session, replace(command, items=items, payload=_as_sale(command.payload, {})))
    asked = _asked(command, basket.items)
    repeated = find_repeated(session, [asked])
    if repeated and command.warehouse in (None, repeated[0]["warehouse"]):
        return Outcome("duplicate", sale=repeated[0])
    shelf = Shelf(session, _warehouse(session, command))
    goods = understand_all(session, shelf, {number: item.code for number, item in scanned.items()}, _naming)
    lines = {number: _line(scanned[number], each, number) for number, each in goods.items()}
    command = replace(
        command,
        items=tuple(item if isinstance(item, SaleItem) else lines[number] for number, item in enumerate(basket.items)),
        warehouse=shelf.warehouse_id,
        payload=_as_sale(command.payload, lines) | {"warehouse": shelf.warehouse_id},
        asked=asked,
    )
    try:
        return post_sale(session, command)
    except DomainError as error:
        _rename(error, lambda field: _scanned_field(field, goods))
        raise


def _asked(command: SaleCommand, items: Sequence[SaleItem | ScannedItem]) -> dict[str, Any]:
    """Return what was asked for, equal for equal content however it is written; the warehouse is compared apart."""
    said = asdict(replace(command, payments=command.tenders, payload={}, warehouse=None))
    return said | {"items": [asdict(_counted(item)) for item in items]}


def _counted(item: SaleItem | ScannedItem) -> SaleItem | ScannedItem:
    return replace(item, quantity=_ONE) if isinstance(item, ScannedItem) and item.quantity is None else item


def _warehouse(session: Session, command: SaleCommand) -> int | None:
    """Return where the goods are: with ``returns``, as the journal has it, where the sale was made that they are of."""
    if command.warehouse is not None or command.returns is None:
        return command.warehouse
    return _origin_warehouse(session, command.returns)


def _origin_warehouse(session: Session, returns: SaleReturn) -> int | None:
    query = visible_sales(session)
    if returns.sale_id is not None:
        query = query.filter_by(id=returns.sale_id)
    else:
        query = query.filter_by(external_id=returns.external_id)
    origin = session.scalars(query).one_or_none()
    return None if origin is None else origin.warehouse_id


def _line(asked: ScannedItem, goods: Goods, number: int) -> SaleItem:
    """Return the line that the journal posts.

    Raises:
        ValidationFailed: 422: what is said beside the code contradicts it, or comes to no quantity of stock.
    """
    _refuse_said_twice(asked, goods, number)
    label = goods.line
    return SaleItem(
        product_id=goods.found.item.product_id,
        variant_id=goods.variant_id,
        quantity=stock_units(asked.quantity or _ONE, label.quantity, f"items.{number}.quantity"),
        unit_price=asked.unit_price if label.unit_price is None else label.unit_price,
        discount_per_item=asked.discount_per_item,
        batch_number=goods.lot.batch_number if goods.lot else asked.batch_number,
        expiry_date=goods.lot.expiry_date if goods.lot else asked.expiry_date,
        is_printed_price=label.is_binding,
    )


def _refuse_said_twice(asked: ScannedItem, goods: Goods, number: int) -> None:
    reading: Reading = goods.found.reading
    twice = {
        "quantity": reading.says_how_much and asked.quantity not in (None, _ONE),
        "unit_price": goods.line.unit_price is not None and asked.unit_price is not None,
        "batch_number": goods.lot is not None and asked.batch_number not in (None, goods.lot.batch_number),
        "expiry_date": goods.lot is not None and asked.expiry_date not in (None, goods.lot.expiry_date),
    }
    messages = {
        "quantity": "The code says how much it is; scan each label.",
        "unit_price": "The label says the price.",
    }
    for name, is_twice in twice.items():
        if is_twice:
            raise ValidationFailed.at(f"items.{number}.{name}", messages.get(name, "The label says the lot."))


def _as_sale(payload: Mapping[str, Any], lines: Mapping[int, SaleItem]) -> dict[str, Any]:
    """Return the body as ``POST /api/sales`` takes it: what the codes stand for in their places."""
    sent = payload.get("items") or [{}] * len(lines)
    items = [
        _item_body(lines[number]) if number in lines else {name: item[name] for name in item if name != "code"}
        for number, item in enumerate(sent)
    ]
    return {**payload, "channel": CHANNEL, "items": items}


def _item_body(line: SaleItem) -> dict[str, Any]:
    body = {
        "product_id": line.product_id,
        "variant_id": line.variant_id,
        "quantity": format_quantity(line.quantity),
        "unit_price": None if line.unit_price is None else format_money(line.unit_price),
        "discount_per_item": format_money(line.discount_per_item) if line.discount_per_item else None,
        "batch_number": line.batch_number,
        "expiry_date": line.expiry_date and line.expiry_date.isoformat(),
    }
    return {name: value for name, value in body.items() if value is not None}


def _scanned_field(field: str, goods: Mapping[int, Goods]) -> str:
    """Return the field of the request that the journal's field was made of."""
    parts = field.split(".")
    if len(parts) != 3 or parts[0] != "items" or int(parts[1]) not in goods:
        return field
    scanned = goods[int(parts[1])]
    by_label = scanned.lot is not None and parts[2] in _SAID_BY_LABEL
    by_label |= scanned.line.unit_price is not None and parts[2] == "unit_price"
    return f"items.{parts[1]}.code" if by_label or parts[2] in _SAID_BY_CODE else field


def _naming(error: DomainError, number: int) -> None:
    """Let an error that names ``code`` name the code's line."""
    _rename(error, lambda field: f"items.{number}.code" if field == "code" else field)


def _rename(error: DomainError, renamed: Callable[[str], str]) -> None:
    error.errors = [{**each, "field": renamed(each["field"])} for each in error.errors]
