"""The goods of the demonstration: a small shop that sells a bit of everything."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook import ledger
from tillhook.catalogue.commands import NewProduct, NewVariant
from tillhook.catalogue.products import create_product
from tillhook.catalogue.setup import STANDARD_UNITS, create_setup, find_setup, resolve_unit
from tillhook.db import utc_now
from tillhook.hooks import DemoData
from tillhook.ledger import StockCommand, StockLine
from tillhook.products.barcodes import check_digit
from tillhook.products.models import Product, Tax, Variant
from tillhook.runtime import snapshot_of

_STANDARD, _REDUCED = "VAT 20 %", "VAT 5 %"
#: GS1 keeps 200 to 299 for codes that a shop gives itself.
_PREFIX = "20000010"

#: name, SKU, category, tax, unit, price, cost, on hand. The first one is sold by the README.
_GOODS = (
    ("Ground coffee 250 g", "COF-250", "Groceries", _REDUCED, "pcs", "5.90", "3.60", 120),
    ("Green tea, 20 bags", "TEA-GRN", "Groceries", _REDUCED, "pcs", "3.20", "1.75", 80),
    ("Olive oil 0.5 l", "OIL-OLV", "Groceries", _REDUCED, "pcs", "8.50", "5.40", 45),
    ("Wildflower honey 500 g", "HON-500", "Groceries", _REDUCED, "pcs", "7.80", "4.90", 36),
    ("Dark chocolate 100 g", "CHO-DRK", "Groceries", _REDUCED, "pcs", "2.40", "1.30", 150),
    ("Sea salt 1 kg", "SLT-001", "Groceries", _REDUCED, "pcs", "1.60", "0.70", 8),
    ("Coffee beans", "COF-BLK", "Groceries", _REDUCED, "kg", "18.00", "11.20", "24.5"),
    ("Stoneware mug", "MUG-STN", "Household", _STANDARD, "pcs", "9.50", "4.10", 60),
    ("Beeswax candle", "CND-BWX", "Household", _STANDARD, "pcs", "6.50", "2.80", 40),
    ("Linen tea towel", "TWL-LIN", "Household", _STANDARD, "pcs", "12.00", "6.20", 30),
    ("AA batteries, 4 pieces", "BAT-AA4", "Household", _STANDARD, "pcs", "4.99", "2.10", 90),
    ("LED bulb E27 8 W", "LED-E27", "Household", _STANDARD, "pcs", "5.49", "2.60", 5),
    ("Notebook A5, ruled", "NTB-A5R", "Stationery", _STANDARD, "pcs", "4.20", "1.90", 75),
    ("Ballpoint pen, blue", "PEN-BLU", "Stationery", _STANDARD, "pcs", "1.50", "0.45", 200),
)
#: name, SKU, price, cost, and for each batch: number, days until it expires, on hand.
_MEDICINES = (
    (
        "Paracetamol 500 mg, 20 tablets",
        "MED-PAR",
        "3.10",
        "1.40",
        (("PAR-24A", 60, 20), ("PAR-25C", 420, 60)),
    ),
    ("Ibuprofen 400 mg, 20 tablets", "MED-IBU", "4.60", "2.20", (("IBU-25A", 300, 40),)),
    ("Saline nasal spray 20 ml", "MED-NSL", "5.20", "2.90", (("NSL-25B", 540, 25),)),
)
#: Sold by weight or by the job, at a price agreed at the till: no stock.
_UNTRACKED = (
    ("Bread by weight", "BRD-KG", "Bakery", _REDUCED, "kg", "4.50"),
    ("Gift wrapping", "SRV-WRP", "Services", _STANDARD, "pcs", "2.00"),
)
_SIZES = (("S", 12), ("M", 20), ("L", 16), ("XL", 6))


def _create(session: Session) -> None:
    if session.scalar(select(Product.id).limit(1)) is not None:
        return
    _create_setup(session)
    codes = _codes()
    lines = [line for row in _GOODS for line in _good(session, row, next(codes))]
    for row in _MEDICINES:
        lines += _medicine(session, row, next(codes))
    for name, sku, category, tax, unit, price in _UNTRACKED:
        create_product(
            session,
            NewProduct(
                name=name,
                sku=sku,
                category=category,
                tax=tax,
                unit=unit,
                price=Decimal(price),
                tracking="none",
                price_mode="open",
            ),
        )
    lines += _shirt(session, [next(codes) for _ in _SIZES])
    warehouses = [key for key, place in snapshot_of(session).warehouses.items() if place.kind == "warehouse"]
    if warehouses:
        command = StockCommand(warehouse=min(warehouses), lines=tuple(lines), reason="Opening stock")
        ledger.post_receipt(session, command)


DEMO_DATA = DemoData(name="catalogue.products", create=_create, requires=("stock.warehouse",))


def _create_setup(session: Session) -> None:
    for code in STANDARD_UNITS:
        resolve_unit(session, code)
    for name, rate in ((_STANDARD, "0.2"), (_REDUCED, "0.05")):
        # No default: a product that names no tax has none.
        fields: Mapping[str, Any] = {"name": name, "rate": Decimal(rate), "is_inclusive": True}
        if find_setup(session, Tax, name) is None:
            create_setup(session, Tax, fields)


def _codes() -> Any:
    """Yield EAN-13 codes of the shop's own range."""
    for number in range(1, 10_000):
        body = f"{_PREFIX}{number:04d}"
        yield body + check_digit(body)


def _good(session: Session, row: tuple[Any, ...], code: str) -> list[StockLine]:
    name, sku, category, tax, unit, price, cost, on_hand = row
    product = create_product(
        session,
        NewProduct(
            name=name,
            sku=sku,
            barcode=code,
            category=category,
            tax=tax,
            unit=unit,
            price=Decimal(price),
            list_price=Decimal(price),
            cost_price=Decimal(cost),
        ),
    )
    return [StockLine(product_id=product.id, quantity=Decimal(on_hand), unit_cost=Decimal(cost))]


def _medicine(session: Session, row: tuple[Any, ...], code: str) -> list[StockLine]:
    name, sku, price, cost, batches = row
    product = create_product(
        session,
        NewProduct(
            name=name,
            sku=sku,
            barcode=code,
            category="Medicine",
            tax=_REDUCED,
            unit="pcs",
            price=Decimal(price),
            cost_price=Decimal(cost),
            tracking="lot",
            price_mode="list",
        ),
    )
    today: date = utc_now().date()
    return [
        StockLine(
            product_id=product.id,
            quantity=Decimal(on_hand),
            unit_cost=Decimal(cost),
            batch_number=batch,
            expiry_date=today + timedelta(days=days),
        )
        for batch, days, on_hand in batches
    ]


def _shirt(session: Session, codes: list[str]) -> list[StockLine]:
    product = create_product(
        session,
        NewProduct(
            name="T-shirt, organic cotton",
            sku="TSH-ORG",
            category="Clothing",
            tax=_STANDARD,
            unit="pcs",
            price=Decimal("25.00"),
            cost_price=Decimal("11.00"),
            attributes={"material": "cotton", "colour": "navy"},
            variants=tuple(
                NewVariant(sku=f"TSH-ORG-{size}", name=size, barcode=code, attributes={"size": size})
                for (size, _), code in zip(_SIZES, codes, strict=True)
            ),
        ),
    )
    made = session.scalars(select(Variant).where(Variant.product_id == product.id).order_by(Variant.id))
    return [
        StockLine(product_id=product.id, variant_id=variant.id, quantity=Decimal(on_hand))
        for variant, (_, on_hand) in zip(made, _SIZES, strict=True)
    ]
