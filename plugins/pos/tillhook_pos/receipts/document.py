"""What a receipt says, whatever it is written on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tillhook.quantities import ZERO, format_money, format_quantity
from tillhook.reference import Snapshot
from tillhook.sales import NO_DEVICE
from tillhook_paper import clean, clean_lines

_TITLES = {"sale": "Receipt", "return": "Return", "exchange": "Exchange", "cancellation": "Cancellation"}
#: Signs of currencies, where one is in use and means no other currency where it is used.
_SIGNS = {
    **{"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "CNY": "¥", "INR": "₹", "TRY": "₺", "RUB": "₽", "UAH": "₴"},
    **{"KRW": "₩", "VND": "₫", "ILS": "₪", "PHP": "₱", "THB": "฿", "NGN": "₦", "GHS": "₵", "KZT": "₸", "GEL": "₾"},
    **{"PYG": "₲", "CRC": "₡", "AZN": "₼", "BDT": "৳", "AMD": "֏", "AFN": "؋", "XBT": "₿", "BTC": "₿", "MNT": "₮"},
}


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """An item; texts as they are printed. ``discount`` is off each unit, empty when there is none."""

    name: str
    details: tuple[str, ...]
    quantity: str
    unit_price: str
    discount: str
    tax_rate: str
    total: str


@dataclass(frozen=True, slots=True)
class Sum:
    """An amount with its name; ``is_total`` for the one that counts."""

    name: str
    amount: str
    is_total: bool = False


@dataclass(frozen=True, slots=True)
class TaxTable:
    """What was taxed at each rate: rate, net, tax and gross."""

    title: str
    rows: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """One document of the journal as a customer reads it."""

    firm: str
    address: tuple[str, ...]
    tax_id: str
    title: str
    #: In capitals across the receipt: that it is a copy, or cancelled.
    banners: tuple[str, ...]
    number: str
    facts: tuple[tuple[str, str], ...]
    lines: tuple[ReceiptLine, ...]
    sums: tuple[Sum, ...]
    tenders: tuple[Sum, ...]
    taxes: tuple[TaxTable, ...]
    notes: tuple[str, ...]
    footer: tuple[str, ...]
    #: What the square code holds.
    code: str
    opens_drawer: bool

    @property
    def file_name(self) -> str:
        """The name of a file to keep it in, without its ending."""
        safe = "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "-" for char in self.number)
        return f"receipt-{safe}"


def build(
    sale: Mapping[str, Any],
    snapshot: Snapshot,
    *,
    origin_number: str | None,
    copy: int | None,
    code: str,
) -> Receipt:
    """Return the receipt of a sale, a return, an exchange or a cancellation.

    Args:
        sale: As the API answers.
        origin_number: The number of the sale that it undoes.
        copy: 0 for the first that is handed out, ``None`` for a preview.
        code: What the square code holds.
    """
    money = _Money.of(sale, snapshot)
    methods = snapshot.payment_methods
    firm = clean(snapshot.setting("company.name"))
    return Receipt(
        firm=firm or clean(sale["warehouse_name"]),
        address=clean_lines(snapshot.setting("company.address")),
        tax_id=clean(snapshot.setting("company.tax_id")),
        title=_TITLES.get(sale["kind"], "Receipt"),
        banners=_banners(sale, copy),
        number=sale["sale_number"],
        facts=tuple(_facts(sale, snapshot, origin_number, has_firm=bool(firm))),
        lines=tuple(_line(item, money) for item in sale["items"]),
        sums=tuple(_sums(sale, money)),
        tenders=tuple(_tenders(sale, methods, money)),
        taxes=tuple(_tax_tables(sale["items"], money)),
        notes=clean_lines(sale["notes"]),
        footer=clean_lines(snapshot.setting("pos.receipt_footer")),
        code=code,
        opens_drawer=copy == 0 and snapshot.setting("pos.open_drawer") and _opens_drawer(sale, methods),
    )


@dataclass(frozen=True, slots=True)
class _Money:
    """How amounts are written: ``places`` digits after the point, more only where there are more."""

    sign: str
    places: int

    @classmethod
    def of(cls, sale: Mapping[str, Any], snapshot: Snapshot) -> "_Money":
        currency = sale["currency"]
        places = snapshot.setting("currency_places") if currency == snapshot.setting("currency") else 2
        return cls(_SIGNS.get(currency, currency), places)

    def text(self, amount: Decimal | str) -> str:
        return format_money(Decimal(amount), self.places)


def _banners(sale: Mapping[str, Any], copy: int | None) -> tuple[str, ...]:
    banners = []
    if sale["is_cancelled"]:
        banners.append("CANCELLED")
    if copy is None:
        banners.append("PREVIEW")
    elif copy:
        banners.append(f"COPY {copy}")
    return tuple(banners)


def _facts(
    sale: Mapping[str, Any], snapshot: Snapshot, origin_number: str | None, *, has_firm: bool
) -> Iterable[tuple[str, str]]:
    moment = datetime.fromisoformat(sale["sale_date"]).astimezone(ZoneInfo(snapshot.setting("timezone")))
    yield "Number", sale["sale_number"]
    yield "Date", f"{moment:%Y-%m-%d %H:%M}"
    if origin_number is not None:
        yield "Of receipt", origin_number
    if has_firm:
        yield "Shop", clean(sale["warehouse_name"])
    # Without a device, who served says enough.
    if sale["source_device"] != NO_DEVICE:
        yield "Till", clean(sale["source_device"])
    if seller := clean(sale["seller_name"]):
        yield "Served by", seller
    if customer := clean(sale["customer_name"]):
        yield "Customer", customer
    reason = clean(sale["cancelled_reason"] or sale["reason"] or "")
    if reason:
        yield "Reason", reason


def _line(item: Mapping[str, Any], money: _Money) -> ReceiptLine:
    details = []
    if item["variant"] is not None and (variant := clean(item["variant_details"])):
        details.append(variant)
    # Without lots, what the till noted.
    for lot in item["lots"] or (item,):
        if lot["batch_number"]:
            details.append(f"Lot {clean(lot['batch_number'])}")
        if lot["expiry_date"]:
            details.append(f"Best before {lot['expiry_date']}")
    discount = Decimal(item["discount_per_item"])
    return ReceiptLine(
        name=clean(item["product_name"]) or "?",
        details=tuple(details),
        quantity=item["quantity"],
        unit_price=money.text(item["unit_price"]),
        discount=money.text(-discount) if discount else "",
        tax_rate=_percent(item["tax_rate"]),
        total=money.text(item["total_price"]),
    )


def _sums(sale: Mapping[str, Any], money: _Money) -> Iterable[Sum]:
    tax, discount, rounding = (Decimal(sale[name]) for name in ("tax_amount", "discount_amount", "cash_rounding"))
    if tax or discount:
        yield Sum("Subtotal without tax" if tax else "Subtotal", money.text(sale["subtotal"]))
    if discount:
        yield Sum("Discount", money.text(-discount))
    if tax:
        yield Sum("Tax", money.text(tax))
    yield Sum("Total", f"{money.sign} {money.text(sale['total_amount'])}", is_total=True)
    if rounding:
        yield Sum("Rounded for cash", money.text(rounding))
        yield Sum("To pay", f"{money.sign} {money.text(sale['amount_due'])}", is_total=True)


def _tenders(sale: Mapping[str, Any], methods: Mapping[str, Any], money: _Money) -> Iterable[Sum]:
    for payment in sale["payments"]:
        declared = methods.get(payment["method"])
        name = clean(declared.title if declared and declared.title else payment["method"])
        if Decimal(payment["amount"]) < 0:
            name = f"Refund: {name}"
        if reference := clean(payment["reference"]):
            name = f"{name} ({reference})"
        yield Sum(name, money.text(payment["amount"]))
    if Decimal(sale["change_due"]):
        yield Sum("Change", money.text(sale["change_due"]))


def _tax_tables(items: Sequence[Mapping[str, Any]], money: _Money) -> Iterable[TaxTable]:
    """Yield a table for taxes that are in the prices, and one for those that come on top."""
    if not any(Decimal(item["tax_amount"]) for item in items):
        return
    for inclusive, title in ((True, "Taxes included in the prices"), (False, "Taxes added to the prices")):
        by_rate: dict[Decimal, tuple[Decimal, Decimal]] = {}
        for item in items:
            if item["tax_inclusive"] is not inclusive:
                continue
            rate, tax = Decimal(item["tax_rate"]), Decimal(item["tax_amount"])
            base = Decimal(item["total_price"]) - Decimal(item["discount_share"])
            net_so_far, tax_so_far = by_rate.get(rate, (ZERO, ZERO))
            by_rate[rate] = (net_so_far + (base - tax if inclusive else base), tax_so_far + tax)
        if by_rate:
            rows = (
                (_percent(rate), money.text(net), money.text(tax), money.text(net + tax))
                for rate, (net, tax) in sorted(by_rate.items())
            )
            yield TaxTable(title, tuple(rows))


def _percent(rate: Decimal | str) -> str:
    return f"{format_quantity(Decimal(rate) * 100)} %"


def _opens_drawer(sale: Mapping[str, Any], methods: Mapping[str, Any]) -> bool:
    return any(
        payment["method"] in methods and methods[payment["method"]].opens_drawer and Decimal(payment["amount"])
        for payment in sale["payments"]
    )
